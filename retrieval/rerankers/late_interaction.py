"""Late interaction: MaxSim between the tokens of a question and the vectors of a page or passage, in the index.

Khattab & Zaharia 2020, "ColBERT", arXiv:2004.12832; for page images Faysse et al. 2024, "ColPali", arXiv:2407.01449.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from retrieval.base import (
    Candidate,
    Filter,
    LateEncoder,
    Modality,
    PageIndex,
    RerankInput,
    VectorQuery,
    point_id,
)
from retrieval.rerankers.order import rescored
from tuwen.types import HitKind


class LateInteractionReranker:
    """Scores candidates by the vectors that the index holds of them: nothing is read or encoded but the question.

    The score is the mean over the question's tokens of the best cosine, not below 0. A candidate without such vectors
    gets 0.

    Args:
        encoder: the one that the index was made with. One that sees images speaks for pages, others for passages.
        index: where the vectors are.
        field: their name.
    """

    def __init__(self, encoder: LateEncoder, index: PageIndex, field: str) -> None:
        self._encoder = encoder
        self._index = index
        self._field = field

    @property
    def reads(self) -> tuple[Modality, ...]:
        """Nothing: the index holds the vectors."""
        return ()

    def rerank(
        self,
        query: str,
        candidates: Sequence[Candidate],
        inputs: Sequence[RerankInput],  # noqa: ARG002
    ) -> list[Candidate]:
        """The same candidates by MaxSim."""
        if not candidates:
            return []
        (vectors,) = self._encoder.encode_texts([query], "query")
        points = [self._point(candidate) for candidate in candidates]
        where = Filter(points=tuple(dict.fromkeys(points)))
        (found,) = self._index.query([VectorQuery(self._field, vectors, len(points), where)])
        scores = {scored.id: max(scored.score, 0.0) / len(vectors) for scored in found}
        return rescored(candidates, [scores.get(point, 0.0) for point in points])

    def _point(self, candidate: Candidate) -> UUID:
        if "image" in self._encoder.description.modalities:
            return point_id(candidate.document_id, candidate.page, HitKind.IMAGE, candidate.page)
        return point_id(candidate.document_id, candidate.start_page, candidate.kind, candidate.ordinal)
