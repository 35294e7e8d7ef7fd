"""Fits the few numbers of the extractive answerer, and checks them across documents.

Ranking: conditional logit over a question's units (McFadden 1974). Refusal: logistic regression. Both with a
ridge penalty on standardised features, by Newton's method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.dataset import Query
from evals.measure import Place
from evals.metrics import fold, mean, simplify
from retrieval.answerers.calibration import Calibration, LinearModel, softmax
from retrieval.answerers.ranking import QUESTION_FEATURES, UNIT_FEATURES, Ranking, rank_units
from retrieval.answerers.selection import Said, claims, select, shorten
from retrieval.answerers.trimming import WINDOW_FEATURES, windows
from retrieval.answerers.units import units_of
from retrieval.base import Encoder, Evidence

Vector = NDArray[np.floating]
_RIDGE = 1.0
_STEPS = 50
_BEREFT_IMPORTANCE = 0.03
"""Of a question without its answer: together they count for less than the truly unanswerable ones."""
_TRIMMING_IMPORTANCE = 5.0
"""Of one sentence, shared by its runs of clauses."""
_SHARE_OF_LIMIT = 0.85
"""Answers may grow to this share of the aimed-at length on the fitting set; other sets have longer sentences."""
_GAINS = (0.02, 0.01, 0.006, 0.004, 0.003, 0.0025, 0.00225, 0.002, 0.00175, 0.0015, 0.001, 0.0005)


class Observation(NamedTuple):
    """One question as the answerer saw it, and the truth."""

    ranking: Ranking
    answers: tuple[str, ...]
    answerable: bool
    document: str
    """Of the first relevant page; empty for an unanswerable question."""
    right: NDArray[np.bool_]
    """Whether each unit is on a relevant page and holds the answer (or is a part of a long one)."""
    bereft: Ranking | None
    """The same question when the units that hold its answer are taken out of the evidence: hard to refuse."""


class CrossValidation(NamedTuple):
    """What numbers fitted on other documents reach."""

    contained: float
    """Share of answerable questions whose answer text holds the gold string, refusals counted as misses."""
    characters: float
    """Mean length of the answers."""
    refused: float
    """Share of unanswerable questions refused."""
    falsely_refused: float
    """Share of answerable questions refused."""


def observe(query: Query, evidence: Sequence[Evidence], relevant: set[Place], encoder: Encoder) -> Observation:
    """Rank the evidence and mark the units that hold the answer."""
    units = units_of(evidence)
    ranking = rank_units(query.question, evidence, units, encoder)
    answers = [_plain(answer) for answer in query.answers]
    pages = [(item.document_id, item.record.page) in relevant for item in evidence]
    texts = [_plain(unit.text) if pages[unit.evidence] else "" for unit in ranking.units]
    right = [any(answer in text for answer in answers) for text in texts]
    if not any(right):
        right = [_is_part(text, answers) for text in texts]
    bereft = None
    if query.answerable:
        rest = [unit for unit in units if not _gives_away(_plain(unit.text), answers)]
        bereft = rank_units(query.question, evidence, rest, encoder)
    document = min(relevant)[0] if relevant else ""
    return Observation(ranking, query.answers, query.answerable, document, np.array(right, bool), bereft)


def fit(observations: Sequence[Observation], max_chars: int) -> Calibration:
    """All numbers from one set of questions."""
    ranking = _fit_ranking(observations)
    rough = Calibration(
        ranking=ranking,
        refusal=_fit_refusal(observations, ranking),
        trimming=_fit_trimming(observations, ranking),
        gain_per_char=_GAINS[0],
    )
    return rough.model_copy(update={"gain_per_char": _fit_gain(observations, rough, max_chars)})


def cross_validate(observations: Sequence[Observation], max_chars: int, folds: int = 5) -> CrossValidation:
    """Fit on all documents but a fold's, measure on the fold's; unanswerable questions are dealt out in turn."""
    documents = sorted({item.document for item in observations if item.document})
    fold_of = {document: i % folds for i, document in enumerate(documents)}
    parts = [fold_of.get(item.document, i % folds) for i, item in enumerate(observations)]
    rows: list[tuple[Observation, bool, str]] = []
    for number in range(folds):
        calibration = fit([item for item, part in zip(observations, parts, strict=True) if part != number], max_chars)
        held_out = [item for item, part in zip(observations, parts, strict=True) if part == number]
        rows += [(item, *_predict(item, calibration, max_chars)) for item in held_out]
    return _score(rows)


def evaluate(observations: Sequence[Observation], calibration: Calibration, max_chars: int) -> CrossValidation:
    """Measure given numbers."""
    return _score([(item, *_predict(item, calibration, max_chars)) for item in observations])


def _score(rows: Sequence[tuple[Observation, bool, str]]) -> CrossValidation:
    answerable = [(item, refused, text) for item, refused, text in rows if item.answerable]
    return CrossValidation(
        mean([float(not refused and _holds(item.answers, text)) for item, refused, text in answerable]),
        mean([float(len(text)) for _, refused, text in answerable if not refused]),
        mean([float(refused) for item, refused, _ in rows if not item.answerable]),
        mean([float(refused) for _, refused, _ in answerable]),
    )


def _predict(item: Observation, calibration: Calibration, max_chars: int) -> tuple[bool, str]:
    if not item.ranking.units:
        return True, ""
    shares = softmax(calibration.ranking(item.ranking.features))
    best = int(shares.argmax())
    refused = float(calibration.refusal(item.ranking.question_features(best)[None])[0]) > 0
    return refused, _text(item.ranking, shares, calibration, max_chars)


def _text(ranking: Ranking, shares: NDArray[np.float64], calibration: Calibration, max_chars: int) -> str:
    def say(i: int) -> Said:
        return shorten(ranking, ranking.units[i], calibration)

    chosen = select(shares, say, calibration.gain_per_char, max_chars)
    return "".join(claim.text for claim in claims(chosen, ranking.evidence))


def _fit_ranking(observations: Sequence[Observation]) -> LinearModel:
    known = [item for item in observations if item.right.any()]
    mean_, scale = _moments(np.vstack([item.ranking.features for item in known]))
    cases = [((item.ranking.features - mean_) / scale, item.right) for item in known]
    weights = np.zeros(len(UNIT_FEATURES))
    for _ in range(_STEPS):
        gradient, hessian = _RIDGE * weights, _RIDGE * np.eye(len(weights))
        for rows, right in cases:
            scores = rows @ weights
            shares, wanted = softmax(scores), softmax(np.where(right, scores, -np.inf))
            expected = shares @ rows
            gradient += expected - wanted @ rows
            hessian += (rows * shares[:, None]).T @ rows - np.outer(expected, expected)
        weights = weights - _bounded(np.linalg.solve(hessian, gradient))
    return _model(UNIT_FEATURES, mean_, scale, weights)


def _fit_refusal(observations: Sequence[Observation], ranking: LinearModel) -> LinearModel:
    seen = [(item.ranking, not item.answerable) for item in observations if item.ranking.units]
    bereft = [item.bereft for item in observations if item.bereft and item.bereft.units]
    rows = np.stack([_question_row(one, ranking) for one in [*(one for one, _ in seen), *bereft]])
    target = np.array([*(float(refuse) for _, refuse in seen), *[1.0] * len(bereft)])
    # Unanswerable questions are few in a set and not in life: the square root meets half-way.
    unanswerable = max(1.0, target[: len(seen)].sum())
    importance = np.where(target == 1, math.sqrt((len(seen) - unanswerable) / unanswerable), 1.0)
    importance[len(seen) :] = _BEREFT_IMPORTANCE
    return _fit_logistic(QUESTION_FEATURES, rows, target, importance)


def _fit_trimming(observations: Sequence[Observation], ranking: LinearModel) -> LinearModel:
    """On the best units that hold the whole answer, each counting the same however many runs of clauses it has."""
    rows, target, importance = [np.zeros((0, len(WINDOW_FEATURES)))], [np.zeros(0)], [np.zeros(0)]
    for item in observations:
        best = int(ranking(item.ranking.features).argmax()) if item.right.any() else -1
        unit = item.ranking.units[best]
        found = windows(item.ranking, unit) if best >= 0 and _holds(item.answers, unit.text) else None
        if found:
            rows.append(found.features)
            target.append(np.array([_holds(item.answers, text) for text in found.texts], float))
            importance.append(np.full(len(found.texts), _TRIMMING_IMPORTANCE / len(found.texts)))
    return _fit_logistic(WINDOW_FEATURES, np.vstack(rows), np.concatenate(target), np.concatenate(importance))


def _fit_logistic(features: tuple[str, ...], rows: Vector, target: Vector, importance: Vector) -> LinearModel:
    mean_, scale = _moments(rows)
    rows = np.column_stack([(rows - mean_) / scale, np.ones(len(rows))])
    weights, ridge = np.zeros(rows.shape[1]), np.diag([_RIDGE] * len(features) + [1e-6])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(rows @ weights)))
        gradient = rows.T @ (importance * (chance - target)) + ridge @ weights
        hessian = (rows * (importance * chance * (1 - chance))[:, None]).T @ rows + ridge
        weights = weights - _bounded(np.linalg.solve(hessian, gradient))
    return _model(features, mean_, scale, weights[:-1], float(weights[-1]))


def _fit_gain(observations: Sequence[Observation], rough: Calibration, max_chars: int) -> float:
    asked = [item.ranking for item in observations if item.answerable and item.ranking.units]
    shares = [softmax(rough.ranking(one.features)) for one in asked]
    allowed = _GAINS[0]
    for gain in _GAINS:
        calibration = rough.model_copy(update={"gain_per_char": gain})
        lengths = [
            float(len(_text(one, share, calibration, max_chars))) for one, share in zip(asked, shares, strict=True)
        ]
        if mean(lengths) > _SHARE_OF_LIMIT * max_chars:
            break
        allowed = gain
    return allowed


def _bounded(step: Vector) -> Vector:
    return step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))


def _moments(rows: Vector) -> tuple[Vector, Vector]:
    if not len(rows):
        return np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    scale = rows.std(0)
    return rows.mean(0), np.where(scale > 1e-9, scale, 1.0)


def _model(features: tuple[str, ...], mean_: Vector, scale: Vector, weights: Vector, bias: float = 0.0) -> LinearModel:
    def rounded(values: Vector) -> tuple[float, ...]:
        return tuple(round(float(value), 5) for value in values)

    return LinearModel(
        features=features, mean=rounded(mean_), scale=rounded(scale), weights=rounded(weights), bias=round(bias, 5)
    )


def _question_row(one: Ranking, ranking: LinearModel) -> Vector:
    return one.question_features(int(ranking(one.features).argmax()))


def _gives_away(text: str, answers: Sequence[str]) -> bool:
    return any(answer in text for answer in answers) or _is_part(text, answers)


def _is_part(text: str, answers: Sequence[str]) -> bool:
    """Whether ``text`` is a sentence of a longer answer."""
    return len(text) > 5 and any(text.strip("。；，") in answer for answer in answers)


def _holds(answers: Sequence[str], text: str) -> bool:
    return any(_plain(answer) in _plain(text) for answer in answers)


def _plain(text: str) -> str:
    return simplify(fold(text))
