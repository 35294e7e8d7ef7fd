"""Fits the few numbers of the extractive answerer, and checks them across documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.dataset import Query
from evals.measure import Place
from evals.metrics import fold, mean, simplify
from evals.regression import fit_choice, fit_logistic
from retrieval.answerers.calibration import Calibration, LinearModel, softmax
from retrieval.answerers.cells import candidates
from retrieval.answerers.ranking import QUESTION_FEATURES, UNIT_FEATURES, Ranking, rank_units
from retrieval.answerers.selection import Said, claims, select, shorten
from retrieval.answerers.trimming import WINDOW_FEATURES, shortest, windows
from retrieval.base import Encoder, Evidence

_BEREFT_IMPORTANCE = 0.3
"""Of a question whose answer was taken out of its page: many are answered in other words on the same page."""
_FALSE_REFUSALS = 0.008
"""Share of the answerable questions of the fitting set that may be refused; on other sets it is several times that."""
_TRIMMING_IMPORTANCE = 5.0
"""Of one sentence, shared by its runs of clauses."""
_TRIMMING_LOSS = 0.01
"""Share of the sentences with the answer that trimming may spoil."""
_UNNEEDED = 0.1
"""Share of the answers whose first unit suffices that may carry a further one all the same."""
_PER_CHAR = (0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.0035, 0.004, 0.005, 0.006, 0.008, 0.01, 0.02)
"""Chances per character that are tried."""


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
    elsewhere: Ranking | None
    """The same question when its pages are not in the index; None when another page holds the answer too."""


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
    refused_elsewhere: float
    """Share of answerable questions refused when their pages are not in the index and no other page answers."""
    several: float
    """Share of the answers to answerable questions that are made of more than one unit."""
    further_adds: float
    """Of these, the share in which the further units add the gold string; nan for none."""
    further_characters: float
    """Mean length that further units add to these."""


class _Prediction(NamedTuple):
    refused: bool
    first: str
    """What is said of the best unit."""
    text: str
    """The whole answer."""
    several: bool
    refused_elsewhere: bool | None
    """None when it is not known that nothing else answers."""


def observe(
    query: Query,
    evidence: Sequence[Evidence],
    relevant: set[Place],
    encoder: Encoder,
    elsewhere: Sequence[Evidence] = (),
) -> Observation:
    """Rank the evidence and mark the units that hold the answer.

    Args:
        query: the question and its answers.
        evidence: what the engine finds.
        relevant: the pages that hold the answer.
        encoder: of questions and units.
        elsewhere: what the engine finds when the relevant pages are not in the index.
    """
    units = candidates(query.question, evidence)
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
    without = rank_units(query.question, elsewhere, candidates(query.question, elsewhere), encoder)
    told = any(_holds(query.answers, unit.text) for unit in without.units)
    document = min(relevant)[0] if relevant else ""
    return Observation(
        ranking,
        query.answers,
        query.answerable,
        document,
        np.array(right, bool),
        bereft,
        without if without.units and not told else None,
    )


def fit(observations: Sequence[Observation], max_chars: int) -> Calibration:
    """All numbers from one set of questions."""
    known = [(item.ranking.features, item.right) for item in observations if item.right.any()]
    ranking = fit_choice(UNIT_FEATURES, known)
    rough = Calibration(
        ranking=ranking,
        refusal=_fit_refusal(observations, ranking),
        trimming=_fit_trimming(observations, ranking),
        trim_per_char=0.0,
        further_per_char=_PER_CHAR[-1],
    )
    trimmed = rough.model_copy(update={"trim_per_char": _fit_trim_per_char(observations, rough)})
    return trimmed.model_copy(update={"further_per_char": _fit_further_per_char(observations, trimmed, max_chars)})


def cross_validate(observations: Sequence[Observation], max_chars: int, folds: int = 5) -> CrossValidation:
    """Fit on all documents but a fold's, measure on the fold's; unanswerable questions are dealt out in turn."""
    documents = sorted({item.document for item in observations if item.document})
    fold_of = {document: i % folds for i, document in enumerate(documents)}
    parts = [fold_of.get(item.document, i % folds) for i, item in enumerate(observations)]
    rows: list[tuple[Observation, _Prediction]] = []
    for number in range(folds):
        calibration = fit([item for item, part in zip(observations, parts, strict=True) if part != number], max_chars)
        held_out = [item for item, part in zip(observations, parts, strict=True) if part == number]
        rows += [(item, _predict(item, calibration, max_chars)) for item in held_out]
    return _score(rows)


def evaluate(observations: Sequence[Observation], calibration: Calibration, max_chars: int) -> CrossValidation:
    """Measure given numbers."""
    return _score([(item, _predict(item, calibration, max_chars)) for item in observations])


def _score(rows: Sequence[tuple[Observation, _Prediction]]) -> CrossValidation:
    answerable = [(item.answers, made) for item, made in rows if item.answerable]
    answered = [(answers, made) for answers, made in answerable if not made.refused]
    several = [(answers, made) for answers, made in answered if made.several]
    return CrossValidation(
        contained=mean([float(not made.refused and _holds(answers, made.text)) for answers, made in answerable]),
        characters=mean([float(len(made.text)) for _, made in answered]),
        refused=mean([float(made.refused) for item, made in rows if not item.answerable]),
        falsely_refused=mean([float(made.refused) for _, made in answerable]),
        refused_elsewhere=mean(
            [float(made.refused_elsewhere) for _, made in answerable if made.refused_elsewhere is not None]
        ),
        several=mean([float(made.several) for _, made in answered]),
        further_adds=mean(
            [float(_holds(answers, made.text) and not _holds(answers, made.first)) for answers, made in several]
        ),
        further_characters=mean([float(len(made.text) - len(made.first)) for _, made in several]),
    )


def _predict(item: Observation, calibration: Calibration, max_chars: int) -> _Prediction:
    elsewhere = _refuses(item.elsewhere, calibration) if item.elsewhere else None
    if not item.ranking.units:
        return _Prediction(True, "", "", False, elsewhere)
    shares = softmax(calibration.ranking(item.ranking.features))
    chosen = select(shares, _sayer(item.ranking, calibration), calibration.further_per_char, max_chars)
    text = "".join(claim.text for claim in claims(chosen, item.ranking.evidence))
    return _Prediction(_refuses(item.ranking, calibration), chosen[0].text, text, len(chosen) > 1, elsewhere)


def _refuses(ranking: Ranking, calibration: Calibration) -> bool:
    (score,) = calibration.refusal(ranking.question_features(_best(ranking, calibration))[None])
    return float(score) > 0


def _sayer(ranking: Ranking, calibration: Calibration) -> Callable[[int], Said]:
    return cache(lambda i: shorten(ranking, ranking.units[i], calibration))


def _fit_refusal(observations: Sequence[Observation], ranking: LinearModel) -> LinearModel:
    seen = [item for item in observations if item.ranking.units]
    answered = [item.ranking for item in seen if item.answerable]
    absent = [item.ranking for item in seen if not item.answerable] + [
        item.elsewhere for item in seen if item.elsewhere
    ]
    bereft = [item.bereft for item in seen if item.bereft and item.bereft.units]
    rows = np.stack([_question_row(one, ranking) for one in [*answered, *absent, *bereft]])
    target = np.array([0.0] * len(answered) + [1.0] * (len(absent) + len(bereft)))
    importance = np.array([1.0] * (len(answered) + len(absent)) + [_BEREFT_IMPORTANCE] * len(bereft))
    model = fit_logistic(QUESTION_FEATURES, rows, target, importance)
    limit = float(np.quantile(model(rows[: len(answered)]), 1 - _FALSE_REFUSALS))
    return model.model_copy(update={"bias": round(model.bias - limit, 5)})


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
    return fit_logistic(WINDOW_FEATURES, np.vstack(rows), np.concatenate(target), np.concatenate(importance))


def _fit_trim_per_char(observations: Sequence[Observation], rough: Calibration) -> float:
    """The largest price at which hardly any sentence that holds the answer is cut to a part that does not."""
    best = [(item, item.ranking.units[_best(item.ranking, rough)]) for item in observations if item.right.any()]
    whole = [(item, unit) for item, unit in best if _holds(item.answers, unit.text)]
    cut = [(item, windows(item.ranking, unit)) for item, unit in whole]
    allowed = 0.0
    for price in _PER_CHAR:
        texts = [(item, shortest(found, rough.trimming, price)) for item, found in cut if found]
        if sum(not _holds(item.answers, text) for item, text in texts) > _TRIMMING_LOSS * len(whole):
            break
        allowed = price
    return allowed


def _fit_further_per_char(observations: Sequence[Observation], rough: Calibration, max_chars: int) -> float:
    """The smallest price at which few answers carry a further unit that they do not need."""
    asked = [item for item in observations if item.answerable and item.ranking.units]
    cases = [(item, softmax(rough.ranking(item.ranking.features)), _sayer(item.ranking, rough)) for item in asked]
    enough = [(shares, say) for item, shares, say in cases if _holds(item.answers, say(int(shares.argmax())).text)]
    for price in _PER_CHAR:
        if mean([float(len(select(shares, say, price, max_chars)) > 1) for shares, say in enough]) <= _UNNEEDED:
            return price
    return _PER_CHAR[-1]


def _best(ranking: Ranking, calibration: Calibration) -> int:
    return int(calibration.ranking(ranking.features).argmax())


def _question_row(one: Ranking, ranking: LinearModel) -> NDArray[np.float64]:
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
