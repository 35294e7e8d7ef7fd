"""The search plan: what is encoded, one round trip to the index, fusion, grouping by page.

Fusion is a convex combination of scores normalised by their theoretical minimum and the best score
seen (Bruch, Gai & Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval",
https://doi.org/10.1145/3596512).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from retrieval.base import (
    RGB,
    Candidate,
    Encoders,
    Filter,
    PageCandidate,
    PageIndex,
    Scored,
    Vector,
    VectorField,
    VectorQuery,
)
from tuwen.errors import InvalidRequestError
from tuwen.settings import SearchSettings
from tuwen.types import PageRecord, Passage

DENSE, SPARSE, PAGE, IMAGE = "dense", "sparse", "page", "image"
"""Vector names: a passage point carries the first two, a page point the last two."""


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


def vector_fields(encoders: Encoders) -> tuple[VectorField, ...]:
    """The named vectors that an index for these encoders needs."""
    kinds = {DENSE: encoders.dense, SPARSE: encoders.sparse, PAGE: encoders.sparse, IMAGE: encoders.image}
    return tuple(
        VectorField(name=name, kind=encoder.description.kind, dimension=encoder.description.dimension)
        for name, encoder in kinds.items()
    )


def passage_inputs(passage: Passage, document_name: str) -> PassageInputs:
    """What the encoders read of a passage: its headings, then its text."""
    headings = " ".join(passage.heading_path)
    text = f"{headings}\n{passage.text}" if headings else passage.text
    return PassageInputs(dense=text, sparse=text)


def page_input(record: PageRecord) -> str:
    """What the sparse encoder reads of a whole page."""
    return record.text


def encode_passages(passages: Sequence[Passage], document_name: str, encoders: Encoders) -> list[Mapping[str, Vector]]:
    """The vectors of passage points, one mapping a passage."""
    inputs = [passage_inputs(passage, document_name) for passage in passages]
    dense = encoders.dense.encode_texts([item.dense for item in inputs], "passage")
    sparse = encoders.sparse.encode_texts([item.sparse for item in inputs], "passage")
    return [{DENSE: d, SPARSE: s} for d, s in zip(dense, sparse, strict=True)]


def encode_page(record: PageRecord, image: RGB, encoders: Encoders) -> Mapping[str, Vector]:
    """The vectors of a page point."""
    (sparse,) = encoders.sparse.encode_texts([page_input(record)], "passage")
    (picture,) = encoders.image.encode_images([image])
    return {PAGE: sparse, IMAGE: picture}


def search(query: SearchQuery, encoders: Encoders, index: PageIndex, settings: SearchSettings) -> list[PageCandidate]:
    """The pages that match best, best first, at most ``query.top_k``.

    Raises:
        InvalidRequestError: neither text nor image is given.
    """
    queries = plan(query, encoders, settings)
    results = dict(zip((q.field for q in queries), index.query(queries), strict=True))
    return fuse(results, settings)[: query.top_k]


def plan(query: SearchQuery, encoders: Encoders, settings: SearchSettings) -> list[VectorQuery]:
    """One vector query a field, all carrying the same filter."""
    vectors: dict[str, Vector] = {}
    if query.text.strip():
        (vectors[DENSE],) = encoders.dense.encode_texts([query.text], "query")
        (vectors[SPARSE],) = encoders.sparse.encode_texts([query.text], "query")
        vectors[PAGE] = vectors[SPARSE]
    if query.image is not None:
        (vectors[IMAGE],) = encoders.image.encode_images([query.image])
    if not vectors:
        raise InvalidRequestError("Give a question, an image, or both: there is nothing to search for.")
    return [VectorQuery(field, vector, settings.prefetch, query.where) for field, vector in vectors.items()]


def fuse(results: Mapping[str, Sequence[Scored]], settings: SearchSettings) -> list[PageCandidate]:
    """Fuse the result lists by vector name into pages, best first."""
    weights = {DENSE: settings.dense_weight, SPARSE: settings.sparse_weight, PAGE: settings.sparse_weight, IMAGE: 1.0}
    pages: dict[tuple[str, int], dict[str, float]] = {}
    raw: dict[tuple[str, int], dict[str, float]] = {}
    passages: dict[tuple[str, int], dict[int, Candidate]] = {}
    for name, scored in results.items():
        best = scored[0].score if scored else 1.0
        for point in scored:
            for page in point.payload.pages:
                key = (point.payload.document_id, page)
                share = weights[name] * point.score / best * (0.3 if point.payload.is_contents else 1.0)
                pages.setdefault(key, {})[name] = max(share, pages.get(key, {}).get(name, 0.0))
                raw.setdefault(key, {})[name] = max(point.score, raw.get(key, {}).get(name, 0.0))
                if name in (DENSE, SPARSE):
                    known = passages.setdefault(key, {})
                    old = known.get(point.payload.ordinal)
                    known[point.payload.ordinal] = _merge(point, page, share, name, old)
    total = sum(weights[name] for name in results)
    ranked = [
        PageCandidate(*key, sum(by_name.values()) / total, raw[key], _ordered(passages.get(key, {}).values()))
        for key, by_name in pages.items()
    ]
    return sorted(ranked, key=lambda page: (-page.score, page.document_id, page.page))


def _merge(point: Scored, page: int, share: float, name: str, old: Candidate | None) -> Candidate:
    score, scores = (old.score, old.scores) if old else (0.0, {})
    payload = point.payload
    return Candidate(
        payload.document_id,
        page,
        payload.kind,
        payload.ordinal,
        score + share,
        {**scores, name: point.score},
        payload.page,
    )


def _ordered(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda candidate: (-candidate.score, candidate.ordinal)))
