"""One conformance suite over all rerankers, then what each does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.base import Candidate, Encoders, IndexPoint, PageIndex, PointPayload, Reranker, RerankInput, point_id
from retrieval.encoders import build_encoders
from retrieval.fields import LATE, vector_fields
from retrieval.index import open_index
from retrieval.rerankers import build_reranker
from retrieval.rerankers.order import rescored
from retrieval.search import encode_passages
from tests.retrieval import tiny_models
from tuwen.errors import ConfigurationError, ModelUnavailableError
from tuwen.settings import EncoderSettings, IndexSettings, RerankerSettings, ServerIndexSettings
from tuwen.types import HitKind, Passage, PassageSpan

ADAPTERS = ("none", "sentence_transformers", "late_interaction")
QUERY = "年假有几天？"
TEXTS = ("年假十天。", "差旅费用在三十天内报销。", "", "annual leave 10 days", "年假十天。")
CANDIDATES = [
    Candidate(f"d{n % 2}", n, HitKind.TEXT, n, 1 - n / 10, {"dense": 0.9}, n) for n in range(1, len(TEXTS) + 1)
]
INPUTS = [RerankInput(text) for text in TEXTS]


def identity(candidate: Candidate) -> tuple[str, int, HitKind, int]:
    return candidate.document_id, candidate.page, candidate.kind, candidate.ordinal


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def encoders(folder) -> Encoders:
    section = {"adapter": "sentence_transformers", "model": str(tiny_models.late(folder / "late"))}
    return build_encoders(EncoderSettings.model_validate({"late": section}), folder / "home")


@pytest.fixture(scope="module", params=["edge", "local"])
def index(request, encoders, folder) -> Iterator[PageIndex]:
    server = ServerIndexSettings(url=":memory:")
    adapter = "edge" if request.param == "edge" else "server"
    opened = open_index(IndexSettings(adapter=adapter, server=server), folder / "index", vector_fields(encoders))
    passages = [
        Passage(ordinal=one.ordinal, text=text, spans=(PassageSpan(one.page, 0, 1),))
        for one, text in zip(CANDIDATES, TEXTS, strict=True)
    ]
    for one, vectors in zip(CANDIDATES, encode_passages(passages, "年假.pdf", encoders), strict=True):
        payload = PointPayload(
            tenant="t", collection="c", document_id=one.document_id, page=one.page, pages=(one.page,), kind=one.kind,
            ordinal=one.ordinal,
        )  # fmt: skip
        opened.upsert([IndexPoint(point_id(one.document_id, one.page, one.kind, one.ordinal), vectors, payload)])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def cross_encoder(folder) -> Path:
    return tiny_models.cross_encoder(folder / "cross-encoder")


@pytest.fixture(scope="module")
def build(encoders, index, cross_encoder):
    def built(adapter: str, **values) -> Reranker:
        model = str(cross_encoder) if adapter == "sentence_transformers" else None
        settings = RerankerSettings.model_validate({"adapter": adapter, "model": model, **values})
        return build_reranker(settings, encoders, index)

    return built


@pytest.fixture(scope="module", params=ADAPTERS)
def reranker(request, build) -> Reranker:
    return build(request.param)


class TestConformance:
    def test_all_adapters_are_here(self):
        assert set(ADAPTERS) == set(RerankerSettings.model_fields["adapter"].annotation.__args__)

    def test_is_a_reranker(self, reranker):
        assert isinstance(reranker, Reranker)
        assert set(reranker.reads) <= {"text", "image"}

    def test_gives_a_permutation_of_the_same_candidates(self, reranker):
        ranked = reranker.rerank(QUERY, CANDIDATES, INPUTS)
        assert sorted(map(identity, ranked)) == sorted(map(identity, CANDIDATES))
        assert {identity(one): one.scores for one in ranked} == {identity(one): one.scores for one in CANDIDATES}

    def test_best_stand_first_between_0_and_1(self, reranker):
        scores = [one.score for one in reranker.rerank(QUERY, CANDIDATES, INPUTS)]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 + 1e-6 for score in scores)

    def test_is_deterministic_and_leaves_its_input_alone(self, reranker):
        given = list(CANDIDATES)
        assert reranker.rerank("年假", given, INPUTS) == reranker.rerank("年假", given, INPUTS)
        assert given == CANDIDATES

    def test_the_order_of_candidates_changes_no_score(self, reranker):
        forward = {identity(one): one.score for one in reranker.rerank(QUERY, CANDIDATES, INPUTS)}
        backward = reranker.rerank(QUERY, CANDIDATES[::-1], INPUTS[::-1])
        assert {identity(one): pytest.approx(one.score, abs=1e-5) for one in backward} == forward

    @pytest.mark.parametrize("query", ["", "年假"])
    def test_nothing_gives_nothing(self, reranker, query):
        assert reranker.rerank(query, [], []) == []


def test_equal_scores_keep_their_order():
    assert [identity(one) for one in rescored(CANDIDATES, [0.5] * 5)] == [identity(one) for one in CANDIDATES]


def test_none_keeps_order_and_scores(build):
    assert build("none").rerank("年假", CANDIDATES, INPUTS) == CANDIDATES


class TestCrossEncoder:
    def test_scores_are_the_models(self, build, cross_encoder):
        from sentence_transformers import CrossEncoder

        logits = CrossEncoder(str(cross_encoder), device="cpu").predict(
            [(QUERY, text) for text in TEXTS], convert_to_tensor=True, activation_fn=lambda x: x
        )
        expected = {identity(one): 1 / (1 + np.exp(-float(x))) for one, x in zip(CANDIDATES, logits, strict=True)}
        ranked = build("sentence_transformers", batch_size=2).rerank(QUERY, CANDIDATES, INPUTS)
        assert {identity(one): one.score for one in ranked} == pytest.approx(expected, abs=1e-5)
        assert len({round(score, 4) for score in expected.values()}) == 4  # two texts are equal

    def test_the_question_matters_and_the_text_is_read(self, build):
        reranker = build("sentence_transformers")
        assert reranker.reads == ("text",)
        one, other = (reranker.rerank(query, CANDIDATES, INPUTS) for query in (QUERY, "差旅费用多少"))
        assert [candidate.score for candidate in one] != [candidate.score for candidate in other]

    def test_a_picture_goes_with_its_text_to_a_model_that_sees(self, build):
        class Seeing:
            def supports(self, modality):
                return True

            def predict(self, pairs, **_):
                self.pairs = pairs
                return np.linspace(0.9, 0.1, len(pairs))

        reranker = build("sentence_transformers")
        model = reranker.__dict__["_model"] = Seeing()
        image = np.full((6, 4, 3), 9, np.uint8)
        reranker.rerank(QUERY, CANDIDATES[:3], [RerankInput("文", image), RerankInput("", image), RerankInput("字")])
        assert reranker.reads == ("text", "image")
        (_, both), (_, picture), (_, text) = model.pairs
        assert both["text"] == "文"
        assert both["image"].size == picture.size == (4, 6)
        assert text == "字"

    def test_a_classifier_is_no_reranker(self, build, folder):
        classes = tiny_models.cross_encoder(folder / "classes", labels=3)
        with pytest.raises(ConfigurationError, match=r"3 classes.*search\.reranker\.model"):
            build("sentence_transformers", model=str(classes)).rerank(QUERY, CANDIDATES, INPUTS)

    def test_licences_are_checked(self, build, folder):
        model = str(tiny_models.cross_encoder(folder / "nc", licence="cc-by-nc-4.0"))
        with pytest.raises(ConfigurationError, match=r"search\.reranker\.accept_non_commercial"):
            build("sentence_transformers", model=model).rerank(QUERY, CANDIDATES, INPUTS)
        accepting = build("sentence_transformers", model=model, accept_non_commercial=True)
        assert len(accepting.rerank(QUERY, CANDIDATES, INPUTS)) == len(CANDIDATES)

    def test_no_such_model(self, build):
        with pytest.raises(ModelUnavailableError, match="nobody/nothing"):
            _ = build("sentence_transformers", model="nobody/nothing").reads


class TestLateInteraction:
    def test_scores_are_mean_maxsim(self, build, encoders):
        (query,) = encoders.late.encode_texts([QUERY], "query")
        texts = encoders.late.encode_texts(TEXTS, "passage")
        expected = {
            identity(one): (query @ text.T).max(axis=1).mean() for one, text in zip(CANDIDATES, texts, strict=True)
        }
        ranked = build("late_interaction").rerank(QUERY, CANDIDATES, INPUTS)
        assert {identity(one): one.score for one in ranked} == pytest.approx(expected, abs=1e-4)

    def test_needs_nothing_but_the_question(self, build):
        reranker = build("late_interaction")
        assert reranker.reads == ()
        assert reranker.rerank(QUERY, CANDIDATES, [RerankInput()] * 5) == reranker.rerank(QUERY, CANDIDATES, INPUTS)

    def test_a_candidate_that_the_index_lacks_comes_last(self, build):
        unknown = CANDIDATES[0]._replace(document_id="gone")
        ranked = build("late_interaction").rerank(QUERY, [unknown, *CANDIDATES], [RerankInput()] * 6)
        assert (ranked[-1].document_id, ranked[-1].score) == ("gone", 0)

    def test_pages_of_a_continued_table_share_its_passage(self, build):
        continued = CANDIDATES[0]._replace(page=CANDIDATES[0].page + 1)
        ranked = build("late_interaction").rerank(QUERY, [CANDIDATES[0], continued], [RerankInput()] * 2)
        assert ranked[0].score == ranked[1].score > 0

    def test_it_needs_an_encoder(self, index, folder):
        with pytest.raises(ConfigurationError, match=r"encoders\.late"):
            build_reranker(
                RerankerSettings(adapter="late_interaction"), build_encoders(EncoderSettings(), folder), index
            )


def test_the_full_vectors_have_no_graph_and_the_pooled_ones_have(encoders):
    fields = {field.name: field for field in vector_fields(encoders)}
    assert fields[LATE].rescoring
    assert not fields["late_pooled"].rescoring
