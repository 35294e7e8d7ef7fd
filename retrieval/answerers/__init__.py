"""Answerers: question and evidence in, a draft of cited claims out (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from retrieval.base import ALONE, Answerer, Dialogue, Draft, Encoders, Evidence, StreamingAnswerer
from tuwen.errors import ConfigurationError
from tuwen.settings import AnswerSettings

if TYPE_CHECKING:
    from retrieval.answerers.vlm import Writer

__all__ = ["build_answerer", "stream_answer"]


def build_answerer(settings: AnswerSettings, encoders: Encoders, writer: Writer | None = None) -> Answerer:
    """The answerer that ``settings`` name. Cheap: models load with the first question.

    Args:
        settings: which adapter, with its parameters.
        encoders: those of the index; the extractive answerer compares sentences with them.
        writer: asks the model of `models.answer`; None where the preset has none.

    Raises:
        ConfigurationError: a model is to answer, and there is none.
    """
    match settings.adapter:
        case "extractive":
            from retrieval.answerers.extractive import ExtractiveAnswerer

            return ExtractiveAnswerer(settings, encoders.dense)
        case "vlm":
            from retrieval.answerers.vlm import VisionAnswerer

            if writer is None:
                raise ConfigurationError("answer.adapter is vlm: set models.answer.adapter too.")
            return VisionAnswerer(settings, writer)


def stream_answer(
    answerer: Answerer, question: str, evidence: Sequence[Evidence], dialogue: Dialogue = ALONE
) -> Generator[str, None, Draft]:
    """The texts of the claims as ``answerer`` has them, then the draft; all at once where it does not stream."""
    if isinstance(answerer, StreamingAnswerer):
        return (yield from answerer.stream(question, evidence, dialogue))
    draft = answerer.answer(question, evidence, dialogue)
    yield from (claim.text for claim in draft.claims if not draft.reason)
    return draft
