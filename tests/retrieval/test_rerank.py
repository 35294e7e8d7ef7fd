"""One conformance suite over all rerankers, then what each does."""

from __future__ import annotations

from typing import get_args

import pytest

from retrieval.base import Candidate, Reranker
from retrieval.rerank import build_reranker
from tuwen.settings import SearchSettings
from tuwen.types import HitKind

ADAPTERS = get_args(SearchSettings.model_fields["reranker"].annotation)
TEXTS = ("年假十天。", "差旅费用在三十天内报销。", "", "Annual leave: 10 days", "年假十天。")
CANDIDATES = [
    Candidate(f"d{n % 2}", n, HitKind.TEXT, n, 1 - n / 10, {"dense": 0.9}, n) for n in range(1, len(TEXTS) + 1)
]


def identity(candidate: Candidate) -> tuple[str, int, HitKind, int]:
    return candidate.document_id, candidate.page, candidate.kind, candidate.ordinal


@pytest.fixture(params=ADAPTERS)
def reranker(request) -> Reranker:
    return build_reranker(SearchSettings(reranker=request.param))


class TestConformance:
    def test_is_a_reranker(self, reranker):
        assert isinstance(reranker, Reranker)

    def test_gives_a_permutation_of_the_same_candidates(self, reranker):
        ranked = reranker.rerank("年假有几天？", CANDIDATES, TEXTS)
        assert sorted(map(identity, ranked)) == sorted(map(identity, CANDIDATES))
        assert {identity(one): one.scores for one in ranked} == {identity(one): one.scores for one in CANDIDATES}

    def test_best_stand_first(self, reranker):
        scores = [one.score for one in reranker.rerank("年假有几天？", CANDIDATES, TEXTS)]
        assert scores == sorted(scores, reverse=True)

    def test_is_deterministic_and_leaves_its_input_alone(self, reranker):
        given = list(CANDIDATES)
        assert reranker.rerank("年假", given, TEXTS) == reranker.rerank("年假", given, TEXTS)
        assert given == CANDIDATES

    @pytest.mark.parametrize("query", ["", "年假"])
    def test_nothing_gives_nothing(self, reranker, query):
        assert reranker.rerank(query, [], []) == []


def test_none_keeps_order_and_scores():
    reranker = build_reranker(SearchSettings(reranker="none"))
    assert reranker.rerank("年假", CANDIDATES, TEXTS) == CANDIDATES
