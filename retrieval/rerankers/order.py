"""What rerankers share: putting candidates in the order of new scores."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.base import Candidate


def rescored(candidates: Sequence[Candidate], scores: Sequence[float]) -> list[Candidate]:
    """``candidates`` with ``scores``, best first; equal ones keep their order."""
    changed = [one._replace(score=score) for one, score in zip(candidates, scores, strict=True)]
    return sorted(changed, key=lambda one: -one.score)
