"""What a model is shown of a page's text: all of it, or the parts that are closest to the question."""

from __future__ import annotations

from itertools import pairwise

from retrieval.answerers.question import analyze_question
from retrieval.answerers.ranking import share, terms_of, weigh
from retrieval.answerers.units import Unit, units_of
from retrieval.base import Evidence

_OF_PASSAGE = 0.3
"""What standing in a passage that retrieval found is worth, against the terms of the question."""
_GAP = "……"


def excerpt(question: str, item: Evidence, max_chars: int) -> str:
    """The text of a page, or as many of its sentences and rows as ``max_chars`` allow, in reading order."""
    whole = item.record.markdown
    if len(whole) <= max_chars:
        return whole
    units = units_of([item])
    terms = weigh(analyze_question(question).terms, [terms_of(unit.reading) | terms_of(unit.heading) for unit in units])
    worth = [
        share(terms, terms_of(unit.reading) | terms_of(unit.heading)) + _OF_PASSAGE * _is_found(unit, item)
        for unit in units
    ]
    left = max_chars
    chosen: list[int] = []
    for i in sorted(range(len(units)), key=lambda i: -worth[i]):
        cost = len(_shown(units[i])) + len(_GAP)
        if cost <= left and not any(_inside(units[i], units[j]) for j in chosen):
            chosen.append(i)
            left -= cost
    return _joined(units, sorted(chosen)) or whole[:max_chars]


def _joined(units: list[Unit], chosen: list[int]) -> str:
    lines = [_shown(units[i]) for i in chosen[:1]]
    for before, i in pairwise(chosen):
        apart = units[i].words.start > units[before].words.end
        lines.append((f"{_GAP}\n" if apart else "") + _shown(units[i], after=units[before]))
    return "\n".join(lines)


def _shown(unit: Unit, after: Unit | None = None) -> str:
    """A unit under its heading, unless the one before stands under the same."""
    heading = unit.heading if not after or after.heading != unit.heading else ""
    return f"{heading}\n{unit.reading}".strip()


def _is_found(unit: Unit, item: Evidence) -> bool:
    return any(
        span.page == item.record.page and span.start < unit.words.end and unit.words.start < span.end
        for passage in item.passages
        for span in passage.spans
    )


def _inside(unit: Unit, other: Unit) -> bool:
    return other.words.start <= unit.words.start and unit.words.end <= other.words.end
