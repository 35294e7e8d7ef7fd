"""A table row cut down to the cells that answer, with what names its row and their columns.

There is no labelled set of table questions to fit this on, so it is a rule: a column is told by its name or by the kind
of its cell, or it is not, and then the whole row answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from retrieval.answerers.answer_types import TELLING, type_match
from retrieval.answerers.question import Question, analyze_question
from retrieval.answerers.ranking import missing, plain, share, terms_of, weigh
from retrieval.answerers.units import Cell, Unit, units_of
from retrieval.base import Evidence
from retrieval.lexical import words

_STATED = 0.5
"""Share of a cell's terms that a question must hold to name the row by it."""
_NAMED = 0.5
"""Share of a column name's characters that a question must hold to ask for the column."""
_FURTHER = 0.25
"""Share of the terms that name columns which a further column must hold alone."""


class Picked(NamedTuple):
    """The cells that answer, and the one that says what they are about."""

    label: Cell
    cells: tuple[Cell, ...]

    @property
    def text(self) -> str:
        """``label · column：cell``, further cells after a semicolon; the wording of each part is the page's own."""
        parts = [f"{cell.column.text}：{cell.text}" if cell.column else cell.text for cell in self.cells]
        return f"{self.label.text} · " + "；".join(parts)

    @property
    def quoted(self) -> list[Cell]:
        """All cells that the text is made of: those that answer, the label, the names of the columns."""
        return [*self.cells, self.label, *(cell.column for cell in self.cells if cell.column)]


def pick_cells(question: Question, unit: Unit) -> Picked | None:
    """The cells of a row that answer; None for other units, and where the row is asked for or no column is told."""
    if len(unit.cells) < 3:
        return None
    label = _label(question, unit.cells)
    others = [cell for cell in unit.cells if cell is not label]
    asked = _asked(question, label, others)
    if not asked or len(asked) == len(others):
        return None
    return Picked(label, tuple(asked))


def candidates(question: str, evidence: Sequence[Evidence]) -> list[Unit]:
    """The units that may answer: all but the rows of tables that have no column for what is asked."""
    asked = analyze_question(question)
    return [unit for unit in units_of(evidence) if len(unit.cells) < 3 or _tells(asked, unit)]


def _tells(question: Question, unit: Unit) -> bool:
    """Whether a column can be told, or a column, the heading or the row itself names what is asked, if only in part.

    The names of its columns say all that a table tells: where a number, a date or a person is asked for, a row that
    merely names the subject answers nothing.
    """
    asked = {word: weight for word, weight in question.asked.items() if len(word) > 1}
    if question.kind not in TELLING or not asked or not any(cell.column for cell in unit.cells):
        return True
    names = plain("".join([unit.heading, *(cell.column.text for cell in unit.cells if cell.column)]))
    shared = any(char in names for word in asked for char in word)
    return shared or missing(asked, plain(unit.text)) <= _STATED or pick_cells(question, unit) is not None


def _label(question: Question, cells: Sequence[Cell]) -> Cell:
    """The cell that the question states best; else the first that is more than a number."""
    wordy = [cell for cell in cells if any(char.isalpha() for char in cell.text)] or list(cells)
    stated = [0.0 if _fits(question, cell) else _coverage(question.terms, cell.text) for cell in wordy]
    best = max(stated)
    return wordy[stated.index(best)] if best >= _STATED else wordy[0]


def _asked(question: Question, label: Cell, cells: Sequence[Cell]) -> list[Cell]:
    if question.kind not in TELLING:
        return _named(question, label, cells)
    fitting = [cell for cell in cells if _fits(question, cell)]
    partly = [cell for cell in cells if _match(question, cell)]
    named = _named(question, label, fitting) or _named(question, label, partly)
    return named or (fitting if len(fitting) == 1 else [])


def _named(question: Question, label: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """The cells whose columns the question names, and each further one that it names apart from them."""
    stated = terms_of(label.text)
    held = [terms_of(cell.column.text if cell.column else "") for cell in cells]
    wanted = weigh({term: weight for term, weight in question.terms.items() if term not in stated}, held)
    wording = question.text.replace(plain(label.text), " ")
    named = [_name_share(plain(cell.column.text) if cell.column else "", wording) for cell in cells]
    chosen: list[int] = []
    left = dict(wanted)
    while left:
        gains = [math.fsum(left[term] for term in terms & left.keys()) for terms in held]
        best = max(gains)
        if chosen and best < _FURTHER * sum(wanted.values()):
            break
        tied = [i for i, gain in enumerate(gains) if gain == best]
        closest = max(named[i] for i in tied)
        taken = [i for i in tied if named[i] == closest and closest >= _NAMED]
        chosen += taken
        for i in tied:
            for term in held[i]:
                left.pop(term, None)
    return [cells[i] for i in sorted(chosen)]


def _fits(question: Question, cell: Cell) -> bool:
    """Whether the cell holds what a question of a telling kind asks for, in the unit that it asks for."""
    match = _match(question, cell)
    column = plain(cell.column.text) if cell.column else ""
    return match >= 1 or (match > 0 and question.unit != "" and question.unit in column)


def _match(question: Question, cell: Cell) -> float:
    return type_match(question, plain(cell.text)) if question.kind in TELLING else 0.0


def _coverage(wanted: Mapping[str, float], text: str) -> float:
    terms = terms_of(text)
    return share(dict.fromkeys(terms, 1.0), wanted.keys())


def _name_share(name: str, wording: str) -> float:
    """Share of a name's characters in ``wording``; at least half when its last word, the head of a compound, is."""
    if not name:
        return 0.0
    head = words(name)[-1]
    shared = sum(char in wording for char in name) / len(name)
    return max(shared, _NAMED) if len(head) > 1 and head in wording else shared
