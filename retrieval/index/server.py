"""A Qdrant server or cluster (qdrant-client; the server must be 1.19 or newer)."""

from __future__ import annotations

import copy
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

import grpc
import numpy as np
from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse

from retrieval.base import Filter, IndexPoint, PointPayload, Scored, SparseVector, Vector, VectorField, VectorQuery
from retrieval.index.connection import Connection, is_taken
from retrieval.index.schema import (
    FACET_LIMIT,
    PAYLOAD_INDEXES,
    SCROLL_BATCH,
    batched,
    check_facet,
    check_field,
    check_point,
    conditions,
    is_empty,
    mismatch,
    population,
    require_condition,
)
from retrieval.index.server_config import PAYLOAD_SCHEMAS, collection_config, search_params, stored_fields
from tuwen.errors import ConfigurationError, StorageUnavailableError
from tuwen.settings import ServerIndexSettings

_OPTIMIZE_S = 3600.0
_POLL_S = 1.0
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")


class ServerIndex:
    """The collection ``NAME_FINGERPRINT`` of a server, which any number of processes may share.

    The alias ``NAME`` stands for the collection that is complete; the first one takes it at once, a later one
    by :meth:`publish`. Reads and writes go to the collection itself, since the vectors of a query fit no other.
    A write returns when the server has applied it on as many replicas as ``write_consistency`` says.

    Args:
        settings: where the server is, and how a new collection is made; an existing one keeps how it was made.
        fingerprint: of the encoders.
        fields: the named vectors; an existing collection must have the same.

    Raises:
        ConfigurationError: the collection has other vectors, or the server refuses the key.
        StorageUnavailableError: the server cannot be reached or fails; every method raises it too.
    """

    def __init__(self, settings: ServerIndexSettings, fingerprint: str, fields: Sequence[VectorField]) -> None:
        self._settings = settings
        self._fields = {field.name: field for field in fields}
        self._name = f"{settings.name}_{fingerprint}"
        self._connection = Connection(settings)
        self._client, self._call = self._connection.client, self._connection.call
        self._params = models.SearchParams() if self._connection.is_local else search_params(settings)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def upsert(self, points: Iterable[IndexPoint]) -> int:
        """Write points; the number written. At most ``parallel`` batches are under way at once.

        Points are taken from ``points`` no faster than the server takes them. When a batch fails for good, those
        before it may have been written.
        """
        written = 0
        flying: deque[Future[models.UpdateResult]] = deque()
        with ThreadPoolExecutor(1 if self._connection.is_local else self._settings.parallel) as pool:
            try:
                for batch in batched(points):
                    for point in batch:
                        check_point(point, self._fields)
                    if len(flying) >= self._settings.parallel:
                        flying.popleft().result()
                    flying.append(pool.submit(self._write, batch))
                    written += len(batch)
                while flying:
                    flying.popleft().result()
            finally:
                for future in flying:
                    future.cancel()
        return written

    def delete(self, where: Filter) -> int:
        """Remove matching points; the number removed. Raises InvalidRequestError for an empty filter."""
        require_condition(where)
        matching = self.count(where)
        if matching:
            selector = models.FilterSelector(filter=_conditions(where))
            self._call(self._client.delete, self._name, selector, wait=True)
        return matching

    def query(self, queries: Sequence[VectorQuery]) -> list[list[Scored]]:
        """One result list a query, best first, in one round trip."""
        requests = [self._request(query) for query in queries]
        found = self._call(self._client.query_batch_points, self._name, requests)
        return [[_scored(point) for point in response.points] for response in found]

    def count(self, where: Filter | None = None) -> int:
        """Exact number of matching points."""
        return self._call(self._client.count, self._name, count_filter=_filter(where), exact=True).count

    def facet(self, key: str, where: Filter | None = None) -> dict[str, int]:
        """Number of points by value of an indexed payload key. Raises InvalidRequestError for another key."""
        check_facet(key)
        found = self._call(
            self._client.facet, self._name, key=key, facet_filter=_filter(where), limit=FACET_LIMIT, exact=True
        )
        return {str(hit.value): hit.count for hit in found.hits if hit.count}

    def ids(self, where: Filter | None = None) -> Iterator[UUID]:
        """Ids of matching points, streamed."""
        return (UUID(str(record.id)) for record in self._scroll(where, whole=False))

    def points(self, where: Filter | None = None) -> Iterator[IndexPoint]:
        """Matching points whole, streamed."""
        return map(_stored_point, self._scroll(where, whole=True))

    def older(self) -> Iterator[ServerIndex]:
        """The collections of other sets of encoders under the same name."""
        for found in self._call(self._client.get_collections).collections:
            name, _, fingerprint = found.name.rpartition("_")
            if name == self._settings.name and found.name != self._name and _FINGERPRINT.fullmatch(fingerprint):
                older = copy.copy(self)
                older._name = found.name
                older._fields = {field.name: field for field in stored_fields(older._info())}
                yield older

    def drop(self) -> None:
        """Remove the collection for good; the connection stays open."""
        self._call(self._client.delete_collection, self._name)

    def optimize(self) -> None:
        """Wait until the server, which optimises by itself, is done. Raises StorageUnavailableError after an hour."""
        deadline = time.monotonic() + _OPTIMIZE_S
        while self._info().status is not models.CollectionStatus.GREEN:
            if time.monotonic() > deadline:
                raise StorageUnavailableError(f"The server is still optimising {self._name}; see its own status.")
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Let go of the connection; calling it twice is harmless."""
        self._connection.close()

    def published(self) -> str | None:
        """The fingerprint of the collection that the alias stands for; None when there is none."""
        aliases = self._call(self._client.get_aliases).aliases
        names = [alias.collection_name for alias in aliases if alias.alias_name == self._settings.name]
        return names[0].removeprefix(f"{self._settings.name}_") if names else None

    def publish(self) -> None:
        """Let the alias stand for this collection, in one step: everything is in."""
        alias = self._settings.name
        create = models.CreateAlias(collection_name=self._name, alias_name=alias)
        steps: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=create)]
        if self.published() is not None:
            steps.insert(0, models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
        self._call(self._client.update_collection_aliases, change_aliases_operations=steps)

    def _prepare(self) -> None:
        """Make what is missing; a process that was killed while it did so may have left any part out."""
        if not self._call(self._client.collection_exists, self._name):
            self._create()
        info = self._info()
        if found := mismatch(stored_fields(info), self._fields.values()):
            raise ConfigurationError(
                f"The collection {self._name} holds {found}: set index.server.name to another name, or remove it."
            )
        if not self._connection.is_local:  # which has no payload indexes
            for key in PAYLOAD_INDEXES.keys() - (info.payload_schema or {}).keys():
                schema = PAYLOAD_SCHEMAS[PAYLOAD_INDEXES[key]]
                self._call(self._client.create_payload_index, self._name, field_name=key, field_schema=schema)
        if self.published() is None:
            self.publish()

    def _create(self) -> None:
        config = collection_config(self._settings, list(self._fields.values()))
        try:
            self._call(self._client.create_collection, self._name, **config)
        except (UnexpectedResponse, grpc.RpcError) as error:
            if not is_taken(error):  # else another process was faster
                raise

    def _info(self) -> models.CollectionInfo:
        return self._call(self._client.get_collection, self._name)

    def _write(self, batch: Sequence[IndexPoint]) -> models.UpdateResult:
        return self._call(self._client.upsert, self._name, [_point(point) for point in batch], wait=True)

    def _scroll(self, where: Filter | None, *, whole: bool) -> Iterator[models.Record]:
        offset: models.ExtendedPointId | None = None
        while True:
            records, offset = self._call(
                self._client.scroll,
                self._name,
                scroll_filter=_filter(where),
                limit=SCROLL_BATCH,
                offset=offset,
                with_payload=whole,
                with_vectors=whole,
            )
            yield from records
            if offset is None:
                return

    def _request(self, query: VectorQuery) -> models.QueryRequest:
        return models.QueryRequest(
            prefetch=[self._prefetch(inner) for inner in query.prefetch] or None,
            query=self._nearest(query),
            using=query.field,
            filter=_filter(query.filter),
            params=self._params_of(query),
            limit=query.limit,
            with_payload=True,
        )

    def _prefetch(self, query: VectorQuery) -> models.Prefetch:
        return models.Prefetch(
            prefetch=[self._prefetch(inner) for inner in query.prefetch] or None,
            query=self._nearest(query),
            using=query.field,
            filter=_filter(query.filter),
            params=self._params_of(query),
            limit=query.limit,
        )

    def _nearest(self, query: VectorQuery) -> models.NearestQuery:
        check_field(query.field, self._fields)
        return models.NearestQuery(nearest=_vector(query.vector))

    def _params_of(self, query: VectorQuery) -> models.SearchParams:
        if self._fields[query.field].kind != "sparse":
            return self._params
        corpus = _filter(population(query.filter))
        return models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus) if corpus else None)


def _point(point: IndexPoint) -> models.PointStruct:
    vectors = {name: _vector(vector) for name, vector in point.vectors.items() if not is_empty(vector)}
    return models.PointStruct(id=str(point.id), vector=vectors, payload=point.payload.model_dump(mode="json"))


def _stored_point(record: models.Record) -> IndexPoint:
    assert isinstance(record.vector, dict), "our vectors have names"
    vectors = {name: _stored_vector(vector) for name, vector in record.vector.items()}
    return IndexPoint(UUID(str(record.id)), vectors, PointPayload.model_validate(record.payload))


def _stored_vector(vector: object) -> Vector:
    if isinstance(vector, models.SparseVector):
        return SparseVector(np.array(vector.indices, np.uint32), np.array(vector.values, np.float32))
    return np.array(vector, np.float32)


def _vector(vector: Vector) -> models.SparseVector | list[float] | list[list[float]]:
    if isinstance(vector, SparseVector):
        return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())
    listed: list[float] | list[list[float]] = vector.tolist()
    return listed


def _filter(where: Filter | None) -> models.Filter | None:
    return None if where is None or where == Filter() else _conditions(where)


def _conditions(where: Filter) -> models.Filter:
    must: list[models.Condition] = [_any(key, values) for key, values in conditions(where)]
    if where.points is not None:
        must.append(models.HasIdCondition(has_id=[str(point) for point in where.points]))
    excluded = where.exclude_documents
    return models.Filter(must=must, must_not=[_any("document_id", excluded)] if excluded else None)


def _any(key: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _scored(point: models.ScoredPoint) -> Scored:
    return Scored(UUID(str(point.id)), point.score, PointPayload.model_validate(point.payload))
