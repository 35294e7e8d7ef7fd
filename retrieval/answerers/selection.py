"""Which units make the answer, and the claims they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.answerers.units import Unit
from retrieval.base import Claim, Evidence, Quote
from tuwen.types import Block, BlockKind, PageRecord, WordSpan, is_cjk

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
    text = shorten(group[0]) if len(group) == 1 else _join(group, item.record)
    words = WordSpan(group[0].words.start, group[-1].words.end)
    return Claim(text, (Quote(text, item.document_id, item.record.page, words),))


def _join(group: Sequence[Unit], record: PageRecord) -> str:
    """Sentences of one paragraph run on; table rows, list items and blocks stand on lines of their own."""
    joined = group[0].text
    for before, unit in pairwise(group):
        paragraph = _block(record, before)
        run_on = paragraph == _block(record, unit) and paragraph.kind is BlockKind.TEXT
        joined += ("" if is_cjk(joined[-1]) else " ") if run_on else "\n"
        joined += unit.text
    return joined


def _block(record: PageRecord, unit: Unit) -> Block:
    return next(block for block in record.blocks if block.words.start <= unit.words.start < block.words.end)


def _overlap(one: Unit, other: Unit) -> bool:
    same = one.evidence == other.evidence
    return same and one.words.start < other.words.end and other.words.start < one.words.end
