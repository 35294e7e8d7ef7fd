"""No second stage."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.base import Candidate, Modality, RerankInput


class NoReranker:
    """Keeps the order and the scores of the search plan."""

    @property
    def reads(self) -> tuple[Modality, ...]:
        """Nothing."""
        return ()

    def rerank(
        self,
        query: str,  # noqa: ARG002
        candidates: Sequence[Candidate],
        inputs: Sequence[RerankInput],  # noqa: ARG002
    ) -> list[Candidate]:
        """``candidates`` as they came."""
        return list(candidates)
