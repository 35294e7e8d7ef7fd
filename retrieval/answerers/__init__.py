"""Answerers: question and evidence in, a draft of cited claims out (DESIGN section 4)."""

from __future__ import annotations

from retrieval.base import Answerer, Encoders
from tuwen.settings import AnswerSettings

__all__ = ["build_answerer"]


def build_answerer(settings: AnswerSettings, encoders: Encoders) -> Answerer:
    """The answerer that ``settings`` name. Cheap: models load with the first question."""
    from retrieval.answerers.extractive import ExtractiveAnswerer

    match settings.adapter:
        case "extractive":
            return ExtractiveAnswerer(settings, encoders.dense)
