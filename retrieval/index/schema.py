"""What every Qdrant adapter shares: payload indexes, limits, checks before a write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from retrieval.base import Filter, IndexPoint, SparseVector, VectorField
from tuwen.errors import InvalidRequestError

PayloadKind = Literal["tenant", "keyword", "integer"]

PAYLOAD_INDEXES: Mapping[str, PayloadKind] = {
    "tenant": "tenant",
    "collection": "keyword",
    "document_id": "keyword",
    "kind": "keyword",
    "page": "integer",
}
"""Payload keys that can be filtered and counted on, and how each is indexed."""

UPSERT_BATCH = 128
"""Points in one write: bounds memory, and what a crash can leave unacknowledged."""

SCROLL_BATCH = 1000


def batched(points: Iterable[IndexPoint]) -> Iterator[list[IndexPoint]]:
    """``points`` in lists of at most :data:`UPSERT_BATCH`."""
    iterator = iter(points)
    while batch := list(islice(iterator, UPSERT_BATCH)):
        yield batch


def check_point(point: IndexPoint, fields: Mapping[str, VectorField]) -> None:
    """Refuse a point that the index cannot hold, before anything is written.

    Raises:
        InvalidRequestError: unknown vector name, wrong kind or dimension.
    """
    for name, vector in point.vectors.items():
        field = fields.get(name)
        if field is None:
            raise InvalidRequestError(f"Point {point.id}: the index has no vector {name!r}, only {sorted(fields)}.")
        sparse = isinstance(vector, SparseVector)
        if sparse != (field.kind == "sparse"):
            raise InvalidRequestError(f"Point {point.id}: vector {name!r} must be {field.kind}.")
        if not isinstance(vector, SparseVector) and vector.shape[-1] != field.dimension:
            raise InvalidRequestError(
                f"Point {point.id}: vector {name!r} has {vector.shape[-1]} dimensions, not {field.dimension}."
            )


def require_condition(where: Filter) -> None:
    """Refuse a filter that would match everything.

    Raises:
        InvalidRequestError: no condition at all.
    """
    if where.tenant is None and where.collection is None and where.documents is None and where.kinds is None:
        raise InvalidRequestError("A delete needs a condition: an empty filter would remove every point.")


def conditions(where: Filter) -> list[tuple[str, Sequence[str]]]:
    """The positive conditions as ``(key, any of these values)``."""
    named: list[tuple[str, Sequence[str] | None]] = [
        ("tenant", None if where.tenant is None else [where.tenant]),
        ("collection", None if where.collection is None else [where.collection]),
        ("document_id", where.documents),
        ("kind", None if where.kinds is None else [kind.value for kind in where.kinds]),
    ]
    return [(key, list(values)) for key, values in named if values is not None]


def population(where: Filter) -> Filter:
    """The corpus whose term statistics a query may use: its tenant's collection, nobody else's."""
    return Filter(tenant=where.tenant, collection=where.collection)
