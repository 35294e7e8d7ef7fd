"""Models of sentence-transformers: probed and remembered descriptions, licences, prompts, pooling, what goes wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval.base import Encoder, LateEncoder
from retrieval.encoders import build_encoders
from retrieval.encoders.models import licence_of
from tests.retrieval import tiny_models
from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError
from tuwen.settings import EncoderSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def dense(folder) -> Path:
    return tiny_models.dense(folder / "dense", prompts={"query": "a: ", "document": "b: "})


@pytest.fixture(scope="module")
def clip(folder) -> Path:
    return tiny_models.clip(folder / "clip")


@pytest.fixture(scope="module")
def late(folder) -> Path:
    return tiny_models.late(folder / "late")


def build(model: Path | str, home: Path, slot: str = "dense", **values) -> Encoder:
    section = {"adapter": "sentence_transformers", "model": str(model), **values}
    encoder = getattr(build_encoders(EncoderSettings.model_validate({slot: section}), home), slot)
    assert isinstance(encoder, Encoder)
    return encoder


def page(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (60, 40, 3), np.uint8)


class TestDescription:
    def test_is_what_the_model_gives(self, dense, clip, late, tmp_path):
        found = build(dense, tmp_path).description
        assert (found.dimension, found.modalities, found.max_tokens, found.licence) == (
            32,
            ("text",),
            128,
            "apache-2.0",
        )
        found = build(clip, tmp_path, "image").description
        assert (found.kind, found.dimension, found.modalities) == ("dense", 24, ("text", "image"))
        found = build(late, tmp_path, "late").description
        assert (found.kind, found.dimension, found.modalities) == ("multivector", 128, ("text",))

    def test_a_truncated_dimension_is_probed_too(self, dense, late, tmp_path):
        encoder = build(dense, tmp_path, truncate=8)
        assert encoder.description.dimension == 8
        assert np.linalg.norm(encoder.encode_texts(["年假"], "query")[0]) == pytest.approx(1, abs=1e-5)
        assert build(dense, tmp_path, truncate=4096).description.dimension == 32
        encoder = build(late, tmp_path, "late", truncate=8)
        assert encoder.description.dimension == 8
        assert np.linalg.norm(encoder.encode_texts(["年假"], "query")[0], axis=1) == pytest.approx(1, abs=1e-5)

    def test_is_remembered_so_that_nothing_is_loaded_for_it(self, dense, tmp_path, monkeypatch):
        first = build(dense, tmp_path).description
        monkeypatch.setattr("retrieval.encoders.sentence_transformers.load", None)
        assert build(dense, tmp_path).description == first

    def test_a_damaged_memory_is_made_anew(self, dense, tmp_path):
        first = build(dense, tmp_path).description
        (kept,) = (tmp_path / "cache" / "models").iterdir()
        kept.write_bytes(b"{")
        assert build(dense, tmp_path).description == first
        assert json.loads(kept.read_bytes())["dimension"] == 32

    def test_fingerprint_is_of_the_bytes_wherever_they_lie(self, dense, tmp_path):
        base = build(dense, tmp_path).description.fingerprint
        copy = tmp_path / "copy"
        shutil.copytree(dense, copy)
        (copy / "README.md").write_text("other words", "utf-8")
        assert build(copy, tmp_path / "elsewhere").description.fingerprint == base
        other = tiny_models.dense(tmp_path / "other", seed=1)
        changed = {
            build(dense, tmp_path, **v).description.fingerprint for v in ({"query_prompt": "q"}, {"truncate": 8})
        }
        assert len({base, build(other, tmp_path).description.fingerprint, *changed}) == 4
        assert build(dense, tmp_path, batch_size=1).description.fingerprint == base

    def test_new_weights_in_the_same_folder_are_noticed(self, tmp_path):
        before = build(tiny_models.dense(tmp_path / "m"), tmp_path).description.fingerprint
        assert build(tiny_models.dense(tmp_path / "m", seed=1), tmp_path).description.fingerprint != before


class TestLicence:
    @pytest.mark.parametrize("licence", ["cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other\nlicense_name: qwen-research"])
    def test_one_that_forbids_commercial_use_must_be_accepted(self, dense, tmp_path, licence):
        shutil.copytree(dense, tmp_path / "m")
        (tmp_path / "m" / "README.md").write_text(f"---\nlicense: {licence}\n---\n", "utf-8")
        with pytest.raises(ConfigurationError, match=r"forbids commercial use.*encoders\.dense\.accept_non_commercial"):
            _ = build(tmp_path / "m", tmp_path).description
        accepted = build(tmp_path / "m", tmp_path, accept_non_commercial=True).description
        assert licence.split("\n")[0] in accepted.licence

    @pytest.mark.parametrize(
        ("card", "licence"),
        [
            (None, "unknown"),
            ("# no front matter", "unknown"),
            ("---\nlicense: [\n---\n", "unknown"),
            ("---\n- 1\n---\n", "unknown"),
            ("---\nlicense: mit\n---\n# words", "mit"),
            ("---\ntags: [a]\nlicense: other\nlicense_name: x-1\n---\n", "other / x-1"),
        ],
    )
    def test_is_read_from_the_model_card(self, tmp_path, card, licence):
        if card is not None:
            (tmp_path / "README.md").write_text(card, "utf-8")
        assert licence_of(tmp_path) == licence

    @pytest.mark.parametrize("licence", ["mit", "cc-by-4.0", "llama3.2", "gemma", "bsl-1.0"])
    def test_others_are_taken(self, dense, tmp_path, licence):
        shutil.copytree(dense, tmp_path / "m")
        (tmp_path / "m" / "README.md").write_text(f"---\nlicense: {licence}\n---\n", "utf-8")
        assert build(tmp_path / "m", tmp_path).description.licence == licence


class TestPrompts:
    def test_the_models_own_are_used_unless_the_settings_have_others(self, dense, tmp_path):
        own = build(dense, tmp_path)
        plain = build(dense, tmp_path, query_prompt="", passage_prompt="")
        given = build(dense, tmp_path, query_prompt="a: ", passage_prompt="b: ")
        for role, prompt in (("query", "a: "), ("passage", "b: ")):
            (expected,) = plain.encode_texts([f"{prompt}年假"], role)
            assert np.allclose(own.encode_texts(["年假"], role)[0], expected, atol=1e-5)
            assert np.allclose(given.encode_texts(["年假"], role)[0], expected, atol=1e-5)
            assert not np.allclose(plain.encode_texts(["年假"], role)[0], expected, atol=1e-3)

    def test_tokens_are_counted_without_specials(self, dense, tmp_path):
        assert build(dense, tmp_path).count_tokens("年假十天") == 4


class TestOneSpace:
    def test_one_model_for_text_and_images_is_loaded_once(self, clip, tmp_path):
        section = {"adapter": "sentence_transformers", "model": str(clip)}
        encoders = build_encoders(EncoderSettings.model_validate({"dense": section, "image": section}), tmp_path)
        assert encoders.dense is encoders.image
        (text,), (image,) = encoders.dense.encode_texts(["年假"], "query"), encoders.image.encode_images([page(1)])
        assert text.shape == image.shape == (24,)

    def test_another_batch_size_is_another_instance(self, clip, tmp_path):
        section = {"adapter": "sentence_transformers", "model": str(clip)}
        settings = EncoderSettings.model_validate({"dense": section, "image": {**section, "batch_size": 2}})
        encoders = build_encoders(settings, tmp_path)
        assert encoders.dense is not encoders.image

    @pytest.mark.parametrize("shape", [(0, 10, 3), (10, 10), (10, 10, 4)])
    def test_refuses_what_is_no_picture(self, clip, tmp_path, shape):
        with pytest.raises(InvalidRequestError, match="shape"):
            build(clip, tmp_path, "image").encode_images([np.zeros(shape, np.uint8)])


class TestLate:
    TEXT = "员工入职满一年有十天带薪年假，每年一月报销差旅费用"

    def test_passages_are_pooled_and_queries_are_not(self, late, tmp_path):
        whole = build(late, tmp_path, "late").encode_texts([self.TEXT], "passage")[0]
        pooling = build(late, tmp_path, "late", pool_factor=4)
        pooled = pooling.encode_texts([self.TEXT], "passage")[0]
        assert len(whole) == len(self.TEXT) + 2
        assert len(pooled) == 1 + (len(whole) - 1) // 4  # the first token is kept
        assert len(pooling.encode_texts([self.TEXT], "query")[0]) == len(whole)
        assert (whole @ pooled.T).max(axis=1).mean() > 0.6  # each token still finds one like it

    def test_pooling_further_keeps_within_the_prefetch(self, late, tmp_path):
        encoder = build(late, tmp_path, "late", prefetch_vectors=4)
        assert isinstance(encoder, LateEncoder)
        (vectors,) = encoder.encode_texts([self.TEXT], "passage")
        few = encoder.pool(vectors)
        assert few.shape[0] <= 4 + 1
        assert np.linalg.norm(few, axis=1) == pytest.approx(1, abs=1e-5)
        assert np.allclose(encoder.pool(few[:3]), few[:3], atol=1e-6)


class TestTrouble:
    def test_no_model_named(self, tmp_path):
        section = {"adapter": "sentence_transformers"}
        encoder = build_encoders(EncoderSettings.model_validate({"dense": section}), tmp_path).dense
        with pytest.raises(ConfigurationError, match=r"encoders\.dense\.model is empty"):
            _ = encoder.description

    def test_a_model_that_is_nowhere(self, tmp_path):
        with pytest.raises(ModelUnavailableError, match="nobody/nothing"):
            _ = build("nobody/nothing", tmp_path).description

    def test_a_folder_without_a_model(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
            _ = build(tmp_path / "empty", tmp_path).description

    def test_damaged_weights(self, dense, tmp_path):
        shutil.copytree(dense, tmp_path / "m")
        (tmp_path / "m" / "model.safetensors").write_bytes(b"junk")
        with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
            _ = build(tmp_path / "m", tmp_path).description

    def test_a_model_that_overflows_gives_no_vector(self, dense, tmp_path, monkeypatch):
        encoder = build(dense, tmp_path)
        _ = encoder.description
        monkeypatch.setattr(encoder, "_run", lambda *_: [np.full(32, np.nan, np.float32)])
        with pytest.raises(ModelUnavailableError, match="not finite"):
            encoder.encode_texts(["年假"], "query")

    def test_from_the_cache_of_the_hub(self, dense, tmp_path, monkeypatch):
        commit = "0123456789abcdef0123456789abcdef01234567"
        repository = tmp_path / "hub" / "models--org--tiny"
        shutil.copytree(dense, repository / "snapshots" / commit)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(commit)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        encoder = build("org/tiny", tmp_path)
        assert encoder.description.name == "org/tiny"
        expected = build(dense, tmp_path).encode_texts(["年假"], "query")
        assert np.allclose(encoder.encode_texts(["年假"], "query"), expected, atol=1e-6)
