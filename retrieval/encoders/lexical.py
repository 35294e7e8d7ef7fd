"""Sparse text vectors: BM25 over the terms of :mod:`retrieval.lexical`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from retrieval.base import RGB, EncoderDescription, Role, SparseVector, Vector
from retrieval.lexical import VERSION, analyze, query_weights, term_id
from tuwen.errors import InvalidRequestError
from tuwen.settings import SparseSettings


class LexicalEncoder:
    """BM25 split over two sides: a passage carries saturated term frequencies, a query term weights.

    The dot product of the two, with the index's IDF on the query side (Qdrant ``Modifier.IDF``), is
    the BM25 sum. The average length is a constant of the settings and not of the corpus at hand, so a
    vector never goes stale. A text without any term gives an empty vector, which matches nothing.

    Args:
        settings: BM25 parameters.
    """

    def __init__(self, settings: SparseSettings) -> None:
        self._settings = settings

    @cached_property
    def description(self) -> EncoderDescription:
        """Static facts."""
        s = self._settings
        return EncoderDescription(
            name="lexical (jieba words, character bigrams, BM25)",
            kind="sparse",
            dimension=None,
            modalities=("text",),
            licence="Apache-2.0",
            fingerprint=f"lexical/{VERSION}/k1={s.k1}/b={s.b}/length={s.average_terms}",
        )

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        """One sparse vector a text."""
        encode = self._passage if role == "passage" else _query
        return [encode(text) for text in texts]

    def encode_images(self, images: Sequence[RGB]) -> list[Vector]:  # noqa: ARG002
        """Raises InvalidRequestError: terms come from text."""
        raise InvalidRequestError("The lexical encoder encodes text only; images need the image encoder.")

    def count_tokens(self, text: str) -> int:
        """Number of terms of ``text``."""
        return len(analyze(text))

    def _passage(self, text: str) -> SparseVector:
        s = self._settings
        counts = Counter(analyze(text))
        length = 1 - s.b + s.b * counts.total() / s.average_terms
        return _sparse({term: tf * (s.k1 + 1) / (tf + s.k1 * length) for term, tf in counts.items()})


def _query(text: str) -> SparseVector:
    return _sparse(query_weights(text))


def _sparse(weights: Mapping[str, float]) -> SparseVector:
    """Hash the terms; two with the same id (one in 2^32 a pair) keep the greater weight."""
    by_id: dict[int, float] = {}
    for term, weight in weights.items():
        key = term_id(term)
        by_id[key] = max(weight, by_id.get(key, 0.0))
    indices = np.fromiter(by_id, np.uint32, len(by_id))
    values = np.fromiter(by_id.values(), np.float32, len(by_id))
    order = np.argsort(indices)
    return SparseVector(indices[order], values[order])
