"""Which printed words a sentence of a model rests on: found by code, whatever the model says about it.

Places are tried in this order: the quotes that the model gave, the sentence itself (both exactly, then normalised, then
fuzzily), then the sentences and table rows of the evidence that share most of its words. A place counts only if it
has every number, date and code of the sentence, and enough of its words with the title and the columns it stands under.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from retrieval.answerers.answer_types import names
from retrieval.answerers.exact import NUMERALS, exact_values, unmet
from retrieval.answerers.question import content_words
from retrieval.answerers.ranking import missing, plain
from retrieval.answerers.replies import Sentence
from retrieval.answerers.units import Unit, units_of
from retrieval.base import Evidence, Quote
from retrieval.grounding import locate
from retrieval.lexical import normalize
from retrieval.sentences import Span, clauses
from tuwen.types import WordSpan, fold_space

FLOOR = 0.6
"""Weighted share that must stand in a place: of all words of a sentence, and of those that the question does not have,
which are what the sentence tells."""

_TELLING = 150.0
"""A sentence whose words tell less than one rare word does (``十天。``) means what the question is about."""
_SHORTEST_QUOTE = 3
_ALIKE = 0.2
"""Weighted share of a sentence's words that another one lacks that says the same."""
_TRIED = 4
"""Sentences and rows of the evidence that are looked at for each sentence."""


class Place(NamedTuple):
    """A stretch of one page."""

    evidence: int
    words: WordSpan
    text: str


class Support(NamedTuple):
    """What a sentence rests on."""

    quotes: tuple[Quote, ...]
    """The stretch that says it; then the column heads and titles that name what the stretch leaves out."""
    units: tuple[Unit, ...]
    """The printed sentences and rows that hold it."""


class Supporter:
    """Finds the support of sentences among the pages of one question.

    Args:
        question: what the sentences answer.
        evidence: the pages, in the order of their numbers.
    """

    def __init__(self, question: str, evidence: Sequence[Evidence]) -> None:
        self._evidence = evidence
        self._question = plain(question)
        self._asked = _words(question)
        self.units = units_of(evidence)

    def find(self, sentence: Sentence) -> Support | None:
        """The support of a sentence; of one that is put together from several places, that of each clause."""
        order = self._order(sentence.sources)
        whole = self._of(sentence.text, sentence.quotes, order)
        if whole:
            return whole
        parts = [part for part in _clauses(sentence.text) if exact_values(part) or _words(part)]
        found = [self._of(part, sentence.quotes, order) for part in parts] if len(parts) > 1 else []
        supports = [support for support in found if support]
        if not supports or len(supports) < len(parts):
            return None
        return Support(
            tuple(dict.fromkeys(quote for support in supports for quote in support.quotes)),
            tuple(dict.fromkeys(unit for support in supports for unit in support.units)),
        )

    def _order(self, sources: Sequence[int]) -> list[int]:
        """The pages that a sentence names, then the others."""
        named = [number - 1 for number in sources if 1 <= number <= len(self._evidence)]
        return list(dict.fromkeys((*named, *range(len(self._evidence)))))

    def _of(self, text: str, quotes: Sequence[str], order: Sequence[int]) -> Support | None:
        words = _words(text)
        if sum(words.values()) < _TELLING:
            words = {**self._asked, **words}
        for place in self._places(text, quotes, order, words):
            support = self._checked(text, words, place)
            if support:
                return support
        return None

    def _places(
        self, text: str, quotes: Sequence[str], order: Sequence[int], words: Mapping[str, float]
    ) -> Iterator[Place]:
        for wanted in (*quotes, text):
            for page in order if len(fold_space(wanted)) >= _SHORTEST_QUOTE else ():
                located = locate(wanted, self._evidence[page].record)
                if located:
                    place = Place(page, WordSpan(located.words[0], located.words[-1] + 1), located.text)
                    yield place
                    yield self._grown(place)
        rank = {page: position for position, page in enumerate(order)}
        near = [(missing(words, _reading(unit)), rank[unit.evidence], i) for i, unit in enumerate(self.units)]
        for _, _, i in sorted(near)[:_TRIED]:
            yield Place(self.units[i].evidence, self.units[i].words, self.units[i].text)

    def _grown(self, place: Place) -> Place:
        """The one printed sentence or row that holds a place; the place itself where several do."""
        held = [unit for unit in self._touched(place) if _within(place.words, unit.words)]
        return Place(place.evidence, held[0].words, held[0].text) if held else place

    def _checked(self, text: str, words: Mapping[str, float], place: Place) -> Support | None:
        units = self._touched(place)
        context = plain(place.text) + "".join(_reading(unit) for unit in units)
        told = {word: tells for word, tells in words.items() if word not in self._question}
        if max(missing(words, context), missing(told, context)) > 1 - FLOOR:
            return None
        if self._is_of_another_row(text, units, context) or any(name not in context for name in self._told_names(text)):
            return None
        page = self._evidence[place.evidence]
        quotes = [Quote(place.text, page.document_id, page.record.page, place.words)]
        for name in self._names(units, place):
            lacking = unmet(text, "\n".join(quote.text for quote in quotes))
            if not lacking:
                break
            if len(unmet(text, "\n".join((*(quote.text for quote in quotes), name.text)))) < len(lacking):
                quotes.append(name)
        if unmet(text, "\n".join(quote.text for quote in quotes)):
            return None
        return Support(tuple(quotes), tuple(units))

    def _is_of_another_row(self, text: str, units: Sequence[Unit], context: str) -> bool:
        """Whether a sentence names a row of the table, and the place is another row."""
        rows = [unit for unit in self.units if unit.cells and units and unit.evidence == units[0].evidence]
        labels = {plain(unit.cells[0].text) for unit in rows if units[0].cells} - {""}
        return any(label in plain(text) and label not in context for label in labels)

    def _told_names(self, text: str) -> list[str]:
        """Names of people, places and bodies in a sentence that the question does not have."""
        return [name for name in names(plain(text)) if name not in self._question]

    def _touched(self, place: Place) -> list[Unit]:
        """Printed sentences and rows that share words with a place, the smallest first."""
        touched = [unit for unit in self.units if unit.evidence == place.evidence and _meet(unit.words, place.words)]
        return sorted(touched, key=lambda unit: unit.words.end - unit.words.start)

    def _names(self, units: Sequence[Unit], place: Place) -> Iterator[Quote]:
        """What names the columns of a row, and the titles above it, as far as they stand on the page."""
        page = self._evidence[place.evidence]
        for unit in units:
            for cell in unit.cells:
                if cell.column:
                    yield Quote(cell.column.text, page.document_id, page.record.page, cell.column.words)
        titles = [block for block in page.record.blocks if block.level and block.words.start < place.words.start]
        for block in reversed(titles):
            yield Quote(block.text, page.document_id, page.record.page, block.words)


def says(claim: str, others: str) -> bool:
    """Whether ``others`` already say what ``claim`` does."""
    return not unmet(claim, others) and missing(_words(claim), plain(others)) <= _ALIKE


def _words(text: str) -> dict[str, float]:
    """Content words and how telling each is; numbers are compared as values."""
    found = content_words(normalize(text))
    return {w: tells for w, tells in found.items() if not any(char.isdigit() or char in NUMERALS for char in w)}


def _reading(unit: Unit) -> str:
    return plain(f"{unit.heading}\n{unit.reading}")


def _clauses(text: str) -> list[str]:
    return [text[start:end] for start, end in clauses(text, Span(0, len(text)))]


def _meet(one: WordSpan, other: WordSpan) -> bool:
    return one.start < other.end and other.start < one.end


def _within(one: WordSpan, other: WordSpan) -> bool:
    return other.start <= one.start and one.end <= other.end
