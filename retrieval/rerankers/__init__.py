"""Second-stage scoring, one file an adapter (DESIGN section 4: ``Reranker``)."""

from __future__ import annotations

from retrieval.base import Encoders, PageIndex, Reranker
from retrieval.fields import LATE
from tuwen.errors import ConfigurationError
from tuwen.settings import RerankerSettings

__all__ = ["build_reranker"]


def build_reranker(settings: RerankerSettings, encoders: Encoders, index: PageIndex) -> Reranker:
    """The reranker that ``settings`` name. Cheap: a model loads with the first question.

    Args:
        settings: which adapter, with its parameters.
        encoders: those of the index, for late interaction.
        index: where late interaction finds its vectors.

    Raises:
        ConfigurationError: late interaction without `encoders.late`.
    """
    match settings.adapter:
        case "none":
            from retrieval.rerankers.none import NoReranker

            return NoReranker()
        case "sentence_transformers":
            from retrieval.rerankers.cross_encoder import CrossEncoderReranker

            return CrossEncoderReranker(settings)
        case "late_interaction":
            from retrieval.rerankers.late_interaction import LateInteractionReranker

            if encoders.late is None:
                raise ConfigurationError("search.reranker.adapter is late_interaction: set encoders.late.adapter too.")
            return LateInteractionReranker(encoders.late, index, LATE)
