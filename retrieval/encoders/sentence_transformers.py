"""Models of the sentence-transformers library in this process (https://sbert.net): dense and multi-vector.

Text, images, or both in one space, as the model has it. Importing the library takes seconds, so it is
imported, and the model loaded, with the first text or image.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.base import RGB, EncoderDescription, Modality, MultiVector, Role, Vector
from retrieval.encoders.models import Snapshot, described, find_model, licence_of
from retrieval.lexical import well_formed
from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError
from tuwen.extras import needs_extra
from tuwen.fingerprint import fingerprint
from tuwen.settings import EmbeddingSettings, LateSettings, RetrievalModelSettings

VERSION = 1
"""Raised whenever the same model would give other vectors; part of the fingerprint."""

_PROBE = "年假十天 10 days of leave"
_PROBE_SIDE = 56


def load(kind: str, snapshot: Snapshot, settings: RetrievalModelSettings) -> Any:
    """The model ``snapshot`` as the class ``kind`` of sentence-transformers.

    Raises:
        ConfigurationError: the library is not installed.
        ModelUnavailableError: the model cannot be loaded.
    """
    with needs_extra("models"):
        import sentence_transformers
        from safetensors import SafetensorError
        from transformers.utils import logging
    logging.disable_progress_bar()  # stderr belongs to our own progress
    try:
        return getattr(sentence_transformers, kind)(
            snapshot.source,
            revision=snapshot.revision,
            device=settings.device,
            model_kwargs={"dtype": settings.dtype},
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        raise ModelUnavailableError(f"The model {snapshot.name} cannot be loaded: {error}") from error


class _SentenceTransformersEncoder:
    """What dense and multi-vector models share.

    Args:
        settings: the model, its prompts and how it is run.
        home: data directory; what is known of the model is kept in ``home/cache``.
        key: where the settings stand, for error sentences.
    """

    _class: str
    _kind: Literal["dense", "multivector"]

    def __init__(self, settings: EmbeddingSettings, home: Path, key: str) -> None:
        self._settings = settings
        self._home = home
        self._key = key
        self._lock = threading.RLock()

    @cached_property
    def description(self) -> EncoderDescription:
        """What the model is; runs it once, the first time that it is met on this machine."""
        return described(self._home, f"{self._parameters}\n{self._snapshot.stamp}", self._describe)

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        """One vector a text. Raises InvalidRequestError for a model that reads none."""
        self._require("text")
        prompt = self._settings.query_prompt if role == "query" else self._settings.passage_prompt
        return self._encode([well_formed(text) for text in texts], role, prompt) if texts else []

    def encode_images(self, images: Sequence[RGB]) -> list[Vector]:
        """One vector an image. Raises InvalidRequestError for a model that sees none."""
        from PIL import Image

        self._require("image")
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
                raise InvalidRequestError(f"An image must have the shape (height, width, 3), not {image.shape}.")
        return self._encode([Image.fromarray(image) for image in images], "passage", None) if images else []

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` without specials and prompt."""
        return len(self._model.tokenizer(well_formed(text), add_special_tokens=False)["input_ids"])

    @abstractmethod
    def _run(self, encode: Any, items: list[Any], prompt: str | None) -> list[NDArray[np.float32]]: ...

    def _encode(self, items: list[Any], role: Role, prompt: str | None) -> list[Vector]:
        with self._lock:  # a model runs one batch at a time
            encode = self._model.encode_query if role == "query" else self._model.encode_document
            vectors = self._run(encode, items, prompt)
        if not all(np.isfinite(vector).all() and vector.any() for vector in vectors):
            raise ModelUnavailableError(f"The model {self._snapshot.name} gave a vector that is empty or not finite.")
        return list(vectors)

    def _require(self, modality: Modality) -> None:
        if modality not in self.description.modalities:
            other = "images" if modality == "text" else "text"
            raise InvalidRequestError(f"The model {self.description.name} encodes {other} only.")

    @cached_property
    def _snapshot(self) -> Snapshot:
        return find_model(self._settings, self._key)

    @cached_property
    def _model(self) -> Any:
        with self._lock:
            return load(self._class, self._snapshot, self._settings)

    @property
    def _parameters(self) -> dict[str, Any]:
        names = {"query_prompt", "passage_prompt", "truncate", "dtype"}
        return {"adapter": f"{self._class}/{VERSION}", **self._settings.model_dump(include=names)}

    def _describe(self) -> EncoderDescription:
        """Find out what the model does by running it."""
        from PIL import Image

        modalities: list[Modality] = [name for name in ("text", "image") if self._model.supports(name)]
        probes = {"text": _PROBE, "image": Image.new("RGB", (_PROBE_SIDE, _PROBE_SIDE), (90, 120, 30))}
        sizes = {name: self._encode([probes[name]], "passage", None)[0].shape[-1] for name in modalities}  # type: ignore[union-attr]
        if len(set(sizes.values())) != 1:
            raise ConfigurationError(
                f"The model {self._snapshot.name} has no one space for what it encodes ({sizes or 'nothing'}): "
                f"take another one for {self._key}.model."
            )
        return EncoderDescription(
            name=self._snapshot.name,
            kind=self._kind,
            dimension=sizes[modalities[0]],
            modalities=tuple(modalities),
            max_tokens=self._model.max_seq_length,
            licence=licence_of(self._snapshot.folder),
            fingerprint=fingerprint(content=self._snapshot.content, **self._parameters),
        )


class DenseSentenceTransformer(_SentenceTransformersEncoder):
    """One normalised vector a text or image (``SentenceTransformer``)."""

    _class = "SentenceTransformer"
    _kind = "dense"

    def _run(self, encode: Any, items: list[Any], prompt: str | None) -> list[NDArray[np.float32]]:
        vectors = encode(
            items,
            prompt=prompt,
            batch_size=self._settings.batch_size,
            show_progress_bar=False,
            normalize_embeddings=True,
            truncate_dim=self._settings.truncate,
        )
        return list(np.asarray(vectors, np.float32))


class LateSentenceTransformer(_SentenceTransformersEncoder):
    """Many normalised vectors a text or image (``MultiVectorEncoder``; Khattab & Zaharia 2020, arXiv:2004.12832).

    Those of passages and pages are merged by hierarchical token pooling (Clavié et al. 2024, arXiv:2409.14683).
    """

    _class = "MultiVectorEncoder"
    _kind = "multivector"

    def __init__(self, settings: LateSettings, home: Path, key: str) -> None:
        super().__init__(settings, home, key)
        self._late = settings

    def pool(self, vectors: MultiVector) -> MultiVector:
        """At most about ``prefetch_vectors`` of them, like ones merged."""
        return self._merged(vectors, max(1.0, len(vectors) / self._late.prefetch_vectors))

    @property
    def _parameters(self) -> dict[str, Any]:
        return super()._parameters | self._late.model_dump(include={"pool_factor", "prefetch_vectors"})

    def _run(self, encode: Any, items: list[Any], prompt: str | None) -> list[NDArray[np.float32]]:
        vectors = encode(
            items,
            prompt=prompt,
            batch_size=self._settings.batch_size,
            show_progress_bar=False,
            normalize_embeddings=True,
            convert_to_numpy=True,
            token_pooling=self._pooling(self._late.pool_factor),
        )
        return [_truncated(np.asarray(vector, np.float32), self._settings.truncate) for vector in vectors]

    def _merged(self, vectors: MultiVector, factor: float) -> MultiVector:
        import torch

        (pooled,) = self._pooling(factor).pool([torch.from_numpy(np.ascontiguousarray(vectors))])
        return np.asarray(pooled.numpy(), np.float32)

    @staticmethod
    def _pooling(factor: float) -> Any:
        from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

        return HierarchicalTokenPooling(factor)


def _truncated(vectors: MultiVector, dimension: int | None) -> MultiVector:
    if dimension is None:
        return vectors
    kept = vectors[:, :dimension]
    return np.asarray(kept / np.linalg.norm(kept, axis=1, keepdims=True), np.float32)
