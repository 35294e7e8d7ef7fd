"""How well each unit of the evidence answers the question, as a few features that are fitted, not guessed.

Terms count by how few of the units hold them (inverse document frequency within the evidence). A page's
subject often stands in its heading alone, so the heading and the neighbours count as context.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.answerers.answer_types import lacks_type, type_match
from retrieval.answerers.question import Question, analyze_question
from retrieval.answerers.units import Unit, units_of
from retrieval.base import Encoder, Evidence
from retrieval.lexical import analyze, normalize
from tuwen.types import fold_space

UNIT_FEATURES = ("heading", "context", "rest", "chars", "page", "dense", "type", "position")
"""
heading: weighted share of the question's terms in the unit or its heading
context: the same, neighbours included
rest: the same in the unit alone, of the terms that its heading lacks
chars: weighted share of the question's characters in the unit
page: the page's retrieval score over the best page's
dense: cosine of the question and the unit under its heading
type: whether the unit holds what the kind of question asks for
position: logarithm of its place on the page
"""
QUESTION_FEATURES = ("missing", "asked", "lacks", "dense", "lead", "chars")
"""
missing: share of the question's words, by what they tell, that the best unit, its heading and neighbours lack
asked: the same of the words beside the question word, which say what is asked about the subject
lacks: whether a number, a date or a person is asked for and the best unit holds none
dense: cosine of the best unit
lead: by how much that is above the highest of the other units
chars: of the best unit
"""
_SHORTLIST = 10
"""Units that are compared by their vectors; the others cannot win on words."""


class Ranking(NamedTuple):
    """The units of a question's evidence and their features."""

    question: Question
    evidence: Sequence[Evidence]
    units: list[Unit]
    """The most promising ones, at most 10, best page first."""
    features: NDArray[np.float64]
    """Shape (units, 8), columns as :data:`UNIT_FEATURES`."""
    surroundings: list[str]
    """Of each unit: the document's name, its heading, its neighbours and itself."""

    def question_features(self, best: int) -> NDArray[np.float64]:
        """Features of the question given its best unit, shape (6,), as :data:`QUESTION_FEATURES`."""
        printed = plain(self.surroundings[best])
        dense = self.features[:, UNIT_FEATURES.index("dense")]
        others = np.delete(dense, best)
        return np.array(
            [
                missing(self.question.words, printed),
                missing(self.question.asked, printed),
                float(lacks_type(self.question, plain(self.units[best].reading))),
                dense[best],
                dense[best] - others.max() if len(others) else 0.0,
                self.features[best, UNIT_FEATURES.index("chars")],
            ]
        )


def rank(question: str, evidence: Sequence[Evidence], encoder: Encoder) -> Ranking:
    """Take the evidence apart and compare it with the question; no unit when no page has text."""
    return rank_units(question, evidence, units_of(evidence), encoder)


def rank_units(question: str, evidence: Sequence[Evidence], units: Sequence[Unit], encoder: Encoder) -> Ranking:
    """Compare units, in reading order, with the question."""
    asked = analyze_question(question)
    lexical = _lexical_features(asked, units, evidence)
    shortlist = sorted(np.argsort(-_promise(lexical), kind="stable")[:_SHORTLIST].tolist())
    chosen = [units[i] for i in shortlist]
    features = lexical[shortlist]
    if chosen:
        features[:, UNIT_FEATURES.index("dense")] = _similarities(question, chosen, encoder)
    return Ranking(asked, evidence, chosen, features, [_surroundings(units, evidence, i) for i in shortlist])


def missing(words: Mapping[str, float], printed: str) -> float:
    """Weighted share of ``words`` that ``printed`` (plain) lacks, 0..1; a word that is partly there counts in part."""
    total = sum(words.values())
    return sum(weight * (1 - _presence(word, printed)) for word, weight in words.items()) / total if total else 0.0


def _lexical_features(question: Question, units: Sequence[Unit], evidence: Sequence[Evidence]) -> NDArray[np.float64]:
    """All features but ``dense``, which is left 0; shape (units, 8)."""
    held = [terms_of(unit.reading) for unit in units]
    terms = weigh(question.terms, held)
    wordings = [plain(unit.reading) for unit in units]
    chars = weigh(dict.fromkeys(question.chars, 1.0), [frozenset(text) for text in wordings], absent=True)
    best = max((item.score for item in evidence), default=0.0) or 1.0
    rows = np.zeros((len(units), len(UNIT_FEATURES)))
    for i, unit in enumerate(units):
        heading = terms_of(unit.heading)
        around = held[i].union(heading, *(held[j] for j in _neighbours(units, i)))
        rest = {term: weight for term, weight in terms.items() if term not in heading}
        rows[i] = (
            share(terms, held[i] | heading),
            share(terms, around),
            share(rest, held[i]),
            share(chars, wordings[i]),
            evidence[unit.evidence].score / best,
            0.0,
            type_match(question, wordings[i]),
            math.log1p(unit.order),
        )
    return rows


def _promise(lexical: NDArray[np.float64]) -> NDArray[np.float64]:
    """A plain sum that keeps what may win: terms in context, terms of its own, characters, page and type."""
    names = ("heading", "context", "rest", "chars", "page")
    total: NDArray[np.float64] = lexical[:, [UNIT_FEATURES.index(name) for name in names]].sum(1)
    return total + 0.5 * lexical[:, UNIT_FEATURES.index("type")]


def _similarities(question: str, units: Sequence[Unit], encoder: Encoder) -> NDArray[np.float64]:
    (asked,) = encoder.encode_texts([question], "query")
    texts = [f"{unit.heading}\n{unit.reading}" if unit.heading else unit.reading for unit in units]
    vectors = np.stack([np.asarray(vector, np.float64) for vector in encoder.encode_texts(texts, "passage")])
    cosines: NDArray[np.float64] = vectors @ np.asarray(asked, np.float64)
    return cosines


def weigh(wanted: Mapping[str, float], held: Sequence[Collection[str]], *, absent: bool = False) -> dict[str, float]:
    """Weights times inverse document frequency over ``held``; what none holds is left out unless ``absent``."""
    weights: dict[str, float] = {}
    for item, weight in wanted.items():
        found = sum(item in collection for collection in held)
        if found or absent:
            weights[item] = weight * math.log1p((len(held) - found + 0.5) / (found + 0.5))
    return weights


def share(weights: Mapping[str, float], held: Collection[str]) -> float:
    """The part of the weights whose item is ``held``, 0..1."""
    total = sum(weights.values())
    return sum(weight for item, weight in weights.items() if item in held) / total if total else 0.0


def _surroundings(units: Sequence[Unit], evidence: Sequence[Evidence], i: int) -> str:
    around = [units[j].reading for j in (*_neighbours(units, i), i)]
    return "\n".join([evidence[units[i].evidence].document_name, units[i].heading, *around])


def _neighbours(units: Sequence[Unit], i: int) -> list[int]:
    """The units before and after on the same page."""
    near = (j for j in (i - 1, i + 1) if 0 <= j < len(units))
    return [j for j in near if units[j].evidence == units[i].evidence]


def _presence(word: str, printed: str) -> float:
    if word in printed:
        return 1.0
    pairs = [word[i : i + 2] for i in range(len(word) - 1)]
    return sum(pair in printed for pair in pairs) / len(pairs) if pairs else 0.0


@lru_cache(maxsize=16384)
def terms_of(text: str) -> frozenset[str]:
    """The distinct terms of a text."""
    return frozenset(analyze(text))


@lru_cache(maxsize=16384)
def plain(text: str) -> str:
    """Normalised, without white space."""
    return fold_space(normalize(text))
