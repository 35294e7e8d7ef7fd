"""Served embeddings, against a server of the tests that fails in every way that servers do."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator

import numpy as np
import pytest
import stamina
from PIL import Image

from retrieval.base import Encoder
from retrieval.encoders import build_encoders
from tests.retrieval.embedding_server import DIMENSION, EmbeddingServer, vector_of
from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError
from tuwen.settings import DenseSettings, EncoderSettings, ImageSettings, ServedSettings

TEXTS = ["年假十天。", "差旅费用在三十天内报销。", "Annual leave", "", "合同总金额"]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    started = EmbeddingServer()
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Tries again at once."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def build(server, tmp_path):
    def built(served: dict | None = None, **values) -> Encoder:
        settings = DenseSettings(
            **{
                "adapter": "openai",
                "model": "some/model",
                "batch_size": 2,
                **values,
                "served": ServedSettings(**{"url": server.url, **(served or {})}),
            }
        )
        return build_encoders(EncoderSettings(dense=settings), tmp_path).dense

    return built


def unit(sent: object) -> np.ndarray:
    vector = np.array(vector_of(sent), np.float32)
    return vector / np.linalg.norm(vector)


class TestAsking:
    def test_vectors_keep_their_order_and_are_normalised(self, build):
        vectors = build().encode_texts(TEXTS, "passage")
        assert np.allclose(np.stack(vectors), [unit(text) for text in TEXTS], atol=1e-6)

    def test_prompts_and_parameters_are_sent(self, build, server):
        encoder = build({"api_key": "k"}, query_prompt="问：", passage_prompt="文：", truncate=8)
        encoder.encode_texts(["年假"], "query")
        encoder.encode_texts(["年假"], "passage")
        assert [request["input"] for request in server.requests] == [["问：年假"], ["文：年假"]]
        assert {(r["model"], r["dimensions"], r["encoding_format"]) for r in server.requests} == {
            ("some/model", 8, "float")
        }
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer k"}

    def test_few_requests_at_once_and_more_than_one(self, build, server):
        server.delay = 0.05
        encoder = build({"concurrency": 3}, batch_size=1)
        assert len(encoder.encode_texts([str(i) for i in range(12)], "passage")) == 12
        assert server.most_at_once == 3

    def test_the_dimension_is_asked_for_once_and_then_known(self, build, server):
        assert build(truncate=8).description.dimension == 8
        assert build().description.dimension == DIMENSION
        asked = len(server.requests)
        assert build().description == build().description
        assert len(server.requests) == asked
        assert "unknown" in build().description.licence

    def test_what_changes_vectors_changes_the_fingerprint(self, build):
        base = build().description.fingerprint
        changes = [
            {"revision": "2"},
            {"query_prompt": "a"},
            {"truncate": 8},
            {"model": "b"},
            {"served": {"chat": True}},
        ]
        assert len({base, *(build(**change).description.fingerprint for change in changes)}) == 1 + len(changes)
        assert build({"timeout_s": 3}, batch_size=9).description.fingerprint == base

    def test_pictures_go_as_chat_messages(self, server, tmp_path):
        settings = ImageSettings(
            adapter="openai", model="vl", query_prompt="找图", served=ServedSettings(url=server.url, chat=True)
        )
        encoder = build_encoders(EncoderSettings(image=settings), tmp_path).image
        image = np.random.default_rng(0).integers(0, 255, (30, 20, 3), np.uint8)
        (picture,) = encoder.encode_images([image])
        assert np.allclose(picture, unit(server.requests[-1]["messages"]), atol=1e-6)
        url = server.requests[-1]["messages"][0]["content"][0]["image_url"]["url"]
        with Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))) as sent:
            assert np.array_equal(np.asarray(sent), image)
        encoder.encode_texts(["年假"], "query")
        assert server.requests[-1]["messages"] == [
            {"role": "system", "content": [{"type": "text", "text": "找图"}]},
            {"role": "user", "content": [{"type": "text", "text": "年假"}]},
        ]
        assert encoder.description.modalities == ("text", "image")

    def test_text_models_take_no_pictures(self, build):
        with pytest.raises(InvalidRequestError, match="image"):
            build().encode_images([np.zeros((4, 4, 3), np.uint8)])


class TestFaults:
    @pytest.mark.parametrize("fault", [429, 500, 503, "reset", "hang"])
    def test_passing_trouble_is_waited_for(self, build, server, fault):
        encoder = build({"timeout_s": 0.5})
        server.faults.extend([fault, fault])
        assert np.allclose(encoder.encode_texts(["年假"], "passage"), [unit("年假")], atol=1e-6)
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        ("fault", "said"),
        [(429, "429.*injected"), (500, "500.*injected"), ("reset", "cannot be reached"), ("hang", "Timeout")],
    )
    def test_lasting_trouble_is_an_error_that_says_what_helps(self, build, server, fault, said):
        server.faults.extend([fault] * 9)
        with pytest.raises(ModelUnavailableError, match=f"{server.url} .*{said}.*some/model"):
            build({"timeout_s": 0.3}).encode_texts(["年假"], "passage")
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        ("status", "error", "said"),
        [
            (400, ModelUnavailableError, "400"),
            (404, ModelUnavailableError, "404"),
            (401, ConfigurationError, r"encoders\.dense\.served\.api_key"),
        ],
    )
    def test_what_cannot_succeed_is_not_tried_again(self, build, server, status, error, said):
        server.faults.append(status)
        with pytest.raises(error, match=said):
            build().encode_texts(["年假"], "passage")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>gateway</html>",
            b'{"data": "none"}',
            b'{"data": []}',
            b'{"data": [{"index": 1, "embedding": [1, 2]}]}',
            b'{"data": [{"index": 0, "embedding": [1, "x"]}]}',
            b'{"data": [{"index": 0, "embedding": [0, 0]}]}',
            b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
            b'{"data": [{"index": 0, "embedding": []}]}',
            b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}',
        ],
    )
    def test_a_malformed_answer_gives_no_vector(self, build, server, body):
        server.faults.append(body)
        with pytest.raises(ModelUnavailableError, match="sent"):
            build().encode_texts(["年假"], "passage")
        assert len(server.requests) == 1

    def test_another_model_under_the_same_name_is_noticed(self, build, server):
        assert build().description.dimension == DIMENSION
        server.dimension = 8
        encoder = build()
        assert encoder.description.dimension == DIMENSION
        with pytest.raises(ConfigurationError, match=r"now gives 8 numbers, not 16.*encoders\.dense\.revision"):
            encoder.encode_texts(["年假"], "passage")
        server.faults.append(json.dumps({"data": [{"index": 0, "embedding": [1.0] * DIMENSION}]}).encode())
        assert len(encoder.encode_texts(["年假"], "passage")) == 1

    def test_settings_that_make_no_sense_are_refused(self, build, server, tmp_path):
        with pytest.raises(ConfigurationError, match=r"encoders\.dense\.model is empty"):
            build(model=None)
        settings = ImageSettings(adapter="openai", model="vl", served=ServedSettings(url=server.url))
        with pytest.raises(ConfigurationError, match=r"encoders\.image\.served\.chat"):
            build_encoders(EncoderSettings(image=settings), tmp_path)


def test_waits_as_long_as_the_server_says(server, build):
    encoder = build()
    with stamina.set_testing(False):
        server.faults.append((429, {"Retry-After": "1"}))
        began = time.monotonic()
        encoder.encode_texts(["年假"], "passage")
    assert time.monotonic() - began >= 1
