"""A long sentence cut down to the clauses that answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.answerers.answer_types import type_match
from retrieval.answerers.calibration import LinearModel
from retrieval.answerers.ranking import Ranking, plain, share, terms_of, weigh
from retrieval.answerers.units import Unit
from retrieval.sentences import Span, clauses

WINDOW_FEATURES = ("length", "log_length", "terms", "rest", "chars", "type", "type_change", "opens", "closes")
"""
length, log_length: in characters, the first as a share of the sentence
terms, rest, chars: shares of what the sentence holds of the question's terms, those that its heading lacks, characters
type, type_change: whether it holds what the kind of question asks for, also less the sentence's
opens, closes: whether it begins and ends with the sentence
"""
LONG = 60
"""Characters from which a sentence is considered for trimming."""
_MOST_CLAUSES = 12


class Windows(NamedTuple):
    """All runs of clauses of one sentence."""

    texts: list[str]
    features: NDArray[np.float64]
    """Shape (windows, 9), columns as :data:`WINDOW_FEATURES`."""


def trim(ranking: Ranking, unit: Unit, model: LinearModel, per_char: float) -> str:
    """The run of clauses whose chance of holding the answer is worth its length; the whole sentence when short."""
    found = windows(ranking, unit)
    if found is None:
        return unit.text
    text = shortest(found, model, per_char)
    return text if text == unit.text else text.rstrip("，：,: ")


def shortest(found: Windows, model: LinearModel, per_char: float) -> str:
    """The run with the highest chance of holding the answer, less ``per_char`` for each of its characters."""
    chances = 1 / (1 + np.exp(-model(found.features)))
    worth = chances - per_char * np.array([len(text) for text in found.texts])
    return found.texts[int(worth.argmax())]


def windows(ranking: Ranking, unit: Unit) -> Windows | None:
    """The runs of clauses of a long sentence, or None of a short one, a list or a row."""
    if len(unit.text) < LONG or "\n" in unit.text or unit.reading != unit.text:
        return None
    spans = clauses(unit.text, Span(0, len(unit.text)))
    if not 1 < len(spans) <= _MOST_CLAUSES:
        return None
    held = [terms_of(other.reading) for other in ranking.units]
    terms = weigh(ranking.question.terms, held)
    within = terms_of(unit.text)
    terms = {term: weight for term, weight in terms.items() if term in within}
    heading = terms_of(unit.heading)
    rest = {term: weight for term, weight in terms.items() if term not in heading}
    chars = {char: 1.0 for char in ranking.question.chars if char in plain(unit.text)}
    runs = [(i, j) for i in range(len(spans)) for j in range(i, len(spans))]
    texts = [unit.text[spans[i].start : spans[j].end] for i, j in runs]
    rows = [
        [*_features(ranking, unit, text, terms, rest, chars), float(i == 0), float(j == len(spans) - 1)]
        for text, (i, j) in zip(texts, runs, strict=True)
    ]
    return Windows(texts, np.array(rows))


def _features(
    ranking: Ranking,
    unit: Unit,
    text: str,
    terms: Mapping[str, float],
    rest: Mapping[str, float],
    chars: Mapping[str, float],
) -> list[float]:
    wording, held = plain(text), terms_of(text)
    fits = type_match(ranking.question, wording)
    return [
        len(text) / len(unit.text),
        math.log(len(text)),
        share(terms, held),
        share(rest, held),
        share(chars, wording),
        fits,
        fits - type_match(ranking.question, plain(unit.text)),
    ]
