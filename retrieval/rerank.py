"""Second-stage scoring (DESIGN section 4: ``Reranker``)."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.base import Candidate, Reranker
from tuwen.settings import SearchSettings


class NoReranker:
    """Keeps the order of the search plan."""

    def rerank(self, query: str, candidates: Sequence[Candidate], texts: Sequence[str]) -> list[Candidate]:  # noqa: ARG002
        """``candidates`` as they came."""
        return list(candidates)


def build_reranker(settings: SearchSettings) -> Reranker:
    """The reranker that ``search.reranker`` names."""
    match settings.reranker:
        case "none":
            return NoReranker()
