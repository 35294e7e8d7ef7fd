"""Which units make the answer, and the claims they become."""

from __future__ import annotations

from collections.abc import Sequence

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


def claims(units: Sequence[Unit], evidence: Sequence[Evidence]) -> tuple[Claim, ...]:
    """Claims of the chosen units: pages in the order given, reading order on a page, neighbours as one."""
    rank = {unit.evidence: i for i, unit in reversed(list(enumerate(units)))}
    ordered = sorted(units, key=lambda unit: (rank[unit.evidence], unit.words.start))
    merged: list[Unit] = []
    for unit in ordered:
        if merged and merged[-1].evidence == unit.evidence and unit.words.start <= merged[-1].words.end:
            merged[-1] = _join(merged[-1], unit)
        else:
            merged.append(unit)
    return tuple(_claim(unit, evidence[unit.evidence]) for unit in merged)


def _claim(unit: Unit, item: Evidence) -> Claim:
    return Claim(unit.text, (Quote(unit.text, item.document_id, item.record.page, unit.words),))


def _join(one: Unit, other: Unit) -> Unit:
    gap = "" if is_cjk(one.text[-1]) else " "
    words = WordSpan(one.words.start, other.words.end)
    return one._replace(text=f"{one.text}{gap}{other.text}", words=words)


def _overlap(one: Unit, other: Unit) -> bool:
    same = one.evidence == other.evidence
    return same and one.words.start < other.words.end and other.words.start < one.words.end
