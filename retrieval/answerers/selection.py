"""Which units make the answer, and the claims they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.answerers.calibration import Calibration
from retrieval.answerers.cells import pick_cells
from retrieval.answerers.ranking import Ranking
from retrieval.answerers.trimming import trim
from retrieval.answerers.units import Cell, Unit
from retrieval.base import Claim, Evidence, Quote
from tuwen.types import Block, BlockKind, PageRecord, WordSpan, is_cjk

_REFERENCE_CHARS = 80
"""Length of answers for which the chance per character is fitted."""
_MOST = 3
_OVERHEAD = 20
"""Characters that a further unit costs its reader beside its own: another marker, another subject."""
_LONGEST = 2.5
"""No unit is added beyond this multiple of the aimed-at length."""


class Said(NamedTuple):
    """What an answer says of a unit: all of it, a run of its clauses, or cells."""

    unit: Unit
    text: str
    cells: tuple[Cell, ...] = ()
    """The cells that the text is made of; empty when it is a stretch of the page."""


def shorten(ranking: Ranking, unit: Unit, calibration: Calibration) -> Said:
    """The part of a unit that answers."""
    picked = pick_cells(ranking.question, unit)
    if picked:
        return Said(unit, picked.text, tuple(picked.quoted))
    return Said(unit, trim(ranking, unit, calibration.trimming, calibration.trim_per_char))


def select(shares: NDArray[np.float64], say: Callable[[int], Said], per_char: float, max_chars: int) -> list[Said]:
    """The best unit, and those that raise the chance of holding the answer enough for their length; best first.

    Args:
        shares: the chance of each unit to hold the answer.
        say: what is said of the unit of that number.
        per_char: chance that a character of a further unit must be worth, in an answer of usual length.
        max_chars: aimed-at length of the answer.
    """
    needed = per_char * _REFERENCE_CHARS / max_chars
    first, *others = np.argsort(-shares, kind="stable").tolist()
    chosen = [say(first)]
    for i in others:
        if len(chosen) == _MOST or shares[i] < needed * _OVERHEAD:
            break
        said = say(i)
        worth = shares[i] >= needed * (len(said.text) + _OVERHEAD)
        if worth and _fits(said, chosen, max_chars):
            chosen.append(said)
    return chosen


def _fits(said: Said, chosen: Sequence[Said], max_chars: int) -> bool:
    length = sum(len(one.text) for one in (*chosen, said))
    return length <= _LONGEST * max_chars and not any(_overlap(said.unit, one.unit) for one in chosen)


def claims(chosen: Sequence[Said], evidence: Sequence[Evidence]) -> tuple[Claim, ...]:
    """Claims of the chosen units: pages in the order given, reading order on a page, neighbours whole and as one."""
    rank = {said.unit.evidence: i for i, said in reversed(list(enumerate(chosen)))}
    groups: list[list[Said]] = []
    for said in sorted(chosen, key=lambda said: (rank[said.unit.evidence], said.unit.words.start)):
        if groups and _run_on(groups[-1][-1], said):
            groups[-1].append(said)
        else:
            groups.append([said])
    return tuple(_claim(group, evidence[group[0].unit.evidence]) for group in groups)


def _run_on(before: Said, said: Said) -> bool:
    same = before.unit.evidence == said.unit.evidence and not (before.cells or said.cells)
    return same and said.unit.words.start <= before.unit.words.end


def _claim(group: Sequence[Said], item: Evidence) -> Claim:
    page = item.document_id, item.record.page
    if group[0].cells:
        return Claim(group[0].text, tuple(Quote(cell.text, *page, cell.words) for cell in group[0].cells))
    text = group[0].text if len(group) == 1 else _join([said.unit for said in group], item.record)
    words = WordSpan(group[0].unit.words.start, group[-1].unit.words.end)
    return Claim(text, (Quote(text, *page, words),))


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
