"""A gRPC server that speaks Qdrant's protocol, over qdrant-client's local mode, and fails when it is told to.

It is no Qdrant: it keeps what a real server would be told (``created``, ``indexes``, ``queries``) and shows that
every request survives the wire.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent import futures

import grpc
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc


class WireServer:
    """Listens on a free port of this machine until :meth:`stop`."""

    def __init__(self, *, key: str | None = None) -> None:
        self.local = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self.created: dict[str, wire.CreateCollection] = {}
        self.indexes: dict[str, wire.CreateFieldIndexCollection] = {}
        self.queries: list[wire.QueryPoints] = []
        self.calls: list[str] = []
        self.faults: deque[tuple[str, grpc.StatusCode, dict[str, str]]] = deque()
        self.before = lambda name: None
        self._key = key
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=[_Interceptor(self)])
        collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(self), self._server)
        points_service_pb2_grpc.add_PointsServicer_to_server(Points(self), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def fail(self, name: str, code: grpc.StatusCode, times: int = 1, **trailing: str) -> None:
        """Answer the next ``times`` calls of ``name`` with ``code``."""
        self.faults.extend([(name, code, trailing)] * times)

    def stop(self) -> None:
        self._server.stop(0).wait()
        self.local.close()

    def check(self, name: str, context: grpc.ServicerContext) -> None:
        """Note the call; abort it when a fault is due or the key is wrong."""
        self.before(name)
        with self._lock:
            self.calls.append(name)
            due = self.faults.popleft() if self.faults and self.faults[0][0] == name else None
        if self._key and dict(context.invocation_metadata()).get("api-key") != self._key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
        if due:
            _, code, trailing = due
            context.set_trailing_metadata(tuple((k.replace("_", "-"), v) for k, v in trailing.items()))
            context.abort(code, f"injected {code.name}")


class _Interceptor(grpc.ServerInterceptor):
    """Local mode takes one call at a time."""

    def __init__(self, server: WireServer) -> None:
        self._server, self._one = server, threading.Lock()

    def intercept_service(self, continuation, details):
        handler = continuation(details)
        name = details.method.rsplit("/", 1)[-1]

        def answer(request, context):
            self._server.check(name, context)
            with self._one:
                try:
                    return handler.unary_unary(request, context)
                except ValueError as error:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )  # fmt: skip


def _filter(message):
    return GrpcToRest.convert_filter(message.filter) if message.HasField("filter") else None


def _known_locally(query):
    """``query`` without what local mode warns about: it searches in full."""
    params = models.SearchParams(idf=query.params.idf) if query.params else None
    inner = [_known_locally(prefetch) for prefetch in query.prefetch or []]
    return query.model_copy(update={"params": params, "prefetch": inner or None})


class Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, server: WireServer) -> None:
        self._server, self._local = server, server.local

    def CollectionExists(self, request, context):  # noqa: N802
        exists = self._local.collection_exists(request.collection_name)
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=exists))

    def Create(self, request, context):  # noqa: N802
        if self._local.collection_exists(request.collection_name):
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "taken")
        self._server.created[request.collection_name] = request
        vectors = GrpcToRest.convert_vectors_config(request.vectors_config)
        sparse = GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config)
        self._local.create_collection(request.collection_name, vectors, sparse)
        return wire.CollectionOperationResponse(result=True)

    def List(self, request, context):  # noqa: N802
        names = [found.name for found in self._local.get_collections().collections]
        return wire.ListCollectionsResponse(collections=[wire.CollectionDescription(name=name) for name in names])

    def Delete(self, request, context):  # noqa: N802
        return wire.CollectionOperationResponse(result=self._local.delete_collection(request.collection_name))

    def Get(self, request, context):  # noqa: N802
        info = RestToGrpc.convert_collection_info(self._local.get_collection(request.collection_name))
        for key in self._server.indexes:
            info.payload_schema[key].points = 0
            info.payload_schema[key].data_type = wire.PayloadSchemaType.Keyword
        return wire.GetCollectionInfoResponse(result=info)

    def ListAliases(self, request, context):  # noqa: N802
        found = self._local.get_aliases().aliases
        return wire.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(alias) for alias in found])

    def UpdateAliases(self, request, context):  # noqa: N802
        operations = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        return wire.CollectionOperationResponse(result=self._local.update_collection_aliases(operations))


class Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, server: WireServer) -> None:
        self._server, self._local = server, server.local

    @staticmethod
    def _done() -> wire.PointsOperationResponse:
        return wire.PointsOperationResponse(result=wire.UpdateResult(status=wire.UpdateStatus.Completed))

    def CreateFieldIndex(self, request, context):  # noqa: N802
        self._server.indexes[request.field_name] = request
        return self._done()

    def Upsert(self, request, context):  # noqa: N802
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self._local.upsert(request.collection_name, points)
        return self._done()

    def Delete(self, request, context):  # noqa: N802
        self._local.delete(request.collection_name, GrpcToRest.convert_points_selector(request.points))
        return self._done()

    def Count(self, request, context):  # noqa: N802
        found = self._local.count(request.collection_name, _filter(request), exact=request.exact)
        return wire.CountResponse(result=wire.CountResult(count=found.count))

    def Facet(self, request, context):  # noqa: N802
        found = self._local.facet(request.collection_name, request.key, _filter(request), limit=request.limit)
        return wire.FacetResponse(hits=[RestToGrpc.convert_facet_value_hit(hit) for hit in found.hits])

    def Scroll(self, request, context):  # noqa: N802
        offset = GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None
        records, following = self._local.scroll(
            request.collection_name,
            _filter(request),
            limit=request.limit,
            offset=offset,
            with_payload=request.with_payload.enable,
            with_vectors=request.with_vectors.enable,
        )
        return wire.ScrollResponse(
            result=[
                RestToGrpc.convert_record(record.model_copy(update={"payload": record.payload or {}}))
                for record in records
            ],
            next_page_offset=RestToGrpc.convert_extended_point_id(following) if following is not None else None,
        )

    def QueryBatch(self, request, context):  # noqa: N802
        self._server.queries.extend(request.query_points)
        asked = [_known_locally(GrpcToRest.convert_query_points(query)) for query in request.query_points]
        found = self._local.query_batch_points(request.collection_name, asked)
        batches = [
            wire.BatchResult(result=[RestToGrpc.convert_scored_point(point) for point in response.points])
            for response in found
        ]
        return wire.QueryBatchResponse(result=batches)
