"""What every Qdrant adapter shares: payload indexes, limits, checks before a write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from retrieval.base import Filter, IndexPoint, SparseVector, Vector, VectorField, VectorKind
from tuwen.errors import ConfigurationError, InvalidRequestError

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

UPSERT_NUMBERS = 1_500_000
"""Numbers in one write: multivectors are large, and a Qdrant server refuses requests above 32 MB."""

SCROLL_BATCH = 1000
FACET_LIMIT = 1_000_000


def batched(points: Iterable[IndexPoint]) -> Iterator[list[IndexPoint]]:
    """``points`` in lists that keep within :data:`UPSERT_BATCH` and, one point excepted, :data:`UPSERT_NUMBERS`."""
    batch: list[IndexPoint] = []
    numbers = 0
    for point in points:
        size = sum(_size(vector) for vector in point.vectors.values())
        if batch and (len(batch) == UPSERT_BATCH or numbers + size > UPSERT_NUMBERS):
            yield batch
            batch, numbers = [], 0
        batch.append(point)
        numbers += size
    if batch:
        yield batch


def _size(vector: Vector) -> int:
    return 2 * len(vector.indices) if isinstance(vector, SparseVector) else vector.size


def is_empty(vector: Vector) -> bool:
    """Whether it has no numbers, which an engine does not take; the point then lacks this vector."""
    return not _size(vector)


def required_dimension(field: VectorField) -> int:
    """The dimension of a dense or multivector. Raises ConfigurationError when it is not known."""
    if field.dimension is None:
        raise ConfigurationError(f"Vector {field.name!r} needs a dimension.")
    return field.dimension


def mismatch(found: Iterable[VectorField], wanted: Iterable[VectorField]) -> str | None:
    """In words, how the vectors of an existing index differ from those that are wanted; None when they do not."""
    there, needed = ({field.name: field for field in fields} for fields in (found, wanted))
    if there == needed:
        return None
    return f"an index with the vectors {_describe(there)}, not {_describe(needed)}"


def _describe(fields: Mapping[str, VectorField]) -> str:
    return ", ".join(f"{f.name} ({f.kind}, {f.dimension or 'any'})" for f in fields.values())


def check_field(name: str, fields: Mapping[str, VectorField]) -> None:
    """Refuse a query for a vector that there is not. Raises InvalidRequestError."""
    if name not in fields:
        raise InvalidRequestError(f"The index has no vector {name!r}, only {sorted(fields)}.")


def check_facet(key: str) -> None:
    """Refuse to count by a key that has no index. Raises InvalidRequestError."""
    if key not in PAYLOAD_INDEXES:
        raise InvalidRequestError(f"Points can be counted by {', '.join(PAYLOAD_INDEXES)}, not by {key!r}.")


def check_point(point: IndexPoint, fields: Mapping[str, VectorField]) -> None:
    """Refuse a point that the index cannot hold, before anything is written.

    Raises:
        InvalidRequestError: unknown vector name, wrong kind or dimension.
    """
    for name, vector in point.vectors.items():
        field = fields.get(name)
        if field is None:
            raise InvalidRequestError(f"Point {point.id}: the index has no vector {name!r}, only {sorted(fields)}.")
        if _kind(vector) != field.kind:
            raise InvalidRequestError(f"Point {point.id}: vector {name!r} must be {field.kind}.")
        if not isinstance(vector, SparseVector) and vector.shape[-1] != field.dimension:
            raise InvalidRequestError(
                f"Point {point.id}: vector {name!r} has {vector.shape[-1]} dimensions, not {field.dimension}."
            )


def _kind(vector: Vector) -> VectorKind:
    if isinstance(vector, SparseVector):
        return "sparse"
    return "multivector" if vector.ndim == 2 else "dense"


def require_condition(where: Filter) -> None:
    """Refuse a filter that would match everything.

    Raises:
        InvalidRequestError: no condition at all.
    """
    if not conditions(where) and where.points is None:
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
