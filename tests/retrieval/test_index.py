"""One conformance suite over all index adapters, then what an embedded one owes to other processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4, uuid5

import numpy as np
import pytest
from qdrant_client import QdrantClient

from retrieval.base import Filter, IndexPoint, PageIndex, PointPayload, SparseVector, VectorField, VectorQuery
from retrieval.index import index_owner, open_index
from retrieval.index.schema import UPSERT_BATCH, batched
from tests.retrieval.qdrant_wire import WireServer
from tuwen.errors import ConfigurationError, IndexLockedError, InvalidRequestError, StorageUnavailableError
from tuwen.settings import IndexSettings, ServerIndexSettings
from tuwen.types import HitKind

SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
FIELDS = (
    VectorField(name="dense", kind="dense", dimension=8),
    VectorField(name="sparse", kind="sparse"),
    VectorField(name="image", kind="dense", dimension=4),
    VectorField(name="late", kind="multivector", dimension=8, rescoring=True),
    VectorField(name="pooled", kind="multivector", dimension=8),
)


def unit(seed: int, dimension: int = 8) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def many(*seeds: int, dimension: int = 8) -> np.ndarray:
    """A multivector of one unit vector a seed."""
    return np.stack([unit(seed, dimension) for seed in seeds])


def sparse(*terms: int) -> SparseVector:
    ids = np.unique(np.array(terms, np.uint32))
    return SparseVector(ids, np.ones(len(ids), np.float32))


def point(i: int, terms: tuple[int, ...] = (), **payload) -> IndexPoint:
    defaults = {"tenant": "t", "collection": "c", "document_id": f"d{i % 3}", "page": i, "pages": (i,)}
    stored = PointPayload(**{**defaults, "kind": HitKind.TEXT, "ordinal": i, **payload})
    return IndexPoint(uuid5(SPACE, str(i)), {"dense": unit(i), "sparse": sparse(i, *terms)}, stored)


def server_settings(**values) -> IndexSettings:
    """A server of its own for each test: the name keeps tests on one server apart."""
    return IndexSettings(adapter="server", server=ServerIndexSettings(name=f"test{uuid4().hex}", **values))


@pytest.fixture(params=["edge", "local", "wire", "real"])
def settings(request, tmp_path) -> Iterator[IndexSettings]:
    match request.param:
        case "edge":
            yield IndexSettings(adapter="edge")
        case "local":
            yield server_settings(url=str(tmp_path / "qdrant"))
        case "wire":
            server = WireServer()
            yield server_settings(url="http://127.0.0.1", grpc_port=server.port)
            server.stop()
        case "real":
            if (url := os.environ.get("TUWEN_TEST_QDRANT_URL")) is None:
                pytest.skip("TUWEN_TEST_QDRANT_URL names no Qdrant server")
            settings = server_settings(url=url)
            yield settings
            client = QdrantClient(url=url, grpc_port=settings.server.grpc_port, prefer_grpc=True)
            for found in client.get_collections().collections:
                if found.name.startswith(settings.server.name):
                    client.delete_collection(found.name)
            client.close()


@pytest.fixture
def index(settings, tmp_path):
    opened = open_index(settings, tmp_path / "index", FIELDS)
    yield opened
    opened.close()


class TestConformance:
    def test_is_an_index(self, index):
        assert isinstance(index, PageIndex)
        assert index.count() == 0
        assert index.query([VectorQuery("dense", unit(1), 5)]) == [[]]

    def test_upsert_is_idempotent_by_id(self, index):
        points = [point(i) for i in range(UPSERT_BATCH + 7)]
        assert index.upsert(iter(points)) == len(points)
        assert index.upsert(points[:5]) == 5
        assert index.count() == len(points)
        assert set(index.ids()) == {p.id for p in points}

    def test_finds_the_nearest_with_its_payload(self, index):
        index.upsert(point(i) for i in range(20))
        dense, lexical = index.query([VectorQuery("dense", unit(7), 3), VectorQuery("sparse", sparse(9), 3)])
        assert dense[0].payload == point(7).payload
        assert dense[0].id == point(7).id
        assert dense[0].score == pytest.approx(1, abs=1e-5)
        assert [s.score for s in dense] == sorted((s.score for s in dense), reverse=True)
        assert len(dense) == 3
        assert [s.payload.page for s in lexical] == [9]

    def test_rare_terms_weigh_more(self, index):
        index.upsert(point(i, terms=(1000,)) for i in range(30))
        index.upsert([point(50, terms=(1000, 2000)), point(51, terms=(3000,))])
        (found,) = index.query([VectorQuery("sparse", sparse(1000, 2000), 40)])
        assert found[0].payload.page == 50
        assert found[0].score > 5 * found[1].score

    def test_term_statistics_stay_within_tenant_and_collection(self, index):
        index.upsert(point(i, terms=(7000 if i % 2 else 8000,)) for i in range(20))
        query = VectorQuery("sparse", sparse(7000), 40, Filter(tenant="t", collection="c"))
        (before,) = index.query([query])
        index.upsert(point(i, terms=(7000,), tenant="other") for i in range(100, 200))
        (after,) = index.query([query])
        assert [(s.id, s.score) for s in after] == [(s.id, s.score) for s in before]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (Filter(tenant="t"), {0, 1, 2, 3, 4, 5}),
            (Filter(tenant="other"), {6}),
            (Filter(collection="c2"), {5}),
            (Filter(documents=("d0", "d1")), {0, 1, 3, 4, 6}),
            (Filter(documents=()), set()),
            (Filter(kinds=(HitKind.TABLE,)), {4}),
            (Filter(exclude_documents=("d0",)), {1, 2, 4, 5}),
            (Filter(tenant="t", documents=("d1",), exclude_documents=("d2",)), {1, 4}),
            (Filter(points=(uuid5(SPACE, "3"), uuid5(SPACE, "6"), uuid5(SPACE, "99"))), {3, 6}),
            (Filter(tenant="t", points=(uuid5(SPACE, "3"), uuid5(SPACE, "6"))), {3}),
            (Filter(points=()), set()),
            (None, {0, 1, 2, 3, 4, 5, 6}),
        ],
    )
    def test_filters_hold_everywhere(self, index, where, expected):
        special = {4: {"kind": HitKind.TABLE}, 5: {"collection": "c2"}, 6: {"tenant": "other"}}
        index.upsert(point(i, **special.get(i, {})) for i in range(7))
        found = index.query(
            [
                VectorQuery("dense", unit(1), 10, where or Filter()),
                VectorQuery("sparse", sparse(*range(7)), 10, where or Filter()),
            ]
        )
        assert [{s.payload.page for s in result} for result in found] == [expected, expected]
        assert index.count(where) == len(expected)
        assert set(index.ids(where)) == {point(i).id for i in expected}
        assert sum(index.facet("document_id", where).values()) == len(expected)

    def test_facets_count_by_value(self, index):
        index.upsert(point(i) for i in range(7))
        assert index.facet("document_id") == {"d0": 3, "d1": 2, "d2": 2}
        with pytest.raises(InvalidRequestError, match="ordinal"):
            index.facet("ordinal")

    def test_delete_counts_and_hides(self, index):
        index.upsert(point(i) for i in range(9))
        assert index.delete(Filter(documents=("d1",))) == 3
        assert index.delete(Filter(documents=("d1",))) == 0
        assert index.count() == 6
        assert index.facet("document_id") == {"d0": 3, "d2": 3}
        (found,) = index.query([VectorQuery("dense", unit(1), 10)])
        assert "d1" not in {s.payload.document_id for s in found}

    def test_indexes_of_other_encoders_are_found_and_dropped(self, settings, tmp_path):
        if (
            settings.adapter == "server"
            and settings.server.url.startswith("http")
            and settings.server.grpc_port == 6334
        ):
            pytest.skip("needs a server of its own")
        names = ("0" * 16, "1" * 16)
        old = open_index(settings, tmp_path / names[0], FIELDS[:1])
        old.upsert([IndexPoint(point(i).id, {"dense": unit(i)}, point(i).payload) for i in range(3)])
        assert list(old.older()) == []
        old.close()
        index = open_index(settings, tmp_path / names[1], FIELDS)
        index.upsert([point(0)])
        assert [one.delete(Filter(documents=("d0",))) for one in index.older()] == [1]
        assert [one.count() for one in index.older()] == [2]
        for one in index.older():
            one.drop()
        assert list(index.older()) == []
        assert index.count() == 1
        index.close()

    def test_points_come_back_whole(self, index):
        written = {p.id: p for p in (point(i) for i in range(7))}
        index.upsert(written.values())
        found = {p.id: p for p in index.points(Filter(documents=("d0", "d2")))}
        assert found.keys() == {point(i).id for i in (0, 2, 3, 5, 6)}
        for identity, one in found.items():
            assert one.payload == written[identity].payload
            np.testing.assert_allclose(one.vectors["dense"], written[identity].vectors["dense"], atol=1e-6)
            np.testing.assert_array_equal(one.vectors["sparse"].indices, written[identity].vectors["sparse"].indices)
            np.testing.assert_array_equal(one.vectors["sparse"].values, written[identity].vectors["sparse"].values)

    @pytest.mark.parametrize("where", [Filter(), Filter(exclude_documents=("d1",))])
    def test_an_empty_delete_is_refused(self, index, where):
        index.upsert([point(1)])
        with pytest.raises(InvalidRequestError, match="condition"):
            index.delete(where)
        assert index.count() == 1

    @pytest.mark.parametrize(
        "vectors",
        [
            {"nope": unit(1)},
            {"dense": unit(1, 5)},
            {"dense": sparse(1)},
            {"sparse": unit(1)},
            {"late": unit(1)},
            {"dense": many(1)},
            {"late": many(1, dimension=5)},
        ],
        ids=["unknown", "dimension", "sparse-dense", "dense-sparse", "dense-multi", "multi-dense", "multi-dimension"],
    )
    def test_a_wrong_vector_is_refused_before_anything_is_written(self, index, vectors):
        with pytest.raises(InvalidRequestError, match="vector"):
            index.upsert([point(1), point(2)._replace(vectors=vectors)])
        assert index.count() == 0
        with pytest.raises(InvalidRequestError, match="vector"):
            index.query([VectorQuery("nope", unit(1), 1)])

    def test_a_point_may_lack_vectors(self, index):
        index.upsert(
            [point(1)._replace(vectors={"image": unit(1, 4)}), point(2)._replace(vectors={"sparse": sparse()})]
        )
        image, lexical = index.query([VectorQuery("image", unit(1, 4), 5), VectorQuery("sparse", sparse(), 5)])
        assert [s.payload.page for s in image] == [1]
        assert lexical == []
        assert index.count() == 2

    def test_multivectors_are_scored_by_maxsim(self, index):
        index.upsert(point(i)._replace(vectors={"late": many(*range(i, i + 1 + i % 3))}) for i in range(9))
        query = many(3, 7)
        (found,) = index.query([VectorQuery("late", query, 9)])
        for scored in found:
            i = scored.payload.page
            expected = (query @ many(*range(i, i + 1 + i % 3)).T).max(axis=1).sum()
            assert scored.score == pytest.approx(expected, abs=1e-5)
        assert len(found) == 9
        assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)

    def test_a_prefetch_bounds_what_is_scored(self, index):
        index.upsert(
            point(i)._replace(vectors={"dense": unit(i), "pooled": many(i), "late": many(i + 100, i)})
            for i in range(30)
        )
        where = Filter(documents=("d0", "d1"))
        pooled = VectorQuery("pooled", many(4), 5, where)
        late = VectorQuery("late", many(4, 104), 3, where)
        (found,) = index.query([late._replace(prefetch=(pooled,))])
        (first_stage,) = index.query([pooled])
        assert {s.id for s in found} <= {s.id for s in first_stage}
        assert (len(found), found[0].payload.page) == (3, 4)
        both = late._replace(prefetch=(pooled._replace(limit=1), VectorQuery("dense", unit(7), 1, where)))
        (found,) = index.query([both])
        assert [s.payload.page for s in found] == [4, 7]

    def test_large_points_go_in_small_batches(self, index, monkeypatch):
        monkeypatch.setattr("retrieval.index.schema.UPSERT_NUMBERS", 100)
        points = [point(i)._replace(vectors={"late": many(*range(10))}) for i in range(8)]
        assert [len(batch) for batch in batched(points)] == [1] * 8
        assert index.upsert(points) == 8
        assert index.count() == 8

    def test_optimize_changes_no_answer(self, index):
        index.upsert(point(i) for i in range(300))
        query = [VectorQuery("dense", unit(7), 5), VectorQuery("sparse", sparse(3, 4), 5)]
        before = index.query(query)
        index.optimize()
        assert [[s.id for s in r] for r in index.query(query)] == [[s.id for s in r] for r in before]

    def test_survives_closing(self, settings, tmp_path):
        first = open_index(settings, tmp_path / "i", FIELDS)
        first.upsert(point(i) for i in range(5))
        first.close()
        first.close()
        again = open_index(settings, tmp_path / "i", FIELDS)
        assert again.count() == 5
        assert again.facet("document_id") == {"d0": 2, "d1": 2, "d2": 1}
        again.close()

    def test_other_vectors_need_another_folder(self, settings, tmp_path):
        open_index(settings, tmp_path / "i", FIELDS).close()
        with pytest.raises(
            ConfigurationError, match=r"holds an index with the vectors .* not .*(folder of its own|another name)"
        ):
            open_index(settings, tmp_path / "i", FIELDS[:2])
        open_index(settings, tmp_path / "i", FIELDS).close()


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from retrieval.index import open_index
    from tests.retrieval.test_index import FIELDS, point
    from tuwen.settings import IndexSettings

    index = open_index(IndexSettings(adapter="edge"), Path(sys.argv[1]), FIELDS)
    done = 0
    while True:
        done += index.upsert(point(i) for i in range(done, done + 10))
        print(done, flush=True)
    """
)


@pytest.fixture
def writer(tmp_path):
    """Another process that owns ``tmp_path / "i"`` and writes without end; its output counts acknowledged points."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "i")], stdout=subprocess.PIPE, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def acknowledged(writer: subprocess.Popen[str], at_least: int) -> int:
    for line in writer.stdout:
        if int(line) >= at_least:
            return int(line)
    raise AssertionError("the writer ended")


class TestOneOwner:
    def test_a_second_process_is_told_who_owns_it(self, writer, tmp_path):
        acknowledged(writer, 10)
        with pytest.raises(IndexLockedError) as caught:
            open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        message = caught.value.message
        assert f"process {writer.pid} " in message
        assert "since 20" in message
        assert message.endswith("wait until it is done, or stop that process.")
        assert str(writer.pid) in index_owner(tmp_path / "i")

    def test_kill_loses_no_acknowledged_point_and_blocks_nobody(self, writer, tmp_path):
        count = acknowledged(writer, 100)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert index_owner(tmp_path / "i") is None
        index = open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        assert {point(i).id for i in range(count)} <= set(index.ids())
        assert f"process {os.getpid()} " in index_owner(tmp_path / "i")
        index.close()
        assert index_owner(tmp_path / "i") is None

    def test_a_second_handle_in_one_process_is_refused(self, tmp_path):
        index = open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        with pytest.raises(IndexLockedError):
            open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        assert index.count() == 0
        index.close()

    def test_a_kill_while_the_shard_is_made_leaves_no_half_shard(self, tmp_path):
        (tmp_path / "i" / "shard.partial" / "segments").mkdir(parents=True)
        index = open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        assert index.upsert([point(1)]) == 1
        index.close()


def overwrite(folder: Path, name: str, content: bytes) -> None:
    found = [path for path in folder.rglob(name) if path.is_file()]
    assert found
    for path in found:
        path.write_bytes(content)


class FullDisk:
    """A shard on which every call fails as Qdrant Edge fails: with a bare Exception."""

    def __getattr__(self, name: str):
        def fail(*_: object) -> None:
            raise Exception("Service runtime error: No space left on device")  # noqa: TRY002

        return fail


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        index = open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        index.upsert(point(i) for i in range(5))
        index.close()
        return tmp_path / "i"

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("edge_config.json", b"junk"),
            ("segment.json", b"junk"),
            ("version.info", b"?"),
            ("status.dat", b"123"),  # makes the engine panic
            ("fields.json", b"{"),
        ],
    )
    def test_a_damaged_file_is_reported_with_what_helps(self, folder, name, content):
        overwrite(folder / "shard", name, content)
        for _ in range(2):  # the folder is let go of again
            with pytest.raises(StorageUnavailableError, match="`tuwen doctor --fix` sets it aside") as caught:
                open_index(IndexSettings(adapter="edge"), folder, FIELDS)
            assert str(folder) in caught.value.message
        assert index_owner(folder) is None

    def test_an_emptied_shard_is_damaged_too(self, folder):
        shutil.rmtree(folder / "shard")
        (folder / "shard").mkdir()
        with pytest.raises(StorageUnavailableError, match=r"fields\.json is missing"):
            open_index(IndexSettings(adapter="edge"), folder, FIELDS)

    @pytest.mark.parametrize(
        "call",
        [
            lambda index: index.upsert([point(1)]),
            lambda index: index.delete(Filter(tenant="t")),
            lambda index: index.query([VectorQuery("dense", unit(1), 1)]),
            lambda index: index.count(),
            lambda index: index.facet("page"),
            lambda index: list(index.ids()),
            lambda index: index.optimize(),
            lambda index: index.close(),
        ],
        ids=["upsert", "delete", "query", "count", "facet", "ids", "optimize", "close"],
    )
    def test_every_call_reports_a_full_disk(self, folder, call, monkeypatch):
        index = open_index(IndexSettings(adapter="edge"), folder, FIELDS)
        with monkeypatch.context() as patch:
            patch.setattr(index, "_shard", FullDisk())
            with pytest.raises(StorageUnavailableError, match="No space left on device"):
                call(index)
        index.close()
        assert index_owner(folder) is None

    def test_a_mistake_of_ours_is_not_called_damage(self, folder):
        index = open_index(IndexSettings(adapter="edge"), folder, FIELDS)
        with pytest.raises(TypeError):
            index.query([VectorQuery("dense", unit(1), "three")])
        index.close()

    def test_a_folder_that_cannot_be_made_is_reported(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StorageUnavailableError, match="TUWEN_HOME"):
            open_index(IndexSettings(adapter="edge"), tmp_path / "file" / "i", FIELDS)

    def test_a_note_that_cannot_be_written_leaves_no_lock(self, tmp_path, monkeypatch):
        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("retrieval.index.owner._write", refuse)
            with pytest.raises(StorageUnavailableError, match="No space left"):
                open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS)
        open_index(IndexSettings(adapter="edge"), tmp_path / "i", FIELDS).close()
