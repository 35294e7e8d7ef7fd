"""Which units make the answer, and the claims they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.answerers.units import Unit
from retrieval.base import Claim, Evidence, Quote
from tuwen.types import WordSpan, is_cjk

_REFERENCE_CHARS = 80
"""Length of answers for which the gain per character is fitted."""
_MOST = 3
_LONGEST = 2.5
"""No unit is added beyond this multiple of the aimed-at length."""


def select(units: Sequence[Unit], shares: NDArray[np.float64], gain_per_char: float, max_chars: int) -> list[int]:
    """The best unit, and those that raise the chance of holding the answer enough for their length; best first."""
    needed = gain_per_char * _REFERENCE_CHARS / max_chars
    chosen: list[int] = []
    total = 0
    for i in np.argsort(-shares, kind="stable").tolist():
        length = len(units[i].text)
        fits = total + length <= _LONGEST * max_chars and shares[i] >= needed * length
        if not chosen or (fits and not any(_overlap(units[i], units[j]) for j in chosen)):
            chosen.append(i)
            total += length
        if len(chosen) == _MOST:
            break
    return chosen


def claims(units: Sequence[Unit], evidence: Sequence[Evidence], shorten: Callable[[Unit], str]) -> tuple[Claim, ...]:
    """Claims of the chosen units: pages in the order given, reading order on a page, neighbours as one.

    ``shorten`` gives the part that is said of a unit that stands alone.
    """
    rank = {unit.evidence: i for i, unit in reversed(list(enumerate(units)))}
    ordered = sorted(units, key=lambda unit: (rank[unit.evidence], unit.words.start))
    groups: list[list[Unit]] = []
    for unit in ordered:
        last = groups[-1][-1] if groups else None
        if last and last.evidence == unit.evidence and unit.words.start <= last.words.end:
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return tuple(_claim(group, evidence[group[0].evidence], shorten) for group in groups)


def _claim(group: Sequence[Unit], item: Evidence, shorten: Callable[[Unit], str]) -> Claim:
    text = shorten(group[0]) if len(group) == 1 else _join([unit.text for unit in group])
    words = WordSpan(group[0].words.start, group[-1].words.end)
    return Claim(text, (Quote(text, item.document_id, item.record.page, words),))


def _join(texts: Sequence[str]) -> str:
    joined = texts[0]
    for text in texts[1:]:
        joined += text if is_cjk(joined[-1]) else f" {text}"
    return joined


def _overlap(one: Unit, other: Unit) -> bool:
    same = one.evidence == other.evidence
    return same and one.words.start < other.words.end and other.words.start < one.words.end
