"""The extractive answerer: the sentences and table cells that answer, verbatim, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from retrieval.answerers.calibration import Calibration, softmax
from retrieval.answerers.cells import candidates
from retrieval.answerers.conflict import find_conflict
from retrieval.answerers.ranking import Ranking, rank_units
from retrieval.answerers.refusal import refusal_reason
from retrieval.answerers.selection import claims, select, shorten
from retrieval.base import ALONE, Claim, Dialogue, Draft, Encoder, Evidence
from tuwen.settings import AnswerSettings


class ExtractiveAnswerer:
    """Picks what answers from the pages it is given, and knows nothing else.

    Args:
        settings: aimed-at length, and the probability below which it refuses.
        dense: encoder of questions and sentences.
        calibration: fitted numbers; those that this version ships when None.
    """

    def __init__(self, settings: AnswerSettings, dense: Encoder, calibration: Calibration | None = None) -> None:
        self._settings = settings
        self._dense = dense
        self._calibration = calibration or Calibration.load()

    def answer(self, question: str, evidence: Sequence[Evidence], _dialogue: Dialogue = ALONE, /) -> Draft:
        """The shortest sufficient verbatim answer; refused when the evidence is unlikely to hold one."""
        ranking = rank_units(question, evidence, candidates(question, evidence), self._dense)
        if not ranking.units:
            return Draft((), 0.0, refusal_reason(evidence[:1]))
        shares = softmax(self._calibration.ranking(ranking.features))
        best = int(shares.argmax())
        confidence = self._confidence(ranking, best)
        if confidence < self._settings.refuse_below:
            return Draft(
                self._claims(ranking, [best]), confidence, refusal_reason([evidence[ranking.units[best].evidence]])
            )
        rival = find_conflict(ranking, best)
        if rival is not None:
            return Draft(self._claims(ranking, [best, rival]), confidence, conflict=True)
        chosen = select(
            shares,
            lambda i: shorten(ranking, ranking.units[i], self._calibration),
            self._calibration.further_per_char,
            self._settings.max_chars,
        )
        return Draft(claims(chosen, evidence), confidence)

    def _claims(self, ranking: Ranking, chosen: Sequence[int]) -> tuple[Claim, ...]:
        said = [shorten(ranking, ranking.units[i], self._calibration) for i in chosen]
        return claims(said, ranking.evidence)

    def _confidence(self, ranking: Ranking, best: int) -> float:
        """Probability that the evidence answers."""
        (refusal,) = self._calibration.refusal(ranking.question_features(best)[None])
        return 1 / (1 + math.exp(min(700.0, float(refusal))))
