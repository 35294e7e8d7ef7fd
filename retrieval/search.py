"""The search plan: what is encoded, one round trip to the index, fusion, grouping by page.

Fusion is a convex combination of scores normalised by their theoretical minimum and the best score
seen (Bruch, Gai & Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval",
https://doi.org/10.1145/3596512); on our development sets it beat reciprocal rank fusion at every
weight tried, and the best single retriever. Evidence comes from passages (dense, sparse) and from
the page as a whole, where titles weigh more than text (after BM25F, Robertson, Zaragoza & Taylor
2004, https://doi.org/10.1145/1031171.1031181).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from retrieval.base import (
    RGB,
    Candidate,
    Encoders,
    Filter,
    LateEncoder,
    MultiVector,
    PageCandidate,
    PageIndex,
    Reranker,
    RerankInput,
    Scored,
    Vector,
    VectorQuery,
)
from retrieval.fields import DENSE, IMAGE, LATE, LATE_POOLED, PAGE, SPARSE
from tuwen.errors import InvalidRequestError
from tuwen.settings import SearchSettings
from tuwen.types import BlockKind, HitKind, PageRecord, Passage

_HEADINGS = 3
"""Innermost headings that a passage is encoded with."""
_TITLE_COPIES = 4
"""Further times that a page's titles count, as if they stood in its text."""
_PASSAGE_SHARE = 0.2
"""Of the lexical score: the part that a page's best passage gives; the page as a whole gives the rest."""
_CONTENTS = 0.2
"""Factor for pages that only list contents: they hold the words of every page that they point to."""
_PASSAGE_FIELDS = (DENSE, SPARSE)
_POOLED_PREFETCH = 4
"""Points that pooled vectors find for each that late interaction is asked for."""


class PassageInputs(NamedTuple):
    """The texts that a passage's vectors are made from."""

    dense: str
    sparse: str


class SearchQuery(NamedTuple):
    """What to look for: words, a picture, or both."""

    text: str = ""
    image: RGB | None = None
    where: Filter = Filter()
    top_k: int = 10


class SecondStage(NamedTuple):
    """A reranker, and what it needs."""

    reranker: Reranker
    read: Callable[[Candidate], RerankInput]
    """What a candidate says, which the index does not hold."""
    pages: int
    """How many it scores, at least as many as are wanted."""


def passage_inputs(passage: Passage, document_name: str) -> PassageInputs:
    """What the encoders read of a passage: its headings, text and captions; for words, the document's name too."""
    headings = " ".join(passage.heading_path[-_HEADINGS:])
    text = "\n".join(part for part in (headings, passage.text, passage.caption) if part)
    return PassageInputs(dense=text, sparse=f"{PurePosixPath(document_name).stem}\n{text}")


def page_input(record: PageRecord, document_name: str) -> str:
    """What the sparse encoder reads of a whole page: its titles several times, its text, captions, the name.

    Headers and footers stand on every page of a chapter and would make all of them look alike, so they
    count only where a page has nothing else.
    """
    body = [b for b in record.blocks if b.kind not in (BlockKind.HEADER, BlockKind.FOOTER)] or record.blocks
    titles = [block.text for block in body if block.kind is BlockKind.TITLE]
    texts = [part for block in body for part in (block.text, block.caption) if part]
    about = [record.caption] if record.caption else []
    return "\n".join([PurePosixPath(document_name).stem, *titles * _TITLE_COPIES, *texts, *about])


def encode_passages(passages: Sequence[Passage], document_name: str, encoders: Encoders) -> list[Mapping[str, Vector]]:
    """The vectors of passage points, one mapping a passage."""
    inputs = [passage_inputs(passage, document_name) for passage in passages]
    dense = encoders.dense.encode_texts([item.dense for item in inputs], "passage")
    sparse = encoders.sparse.encode_texts([item.sparse for item in inputs], "passage")
    vectors: list[Mapping[str, Vector]] = [{DENSE: d, SPARSE: s} for d, s in zip(dense, sparse, strict=True)]
    if encoders.late is None or _sees(encoders.late):
        return vectors
    late = encoders.late.encode_texts([item.dense for item in inputs], "passage")
    return [{**v, **_late_vectors(encoders.late, many)} for v, many in zip(vectors, late, strict=True)]


def encode_page(record: PageRecord, image: RGB, document_name: str, encoders: Encoders) -> Mapping[str, Vector]:
    """The vectors of a page point."""
    (sparse,) = encoders.sparse.encode_texts([page_input(record, document_name)], "passage")
    (picture,) = encoders.image.encode_images([image])
    vectors: Mapping[str, Vector] = {PAGE: sparse, IMAGE: picture}
    if encoders.late is None or not _sees(encoders.late):
        return vectors
    (late,) = encoders.late.encode_images([image])
    return {**vectors, **_late_vectors(encoders.late, late)}


def _sees(encoder: LateEncoder) -> bool:
    return "image" in encoder.description.modalities


def _late_vectors(encoder: LateEncoder, vectors: Vector) -> Mapping[str, MultiVector]:
    many = np.asarray(vectors, np.float32)
    return {LATE: many, LATE_POOLED: encoder.pool(many)}


def search(
    query: SearchQuery,
    encoders: Encoders,
    index: PageIndex,
    settings: SearchSettings,
    second: SecondStage | None = None,
) -> list[PageCandidate]:
    """The pages that match best, best first, at most ``query.top_k``.

    Args:
        query: what to look for.
        encoders: those that the index was made with.
        index: where to look.
        settings: weights and limits.
        second: scores the best pages again, where there is a question to score them by.

    Raises:
        InvalidRequestError: neither text nor image is given.
    """
    queries = plan(query, encoders, settings)
    results = dict(zip((q.field for q in queries), index.query(queries), strict=True))
    pages = fuse(results, settings, floors(encoders))
    if second is not None and query.text.strip():
        pages = rerank_pages(query.text, pages[: max(second.pages, query.top_k)], second)
    return pages[: query.top_k]


def plan(query: SearchQuery, encoders: Encoders, settings: SearchSettings) -> list[VectorQuery]:
    """One vector query a field, all carrying the same filter."""
    vectors: dict[str, Vector] = {}
    if query.text.strip():
        (vectors[DENSE],) = encoders.dense.encode_texts([query.text], "query")
        (vectors[SPARSE],) = encoders.sparse.encode_texts([query.text], "query")
        vectors[PAGE] = vectors[SPARSE]
        if query.image is None and "text" in encoders.image.description.modalities:  # words find pictures
            (vectors[IMAGE],) = encoders.image.encode_texts([query.text], "query")
        if encoders.late is not None:
            (vectors[LATE],) = encoders.late.encode_texts([query.text], "query")
    if query.image is not None:
        (vectors[IMAGE],) = encoders.image.encode_images([query.image])
    if not vectors:
        raise InvalidRequestError("Give a question, an image, or both: there is nothing to search for.")
    limit = max(settings.prefetch, query.top_k)  # else a list shorter than what is asked for cuts the result
    return [_vector_query(field, vector, limit, query.where) for field, vector in vectors.items()]


def _vector_query(field: str, vector: Vector, limit: int, where: Filter) -> VectorQuery:
    if field != LATE:
        return VectorQuery(field, vector, limit, where)
    prefetch = VectorQuery(LATE_POOLED, vector, _POOLED_PREFETCH * limit, where)
    return VectorQuery(field, vector, limit, where, (prefetch,))


def rerank_pages(text: str, pages: Sequence[PageCandidate], second: SecondStage) -> list[PageCandidate]:
    """``pages`` in the reranker's order and with its scores; each page stands for itself by its best passage."""
    leads = [_lead(page) for page in pages]
    inputs = [second.read(lead) if second.reranker.reads else RerankInput() for lead in leads]
    by_key = {(page.document_id, page.page): page for page in pages}
    ranked = second.reranker.rerank(text, leads, inputs)
    return [by_key[lead.document_id, lead.page]._replace(score=lead.score) for lead in ranked]


def _lead(page: PageCandidate) -> Candidate:
    """The candidate that speaks for a page, with the page's score."""
    if page.passages:
        return page.passages[0]._replace(score=page.score)
    return Candidate(page.document_id, page.page, HitKind.IMAGE, page.page, page.score, page.scores, page.page)


def floors(encoders: Encoders) -> Mapping[str, float]:
    """Scores of unrelated texts by vector name, from which a score begins to count; 0 for all others."""
    return {DENSE: encoders.dense.description.score_floor}


def fuse(
    results: Mapping[str, Sequence[Scored]], settings: SearchSettings, floors: Mapping[str, float]
) -> list[PageCandidate]:
    """Fuse the result lists by vector name into pages, best first.

    A page's score is the weighted mean of its best normalised scores; a list that does not hold the
    page counts 0 for it, and a list that is empty does not count at all.

    Args:
        results: by vector name.
        settings: the weights.
        floors: as :func:`floors` gives them.
    """
    weights = _weights(settings)
    total = sum(weights[name] for name, points in results.items() if points) or 1.0
    pages: dict[tuple[str, int], _Page] = {}
    for name, points in results.items():
        share = weights[name] / total
        for point, score in zip(points, _normalised(name, points, floors.get(name, 0.0)), strict=True):
            for page in point.payload.pages:
                key = (point.payload.document_id, page)
                pages.setdefault(key, _Page(*key)).add(name, point, share * score)
    candidates = [page.candidate() for page in pages.values()]
    return sorted(candidates, key=lambda page: (-page.score, page.document_id, page.page))


def _weights(settings: SearchSettings) -> dict[str, float]:
    return {
        DENSE: settings.dense_weight,
        SPARSE: settings.sparse_weight * _PASSAGE_SHARE,
        PAGE: settings.sparse_weight * (1 - _PASSAGE_SHARE),
        IMAGE: settings.image_weight,
        LATE: settings.late_weight,
    }


def _normalised(name: str, points: Sequence[Scored], floor: float) -> list[float]:
    """Scores to 0..1, contents pages damped. The descriptor's cosine is kept: a poor best match is poor."""
    best = max((p.score for p in points if not p.payload.is_contents), default=None)
    if best is None:
        best = max((p.score for p in points), default=1.0)
    span = 1.0 if name == IMAGE else max(best - floor, 1e-9)
    return [min(max(p.score - floor, 0.0) / span, 1.0) * (_CONTENTS if p.payload.is_contents else 1.0) for p in points]


class _Page:
    """What the lists say about one page."""

    def __init__(self, document_id: str, page: int) -> None:
        self._document_id, self._page = document_id, page
        self._best: dict[str, float] = {}
        self._raw: dict[str, float] = {}
        self._passages: dict[int, Candidate] = {}

    def add(self, name: str, point: Scored, score: float) -> None:
        """Take in a point of list ``name`` whose weighted score is ``score``."""
        self._best[name] = max(score, self._best.get(name, 0.0))
        self._raw[name] = max(point.score, self._raw.get(name, point.score))
        if name in _PASSAGE_FIELDS:
            payload = point.payload
            known = self._passages.get(payload.ordinal)
            before, scores = (known.score, known.scores) if known else (0.0, {})
            # The page's own share says nothing about which passage, so the best passage takes all of the words'.
            score = score / _PASSAGE_SHARE if name == SPARSE else score
            self._passages[payload.ordinal] = Candidate(
                payload.document_id, self._page, payload.kind, payload.ordinal, before + score,
                {**scores, name: point.score}, payload.page,
            )  # fmt: skip

    def candidate(self) -> PageCandidate:
        """The page with its passages, best first."""
        passages = sorted(self._passages.values(), key=lambda one: (-one.score, one.ordinal))
        return PageCandidate(self._document_id, self._page, sum(self._best.values()), self._raw, tuple(passages))
