"""Qdrant Edge: the Qdrant engine in this process (qdrant-edge-py 0.9.0, a beta, hence pinned)."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as qdrant
from pydantic import TypeAdapter, ValidationError

from retrieval.base import Filter, IndexPoint, PointPayload, Scored, SparseVector, Vector, VectorField, VectorQuery
from retrieval.index.owner import OwnerLock
from retrieval.index.schema import (
    FACET_LIMIT,
    PAYLOAD_INDEXES,
    SCROLL_BATCH,
    PayloadKind,
    batched,
    check_facet,
    check_field,
    check_point,
    conditions,
    is_empty,
    mismatch,
    population,
    require_condition,
    required_dimension,
)
from tuwen.errors import ConfigurationError, StorageUnavailableError

_FIELDS_FILE = "fields.json"
_FIELDS = TypeAdapter(dict[str, VectorField])
_PAYLOAD_SCHEMAS: Mapping[PayloadKind, qdrant.KeywordIndexParams | qdrant.PayloadSchemaType] = {
    "tenant": qdrant.KeywordIndexParams(is_tenant=True),
    "keyword": qdrant.PayloadSchemaType.Keyword,
    "integer": qdrant.PayloadSchemaType.Integer,
}


class EdgeIndex:
    """A shard of Qdrant Edge in a folder, owned by this process until :meth:`close`.

    A write returns when it stands in the write-ahead log and is flushed: neither ``kill -9`` nor a power
    cut loses it. Sparse queries take their IDF over the points of the filter's tenant and collection only,
    so that other tenants' texts neither shift a ranking nor show through it.

    Args:
        path: folder; made when missing.
        fields: the named vectors; an existing shard must have the same.

    Raises:
        IndexLockedError: another process holds the folder.
        ConfigurationError: the folder holds a shard with other vectors.
        StorageUnavailableError: the folder is damaged, full or read-only; every method raises it too.
    """

    def __init__(self, path: Path, fields: Sequence[VectorField]) -> None:
        self._fields = {field.name: field for field in fields}
        self._path = path
        self._lock = OwnerLock(path)
        self._writing = threading.Lock()
        try:
            with _reported(path):
                self._shard = _open(path / "shard", self._fields)
        except BaseException:
            self._lock.release()
            raise

    def upsert(self, points: Iterable[IndexPoint]) -> int:
        """Write points, in bounded batches; the number written."""
        written = 0
        with self._writing:
            for batch in batched(points):
                for point in batch:
                    check_point(point, self._fields)
                operation = qdrant.UpdateOperation.upsert_points([_point(point) for point in batch])
                with _reported(self._path):
                    self._shard.update(operation)
                written += len(batch)
            if written:
                with _reported(self._path):
                    self._shard.flush()
        return written

    def delete(self, where: Filter) -> int:
        """Remove matching points; the number removed. Raises InvalidRequestError for an empty filter."""
        require_condition(where)
        with self._writing:
            matching = self.count(where)
            if matching:
                operation = qdrant.UpdateOperation.delete_points_by_filter(_conditions(where))
                with _reported(self._path):
                    self._shard.update(operation)
                    self._shard.flush()
        return matching

    def query(self, queries: Sequence[VectorQuery]) -> list[list[Scored]]:
        """One result list a query, best first, in one round trip."""
        request = qdrant.QueryBatchRequest([self._request(query) for query in queries])
        with _reported(self._path):
            found = self._shard.query_batch(request)
        return [[_scored(point) for point in points] for points in found]

    def count(self, where: Filter | None = None) -> int:
        """Exact number of matching points."""
        request = qdrant.CountRequest(exact=True, filter=_filter(where))
        with _reported(self._path):
            return self._shard.count(request)

    def facet(self, key: str, where: Filter | None = None) -> dict[str, int]:
        """Number of points by value of an indexed payload key. Raises InvalidRequestError for another key."""
        check_facet(key)
        request = qdrant.FacetRequest(key, limit=FACET_LIMIT, exact=True, filter=_filter(where))
        with _reported(self._path):
            found = self._shard.facet(request)
        return {str(hit.value): hit.count for hit in found if hit.count}  # values of deleted points linger

    def ids(self, where: Filter | None = None) -> Iterator[UUID]:
        """Ids of matching points, streamed."""
        return (_uuid(record.id) for record in self._scroll(where, whole=False))

    def points(self, where: Filter | None = None) -> Iterator[IndexPoint]:
        """Matching points whole, streamed."""
        return map(_stored_point, self._scroll(where, whole=True))

    def optimize(self) -> None:
        """Merge segments and build graphs. Holds the interpreter for seconds to minutes: never while serving."""
        with self._writing, _reported(self._path):
            self._shard.optimize()

    def close(self) -> None:
        """Flush and let go of the index; calling it twice is harmless."""
        with self._writing:
            if self._lock.held:
                try:
                    with _reported(self._path):
                        self._shard.close()
                finally:
                    self._lock.release()

    def older(self) -> Iterator[EdgeIndex]:
        """The indexes that other sets of encoders left beside this one, each open until the next is asked for."""
        for shard in sorted(self._path.parent.glob("*/shard")):
            if shard.parent != self._path:
                index = EdgeIndex(shard.parent, list(_stored_fields(shard / _FIELDS_FILE).values()))
                try:
                    yield index
                finally:
                    index.close()

    def drop(self) -> None:
        """Remove the index for good, and close it."""
        with self._writing, _reported(self._path):
            self._shard.close()
            shutil.rmtree(self._path / "shard")
            self._lock.release()
        shutil.rmtree(self._path, ignore_errors=True)  # the lock's own files

    def _scroll(self, where: Filter | None, *, whole: bool) -> Iterator[Any]:
        offset = None
        while True:
            request = qdrant.ScrollRequest(
                offset=offset, limit=SCROLL_BATCH, filter=_filter(where), with_payload=whole, with_vector=whole
            )
            with _reported(self._path):
                records, offset = self._shard.scroll(request)
            yield from records
            if offset is None:
                return

    def _request(self, query: VectorQuery) -> qdrant.QueryRequest:
        return qdrant.QueryRequest(
            limit=query.limit,
            query=self._nearest(query),
            prefetches=[self._prefetch(inner) for inner in query.prefetch],
            filter=_filter(query.filter),
            params=self._params(query),
            with_payload=True,
        )

    def _prefetch(self, query: VectorQuery) -> qdrant.Prefetch:
        return qdrant.Prefetch(
            limit=query.limit,
            query=self._nearest(query),
            prefetches=[self._prefetch(inner) for inner in query.prefetch],
            filter=_filter(query.filter),
            params=self._params(query),
        )

    def _nearest(self, query: VectorQuery) -> qdrant.Query:
        check_field(query.field, self._fields)
        return qdrant.Query.Nearest(_vector(query.vector), using=query.field)

    def _params(self, query: VectorQuery) -> qdrant.SearchParams:
        sparse = self._fields[query.field].kind == "sparse"
        return qdrant.SearchParams(idf=qdrant.IdfParams(corpus=_filter(population(query.filter))) if sparse else None)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn what the engine raises into an error that says what helps.

    It raises bare ``Exception`` for whatever it cannot read or write, and its panics, which some damaged
    files cause, reach Python as a ``BaseException`` of a module that cannot be imported: hence the name.
    """
    try:
        yield
    except BaseException as error:
        panic = type(error).__name__ == "PanicException"
        if panic or type(error) is Exception or isinstance(error, OSError):
            raise _unavailable(path, str(error)) from error
        raise


def _unavailable(path: Path, reason: str) -> StorageUnavailableError:
    return StorageUnavailableError(
        f"The index {path} cannot be read or written: {reason}. If the disk is full or read-only, mend that and try "
        "again. If the folder is damaged, `tuwen doctor --fix` sets it aside and builds "
        "it again from what is stored; nothing is read again."
    )


def set_shard_aside(path: Path) -> Path:
    """Rename the damaged shard at ``path``; its new place."""
    lock = OwnerLock(path)
    aside = path / f"damaged-{int(time.time())}"
    try:
        with _reported(path):
            (path / "shard").rename(aside)
    finally:
        lock.release()
    return aside


def _open(path: Path, fields: Mapping[str, VectorField]) -> qdrant.EdgeShard:
    if not path.exists():
        _create(path, fields)
    stored = _stored_fields(path / _FIELDS_FILE)
    if found := mismatch(stored.values(), fields.values()):
        raise ConfigurationError(f"{path} holds {found}: give every set of encoders a folder of its own.")
    return qdrant.EdgeShard.load(str(path))


def _stored_fields(path: Path) -> dict[str, VectorField]:
    try:
        return _FIELDS.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise _unavailable(path.parent, f"its {path.name} is missing or damaged") from error


def _create(path: Path, fields: Mapping[str, VectorField]) -> None:
    """Make the shard beside its place and move it in whole, so that a kill leaves no half-made one."""
    partial = path.with_name(f"{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shard = qdrant.EdgeShard.create(str(partial), _config(fields))
    for key, kind in PAYLOAD_INDEXES.items():
        shard.update(qdrant.UpdateOperation.create_field_index(key, _PAYLOAD_SCHEMAS[kind]))
    shard.flush()
    shard.close()
    (partial / _FIELDS_FILE).write_bytes(_FIELDS.dump_json(dict(fields)))
    partial.replace(path)


def _config(fields: Mapping[str, VectorField]) -> qdrant.EdgeConfig:
    return qdrant.EdgeConfig(
        vectors={name: _dense_params(field) for name, field in fields.items() if field.kind != "sparse"},
        sparse_vectors={
            name: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)
            for name, field in fields.items()
            if field.kind == "sparse"
        },
        wal_enabled=True,
    )


def _dense_params(field: VectorField) -> qdrant.EdgeVectorParams:
    multi = qdrant.MultiVectorConfig(qdrant.MultiVectorComparator.MaxSim)
    return qdrant.EdgeVectorParams(
        required_dimension(field),
        qdrant.Distance.Cosine,
        multivector_config=multi if field.kind == "multivector" else None,
        # Of vectors that only rescore, few are read a query: a graph over them would be dead weight.
        hnsw_config=qdrant.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)
        if field.rescoring
        else None,
    )


def _point(point: IndexPoint) -> qdrant.Point:
    vectors = {name: _vector(vector) for name, vector in point.vectors.items() if not is_empty(vector)}
    return qdrant.Point(point.id, vectors, point.payload.model_dump(mode="json"))


def _stored_point(record: Any) -> IndexPoint:
    vectors = {name: _stored_vector(vector) for name, vector in record.vector.items()}
    return IndexPoint(_uuid(record.id), vectors, PointPayload.model_validate(record.payload))


def _stored_vector(vector: Any) -> Vector:
    if isinstance(vector, qdrant.SparseVector):
        return SparseVector(np.array(vector.indices, np.uint32), np.array(vector.values, np.float32))
    return np.array(vector, np.float32)


def _vector(vector: Vector) -> Any:
    if isinstance(vector, SparseVector):
        return qdrant.SparseVector(vector.indices.tolist(), vector.values.tolist())
    return vector.tolist()


def _filter(where: Filter | None) -> qdrant.Filter | None:
    return None if where is None or where == Filter() else _conditions(where)


def _conditions(where: Filter) -> qdrant.Filter:
    must: list[qdrant.FieldCondition | qdrant.HasIdCondition] = [_any(key, values) for key, values in conditions(where)]
    if where.points is not None:
        must.append(qdrant.HasIdCondition(set(where.points)))
    excluded = where.exclude_documents
    return qdrant.Filter(must=list(must), must_not=[_any("document_id", excluded)] if excluded else None)


def _any(key: str, values: Sequence[str]) -> qdrant.FieldCondition:
    return qdrant.FieldCondition(key, match=qdrant.MatchAny(list(values)))


def _scored(point: qdrant.ScoredPoint) -> Scored:
    return Scored(_uuid(point.id), point.score, PointPayload.model_validate(point.payload))


def _uuid(given: object) -> UUID:
    """An id as the engine returns it; we give UUIDs, so it is one."""
    assert isinstance(given, UUID)
    return given
