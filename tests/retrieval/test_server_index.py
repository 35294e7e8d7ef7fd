"""What the ``server`` adapter promises beyond the conformance suite: making, alias, faults, back-pressure."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import stamina
from qdrant_client.conversions.conversion import GrpcToRest

from retrieval.base import Filter, PageIndex, VectorQuery
from retrieval.index import open_index
from retrieval.index.schema import PAYLOAD_INDEXES, UPSERT_BATCH
from tests.retrieval.qdrant_wire import WireServer
from tests.retrieval.test_index import FIELDS, many, point, unit
from tuwen.errors import ConfigurationError, StorageUnavailableError
from tuwen.settings import IndexSettings, ServerIndexSettings


@pytest.fixture
def server() -> Iterator[WireServer]:
    started = WireServer()
    yield started
    started.stop()


@pytest.fixture
def impatient() -> Iterator[None]:
    """Tries again at once."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def connect(server: WireServer, fingerprint: str = "fp1", **values) -> PageIndex:
    settings = ServerIndexSettings(url="http://127.0.0.1", grpc_port=server.port, **values)
    return open_index(IndexSettings(adapter="server", server=settings), Path("index") / fingerprint, FIELDS)


class TestMaking:
    def test_a_collection_is_made_as_the_settings_say(self, server):
        connect(server, shards=3, replicas=2, write_consistency=2, quantization="turbo").close()
        made = server.created["tuwen_fp1"]
        assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (3, 2, 2)
        strict = GrpcToRest.convert_strict_mode_config(made.strict_mode_config)
        assert strict.enabled
        assert (strict.unindexed_filtering_retrieve, strict.unindexed_filtering_update) == (False, False)
        assert (strict.search_allow_exact, strict.upsert_max_batchsize) == (False, UPSERT_BATCH)
        vectors = GrpcToRest.convert_vectors_config(made.vectors_config)
        assert {name: params.size for name, params in vectors.items()} == {
            "dense": 8, "image": 4, "late": 8, "pooled": 8,
        }  # fmt: skip
        assert all(params.quantization_config.turbo.bits.value == "bits4" for params in vectors.values())
        assert (vectors["late"].hnsw_config.m, vectors["late"].hnsw_config.payload_m) == (0, 0)
        assert vectors["late"].memory.value == "cold"
        assert vectors["pooled"].hnsw_config is None
        assert vectors["pooled"].multivector_config.comparator.value == "max_sim"
        sparse = GrpcToRest.convert_sparse_vector_config(made.sparse_vectors_config)
        assert sparse["sparse"].modifier.value == "idf"

    def test_what_is_filtered_on_is_indexed_and_the_tenant_as_one(self, server):
        connect(server).close()
        assert server.indexes.keys() == PAYLOAD_INDEXES.keys()
        tenants = {
            name for name, made in server.indexes.items() if made.field_index_params.keyword_index_params.is_tenant
        }
        assert tenants == {"tenant"}

    def test_no_strict_mode_and_no_quantization_where_the_settings_say_so(self, server):
        connect(server, strict_mode=False, quantization="none").close()
        made = server.created["tuwen_fp1"]
        assert not made.HasField("strict_mode_config")
        assert not made.vectors_config.params_map.map["dense"].HasField("quantization_config")

    def test_what_a_killed_process_left_out_is_made_up_for(self, server):
        connect(server).close()
        del server.indexes["document_id"]
        server.calls.clear()
        connect(server).close()
        assert server.indexes.keys() == PAYLOAD_INDEXES.keys()
        assert server.calls.count("CreateFieldIndex") == 1
        assert "Create" not in server.calls

    def test_two_processes_may_make_it_at_once(self, server):
        def other_is_faster(name: str) -> None:
            if name == "Create":
                server.before = lambda name: None
                connect(server).close()

        server.before = other_is_faster
        index = connect(server)
        assert index.upsert([point(1)]) == 1
        assert server.calls.count("Create") == 2

    def test_quantised_results_are_scored_again(self, server):
        index = connect(server, oversampling=3)
        prefetch = VectorQuery("pooled", many(1), 5)
        index.query([VectorQuery("late", many(1), 5, prefetch=(prefetch,)), VectorQuery("dense", unit(1), 5)])
        late, dense = server.queries
        for params in (late.prefetch[0].params, late.params, dense.params):
            assert (params.quantization.rescore, params.quantization.oversampling) == (True, 3)
        index.close()


class TestAlias:
    def test_the_first_collection_takes_it_and_a_later_one_when_it_is_published(self, server):
        first, second = connect(server, "fp1"), connect(server, "fp2")
        assert first.published() == second.published() == "fp1"
        second.upsert([point(1)])
        assert (first.count(), second.count()) == (0, 1)
        second.publish()
        assert first.published() == "fp2"
        assert server.local.count("tuwen").count == 1
        second.publish()
        assert second.published() == "fp2"


@pytest.mark.usefixtures("impatient")
class TestFaults:
    @pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"])
    def test_a_busy_server_is_asked_again(self, server, code):
        index = connect(server)
        server.fail("Upsert", grpc.StatusCode[code], times=2)
        assert index.upsert([point(i) for i in range(5)]) == 5
        assert server.calls.count("Upsert") == 3
        server.fail("QueryBatch", grpc.StatusCode[code], times=2)
        (found,) = index.query([VectorQuery("dense", unit(3), 1)])
        assert found[0].payload.page == 3
        index.close()

    def test_a_server_that_stays_away_is_an_error_that_says_what_helps(self, server):
        index = connect(server)
        server.fail("Upsert", grpc.StatusCode.UNAVAILABLE, times=9)
        with pytest.raises(StorageUnavailableError, match=r"http://127.0.0.1 .*injected UNAVAILABLE.*try again"):
            index.upsert([point(1)])
        assert server.calls.count("Upsert") == 3
        index.close()

    def test_what_cannot_succeed_is_not_tried_again(self, server):
        index = connect(server)
        server.fail("Upsert", grpc.StatusCode.INVALID_ARGUMENT, times=9)
        with pytest.raises(StorageUnavailableError, match="INVALID_ARGUMENT"):
            index.upsert([point(1)])
        assert server.calls.count("Upsert") == 1
        index.close()

    def test_nothing_listens(self, server):
        settings = ServerIndexSettings(url="http://127.0.0.1", grpc_port=1, attempts=1)
        with pytest.raises(StorageUnavailableError, match=r"UNAVAILABLE.*index\.server\.grpc_port"):
            open_index(IndexSettings(adapter="server", server=settings), Path("fp"), FIELDS)

    def test_nothing_listens_to_rest(self):
        settings = ServerIndexSettings(url="http://127.0.0.1:1", grpc=False, attempts=1)
        with pytest.raises(StorageUnavailableError, match="Connection refused"):
            open_index(IndexSettings(adapter="server", server=settings), Path("fp"), FIELDS)

    def test_a_wrong_key_is_a_matter_of_the_settings(self):
        guarded = WireServer(key="right")
        with pytest.warns(UserWarning, match="insecure connection"):
            connect(guarded, api_key="right").close()
        with (
            pytest.warns(UserWarning, match="insecure connection"),
            pytest.raises(ConfigurationError, match=r"no such key.*index\.server\.api_key"),
        ):
            connect(guarded, api_key="wrong")
        guarded.stop()

    def test_no_such_scheme(self):
        settings = ServerIndexSettings(url="ftp://host")
        with pytest.raises(ConfigurationError, match="http://"):
            open_index(IndexSettings(adapter="server", server=settings), Path("fp"), FIELDS)


def test_waits_as_long_as_the_server_says(server):
    index = connect(server)
    server.fail("Count", grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after="1")
    began = time.monotonic()
    assert index.count() == 0
    assert time.monotonic() - began >= 1
    index.close()


def test_points_are_taken_no_faster_than_the_server_takes_them(server):
    index = connect(server, parallel=2)
    opened, taken = threading.Event(), []

    def hold(name: str) -> None:
        if name == "Upsert":
            assert opened.wait(30)

    def points():
        for i in range(10 * UPSERT_BATCH):
            taken.append(i)
            yield point(i)

    server.before = hold
    writing = threading.Thread(target=index.upsert, args=(points(),))
    writing.start()
    time.sleep(0.5)
    assert len(taken) <= 4 * UPSERT_BATCH  # two under way, one waiting, one being gathered
    opened.set()
    writing.join(60)
    assert index.count() == len(taken) == 10 * UPSERT_BATCH
    assert index.delete(Filter(tenant="t")) == 10 * UPSERT_BATCH
    index.close()


def test_a_failed_batch_ends_the_writing(server):
    index = connect(server, parallel=2, attempts=1)
    server.fail("Upsert", grpc.StatusCode.INVALID_ARGUMENT, times=1)
    taken = []

    def points():
        for i in range(20 * UPSERT_BATCH):
            taken.append(i)
            yield point(i)

    with pytest.raises(StorageUnavailableError):
        index.upsert(points())
    assert len(taken) < 20 * UPSERT_BATCH
    index.close()
