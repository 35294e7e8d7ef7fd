"""A cross-encoder reads question and page together (Nogueira & Cho 2019, arXiv:1901.04085)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from retrieval.base import Candidate, Modality, RerankInput
from retrieval.encoders.models import Snapshot, find_model
from retrieval.encoders.sentence_transformers import load
from retrieval.rerankers.order import rescored
from tuwen.errors import ConfigurationError, ModelUnavailableError
from tuwen.settings import RerankerSettings

_KEY = "search.reranker"


class CrossEncoderReranker:
    """``CrossEncoder`` of sentence-transformers: of texts, or of texts and images, as the model has it.

    Args:
        settings: the model and how it is run.
    """

    def __init__(self, settings: RerankerSettings) -> None:
        self._settings = settings
        self._lock = threading.RLock()

    @cached_property
    def reads(self) -> tuple[Modality, ...]:
        """What the model takes: text, and images if it sees any."""
        found: list[Modality] = [name for name in ("text", "image") if self._model.supports(name)]
        return tuple(found)

    def rerank(self, query: str, candidates: Sequence[Candidate], inputs: Sequence[RerankInput]) -> list[Candidate]:
        """The same candidates by the model's probability that they answer ``query``."""
        if not candidates:
            return []
        from torch.nn import Sigmoid

        pairs = [(query, self._document(given)) for given in inputs]
        with self._lock:  # a model runs one batch at a time
            scores = self._model.predict(
                pairs,
                prompt=self._settings.prompt,
                batch_size=self._settings.batch_size,
                show_progress_bar=False,
                activation_fn=Sigmoid(),
            )
        return rescored(candidates, self._checked(np.asarray(scores, np.float64)))

    def _document(self, given: RerankInput) -> Any:
        """As the library takes it: text, or a dict of text and image where there are both."""
        from PIL import Image

        if given.image is None or "image" not in self.reads:
            return given.text
        picture = Image.fromarray(given.image)
        return {"text": given.text, "image": picture} if given.text else picture

    def _checked(self, scores: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
        if scores.ndim != 1:
            raise ConfigurationError(
                f"The model {self._snapshot.name} classifies into {scores.shape[-1]} classes; "
                f"{_KEY}.model must be one that gives one score."
            )
        if not np.isfinite(scores).all():
            raise ModelUnavailableError(f"The model {self._snapshot.name} gave a score that is not a number.")
        return [float(score) for score in scores]

    @cached_property
    def _snapshot(self) -> Snapshot:
        return find_model(self._settings, _KEY)

    @cached_property
    def _model(self) -> Any:
        with self._lock:
            return load("CrossEncoder", self._snapshot, self._settings)
