"""Encoders: texts and page images to vectors, one file an adapter (DESIGN section 4)."""

from __future__ import annotations

from pathlib import Path

from retrieval.base import Encoder, Encoders, LateEncoder, Modality
from tuwen.extras import needs_extra
from tuwen.settings import DenseSettings, EmbeddingSettings, EncoderSettings, ImageSettings, LateSettings

__all__ = ["build_encoders"]


def build_encoders(settings: EncoderSettings, home: Path) -> Encoders:
    """The encoders that ``settings`` name. Cheap: models load with the first text or image.

    Args:
        settings: which adapters, with their parameters.
        home: data directory; what encoders build or find out once is kept in ``home/cache``.

    Raises:
        ConfigurationError: an adapter lacks a model, or a model may not be used.
    """
    from retrieval.encoders.lexical import LexicalEncoder

    dense = _dense(settings.dense, home)
    image = _image(settings.image, home)
    if _is_same_model(settings.dense, settings.image):
        image = dense  # loaded once
    match settings.sparse.adapter:
        case "lexical":
            sparse = LexicalEncoder(settings.sparse)
    return Encoders(dense, sparse, image, _late(settings.late, home))


def _dense(settings: DenseSettings, home: Path) -> Encoder:
    match settings.adapter:
        case "e5":
            from retrieval.encoders.e5 import E5Encoder

            return E5Encoder(home, settings.threads)
        case "sentence_transformers":
            return _in_process(settings, home, "encoders.dense")
        case "openai":
            return _served(settings, home, "encoders.dense", ("text",))


def _image(settings: ImageSettings, home: Path) -> Encoder:
    match settings.adapter:
        case "perceptual":
            from retrieval.encoders.perceptual import PerceptualEncoder

            return PerceptualEncoder()
        case "sentence_transformers":
            return _in_process(settings, home, "encoders.image")
        case "openai":
            return _served(settings, home, "encoders.image", ("text", "image"))


def _late(settings: LateSettings, home: Path) -> LateEncoder | None:
    match settings.adapter:
        case "none":
            return None
        case "sentence_transformers":
            from retrieval.encoders.sentence_transformers import LateSentenceTransformer

            return LateSentenceTransformer(settings, home, "encoders.late")


def _in_process(settings: EmbeddingSettings, home: Path, key: str) -> Encoder:
    from retrieval.encoders.sentence_transformers import DenseSentenceTransformer

    return DenseSentenceTransformer(settings, home, key)


def _served(settings: EmbeddingSettings, home: Path, key: str, modalities: tuple[Modality, ...]) -> Encoder:
    with needs_extra("server"):
        from retrieval.encoders.openai import OpenAIEncoder
    return OpenAIEncoder(settings, home, key, modalities)


def _is_same_model(dense: DenseSettings, image: ImageSettings) -> bool:
    """Whether one model in this process serves for both."""
    shared = set(EmbeddingSettings.model_fields)
    return dense.adapter == image.adapter == "sentence_transformers" and dense.model_dump(
        include=shared
    ) == image.model_dump(include=shared)
