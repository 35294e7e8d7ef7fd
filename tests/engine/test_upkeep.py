"""Delete, retry, reread and the doctor, on real stores."""

import io
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from retrieval.base import Filter
from tests.engine import faults
from tests.engine.drawing import draw_pdf, report
from tuwen import stages
from tuwen.engine import Tuwen
from tuwen.errors import IndexLockedError, NotFoundError, StorageUnavailableError
from tuwen.jobs import IngestEvent
from tuwen.settings import load_settings
from tuwen.types import Document, DocumentStatus

SETTINGS = load_settings(environ={"TUWEN_INGEST__WORKERS": "1", "TUWEN_INGEST__LIMITS__MAX_ATTEMPTS": "2"})
POINTS_A_DOCUMENT = 6  # three pages, each a passage and a picture


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with three documents of three pages; never written to again."""
    folder = tmp_path_factory.mktemp("upkeep")
    for number, name in enumerate(("甲", "乙", "丙"), 1):
        draw_pdf(folder / "in" / f"{name}.pdf", report(number))
    with Tuwen.open(SETTINGS, folder / "home") as engine:
        documents = engine.ingest([folder / "in"]).documents
        assert {document.status for document in documents} == {DocumentStatus.READY}
        assert engine.index.count() == 3 * POINTS_A_DOCUMENT
    return folder


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared / "home", tmp_path / "home"))


@pytest.fixture
def engine(home: Path) -> Iterator[Tuwen]:
    with Tuwen.open(SETTINGS, home) as engine:
        yield engine


@pytest.fixture
def documents(engine: Tuwen) -> dict[str, Document]:
    return {document.name[0]: document for document in engine.documents()}


def stored(home: Path, document_id: str) -> list[Path]:
    folder = home / "blobs" / "documents" / document_id
    return [path for path in folder.rglob("*") if path.is_file()]


def test_delete_leaves_nothing_and_says_what_left(engine: Tuwen, documents: dict[str, Document], home: Path) -> None:
    chosen = documents["甲"].document_id
    assert engine.search("项目1的预算").hits[0].document_id == chosen
    (receipt,) = engine.delete([chosen[:8]])
    rows = 1 + 3 * 3 + 1  # the document; read, encode and index of each page; the passages
    assert receipt.model_dump() == {
        "document_id": chosen, "catalog": rows, "blobs": 1, "index": POINTS_A_DOCUMENT, "artefacts": 3 * 4,
    }  # fmt: skip
    assert stored(home, chosen) == []
    assert engine.index.count(Filter(documents=(chosen,))) == 0
    assert {hit.document_id for hit in engine.search("项目1的预算").hits}.isdisjoint({chosen})
    with pytest.raises(NotFoundError):
        engine.page(chosen, 1)
    with pytest.raises(NotFoundError):
        engine.delete([chosen])
    assert engine.doctor().findings == ()


def test_one_unknown_id_deletes_nothing(engine: Tuwen, documents: dict[str, Document]) -> None:
    with pytest.raises(NotFoundError, match="ffffffff"):
        engine.delete([documents["甲"].document_id, "ffffffff"])
    assert len(engine.documents()) == 3


@pytest.mark.parametrize("store", ["index", "artefacts", "catalog"])
@pytest.mark.parametrize("goes_on", ["the same command", "ingest", "doctor"])
def test_an_interrupted_delete_hides_at_once_and_is_finished_later(
    home: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch, store: str, goes_on: str
) -> None:
    with Tuwen.open(SETTINGS, home) as engine:
        chosen = next(one.document_id for one in engine.documents() if one.name == "甲.pdf")
        method = {"index": (engine.index, "delete"), "artefacts": (engine.parts.artefacts, "remove")}
        with monkeypatch.context() as patch:
            patch.setattr(*method.get(store, (engine.catalog, "delete")), _killed)
            with pytest.raises(StorageUnavailableError):
                engine.delete([chosen])
        assert {hit.document_id for hit in engine.search("项目1的预算").hits}.isdisjoint({chosen})
        assert len(engine.documents()) == 2
        assert engine.status().deleting == 1
    with Tuwen.open(SETTINGS, home) as engine:
        if goes_on == "doctor":
            (finding,) = engine.doctor(fix=True).findings
            assert (finding.code, finding.document_id, finding.fixed) == ("unfinished_delete", chosen, True)
        elif goes_on == "ingest":
            engine.ingest([prepared / "in" / "乙.pdf"])
        else:
            assert [receipt.document_id for receipt in engine.delete([chosen[:8]])] == [chosen]
        assert stored(home, chosen) == []
        assert chosen not in engine.index.facet("document_id")
        assert engine.catalog.tombstones() == []
        assert engine.doctor().findings == ()


def _killed(*_: object) -> None:
    raise StorageUnavailableError("The disk is gone.")


def test_while_another_process_holds_the_index_a_deleted_document_is_hidden(
    engine: Tuwen, documents: dict[str, Document], home: Path
) -> None:
    chosen = documents["甲"].document_id
    assert engine.search("项目1的预算").hits[0].document_id == chosen
    with Tuwen.open(SETTINGS, home) as other, pytest.raises(IndexLockedError):
        other.delete([chosen])
    assert {hit.document_id for hit in engine.search("项目1的预算").hits}.isdisjoint({chosen})


def test_what_is_deleted_leaves_indexes_of_other_settings_too(
    engine: Tuwen, documents: dict[str, Document], home: Path, prepared: Path
) -> None:
    engine.close()
    changed = load_settings(environ={"TUWEN_INGEST__WORKERS": "1", "TUWEN_ENCODERS__SPARSE__K1": "1.5"})
    with Tuwen.open(changed, home) as other:
        other.ingest([prepared / "in" / "甲.pdf"])
        receipts = other.delete([documents["甲"].document_id])
        assert receipts[0].index == 2 * POINTS_A_DOCUMENT
        assert {one.code for one in other.doctor().findings} == {"old_artefacts", "old_index"}
        assert other.doctor(fix=True).is_well
        assert other.doctor().findings == ()
        assert len(list((home / "index").iterdir())) == 1
        assert other.index.count() == 2 * POINTS_A_DOCUMENT


def test_a_document_deleted_while_it_is_read_leaves_nothing(tmp_path: Path) -> None:
    with Tuwen.open(SETTINGS, tmp_path / "home") as engine:

        def delete(event: IngestEvent) -> None:
            if event.stage == "read" and event.done == 1 and engine.documents():
                engine.delete([event.document_id])

        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))], on_event=delete).documents
        assert document.status is DocumentStatus.CANCELLED
        assert engine.documents() == []
        assert list((tmp_path / "home" / "blobs").rglob("*.z")) == []
        assert engine.index.count() == 0
        assert engine.doctor().findings == ()


def test_retry_reads_what_was_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [draw_pdf(tmp_path / f"{number}.pdf", report(number)) for number in (1, 2)]
    with Tuwen.open(SETTINGS, tmp_path / "home") as engine:
        assert engine.retry() == ()
        with monkeypatch.context() as patch:
            patch.setattr(stages, "read_page", faults.bug)
            documents = engine.ingest(files).documents
            assert {document.status for document in documents} == {DocumentStatus.READY_WITH_WARNINGS}
        first, second = (document.document_id for document in documents)
        before = read_at(engine, first)
        (mended,) = engine.retry([first])
        assert (mended.status, mended.warnings) == (DocumentStatus.READY, ())
        assert {page: at for page, at in read_at(engine, first).items() if page != faults.BAD_PAGE} == before
        assert [document.document_id for document in engine.retry()] == [second]
        assert {hit.page for hit in engine.search("项目2的预算").hits if hit.document_id == second} == {1, 2, 3}


def read_at(engine: Tuwen, document_id: str) -> dict[int, object]:
    state = engine.catalog.ledger.state(document_id, "read", engine.parts.fingerprints.read)
    return {page: entry.updated_at for page, entry in state.items() if entry.state == "done"}


def test_reread_reads_those_pages_and_answers_as_before_meanwhile(
    engine: Tuwen, documents: dict[str, Document]
) -> None:
    chosen = documents["乙"].document_id
    before, points = read_at(engine, chosen), set(engine.index.ids())
    hits: list[tuple[str, int]] = []

    def ask(_: IngestEvent) -> None:
        hits.append(next((hit.document_id, hit.page) for hit in engine.search("项目2第2期的预算").hits))

    encoded = engine.catalog.ledger.state(chosen, "encode", engine.parts.fingerprints.encode)
    document = engine.reread(chosen[:8], [2], on_event=ask)
    assert document.status is DocumentStatus.READY
    assert set(hits) == {(chosen, 2)}
    after = read_at(engine, chosen)
    assert {page for page in after if after[page] != before[page]} == {2}
    assert set(engine.index.ids()) == points
    again = engine.catalog.ledger.state(chosen, "encode", engine.parts.fingerprints.encode)
    assert {page for page in again if again[page] != encoded[page]} == {2}, "its passages are as before"
    with pytest.raises(NotFoundError, match="no page 4"):
        engine.reread(chosen, [4])


def damage_points(engine: Tuwen, _home: Path, document_id: str) -> None:
    engine.index.delete(Filter(points=tuple(engine.index.ids(Filter(documents=(document_id,))))[:2]))


def add_strange_points(engine: Tuwen, _home: Path, document_id: str) -> None:
    (point, *_) = engine.index.points(Filter(documents=(document_id,)))
    strange = point.payload.model_copy(update={"document_id": "00000000-0000-5000-8000-000000000000"})
    ids = sorted(engine.index.ids())
    engine.index.upsert([point._replace(id=type(point.id)(int=ids[0].int ^ 1), payload=strange)])
    engine.index.upsert([point._replace(id=type(point.id)(int=ids[0].int ^ 2))])


def truncate_record(_engine: Tuwen, home: Path, document_id: str) -> None:
    (record,) = (home / "blobs/documents" / document_id).glob("read-*/000002.json.z")
    record.write_bytes(record.read_bytes()[:20])


def truncate_picture(_engine: Tuwen, home: Path, document_id: str) -> None:
    (picture,) = (home / "blobs/documents" / document_id).glob("read-*/000003.jpg")
    picture.write_bytes(picture.read_bytes()[:-200])


def lose_passages(_engine: Tuwen, home: Path, document_id: str) -> None:
    next((home / "blobs/documents" / document_id).glob("passages-*/000001.json.z")).unlink()


def scramble_vectors(_engine: Tuwen, home: Path, document_id: str) -> None:
    next((home / "blobs/documents" / document_id).glob("encode-*/000001.npz")).write_bytes(b"PK nothing")


def lose_original(_engine: Tuwen, home: Path, document_id: str) -> None:
    (home / "blobs/documents" / document_id / "original").unlink()


def change_original(_engine: Tuwen, home: Path, document_id: str) -> None:
    with (home / "blobs/documents" / document_id / "original").open("ab") as file:
        file.write(b"?")


def forget_a_page(engine: Tuwen, _home: Path, document_id: str) -> None:
    engine.catalog.ledger.forget(document_id, ["encode", "index"], [3])


def add_strange_files(_engine: Tuwen, home: Path, document_id: str) -> None:
    stranger = home / "blobs/documents/ffffffff-0000-5000-8000-000000000000/original"
    stranger.parent.mkdir()
    stranger.write_bytes(b"bytes")
    (folder,) = (home / "blobs/documents" / document_id).glob("read-*")
    (folder / "000009.jpg").write_bytes(b"of a page that is not there")
    old = folder.with_name("read-0123456789abcdef")
    shutil.copytree(folder, old)
    leftover = folder / ".tmp-0123"
    leftover.write_bytes(b"half")
    os.utime(leftover, (time.time() - 7200,) * 2)


MENDED: dict[Callable[[Tuwen, Path, str], None], set[str]] = {
    damage_points: {"missing_points"},
    add_strange_points: {"orphan_points"},
    truncate_record: {"damaged_artefacts"},
    truncate_picture: {"damaged_artefacts"},
    lose_passages: {"damaged_artefacts"},
    scramble_vectors: {"damaged_artefacts"},
    forget_a_page: {"unfinished_pages", "orphan_artefacts", "orphan_points"},
    add_strange_files: {"orphan_blobs", "orphan_artefacts", "old_artefacts", "leftovers"},
}
REPORTED = {lose_original: "missing_original", change_original: "damaged_original"}


@pytest.mark.parametrize("damage", [*MENDED, *REPORTED])
def test_the_doctor_finds(
    engine: Tuwen, documents: dict[str, Document], home: Path, damage: Callable[[Tuwen, Path, str], None]
) -> None:
    assert engine.doctor().findings == ()
    damage(engine, home, documents["丙"].document_id)
    codes = MENDED[damage] if damage in MENDED else {REPORTED[damage]}
    for _ in range(2):  # looking changes nothing
        checkup = engine.doctor()
        assert {finding.code for finding in checkup.findings} == codes
        assert not checkup.is_well
        assert (checkup.documents, checkup.pages) == (3, 9)


def test_the_doctor_mends_all_of_it_at_once(engine: Tuwen, documents: dict[str, Document], home: Path) -> None:
    before = everything(engine)
    victims = [document.document_id for document in documents.values()]
    for number, damage in enumerate(MENDED):
        damage(engine, home, victims[number % 3])
    checkup = engine.doctor(fix=True)
    assert {finding.code for finding in checkup.findings} >= {
        "missing_points", "orphan_points", "damaged_artefacts", "unfinished_pages", "orphan_blobs", "leftovers",
    }  # fmt: skip
    assert checkup.is_well
    assert engine.doctor().findings == ()
    assert everything(engine) == before
    assert [document.status for document in engine.documents()] == [DocumentStatus.READY] * 3


def everything(engine: Tuwen) -> dict[str, object]:
    """All that a user can see of the stores."""
    pages = {(d.document_id, page): engine.page(d.document_id, page) for d in engine.documents() for page in (1, 2, 3)}
    pictures = {key: Image.open(io.BytesIO(engine.page_image(*key).jpeg)).size for key in pages}
    return {"points": set(engine.index.ids()), "pages": pages, "pictures": pictures}


def test_a_missing_original_comes_back_with_the_next_ingest(
    engine: Tuwen, documents: dict[str, Document], home: Path, prepared: Path
) -> None:
    lose_original(engine, home, documents["丙"].document_id)
    assert not engine.doctor(fix=True).is_well, "it cannot be made up"
    engine.ingest([prepared / "in" / "丙.pdf"])
    assert engine.doctor().findings == ()


def test_a_damaged_index_is_set_aside_and_built_again(home: Path) -> None:
    (shard,) = (home / "index").glob("*/shard")
    (shard / "edge_config.json").write_bytes(b"junk")
    with Tuwen.open(SETTINGS, home) as engine:
        with pytest.raises(StorageUnavailableError, match="doctor --fix"):
            engine.doctor()
        checkup = engine.doctor(fix=True)
        assert {finding.code for finding in checkup.findings} == {"damaged_index", "missing_points"}
        assert checkup.is_well
        assert engine.index.count() == 3 * POINTS_A_DOCUMENT
        assert list((home / "index").glob("*/damaged-*"))


def test_a_catalog_that_was_lost_leaves_orphans_only(home: Path) -> None:
    for file in home.glob("catalog.db*"):
        file.unlink()
    with Tuwen.open(SETTINGS, home) as engine:
        assert {finding.code for finding in engine.doctor().findings} == {"orphan_blobs", "orphan_points"}
        assert engine.doctor(fix=True).is_well
        assert engine.index.count() == 0
        assert [path for path in (home / "blobs").rglob("*") if path.is_file()] == []


def test_status_tells_what_is_in_work(engine: Tuwen, documents: dict[str, Document], home: Path) -> None:
    chosen = documents["甲"].document_id
    with closing(sqlite3.connect(home / "catalog.db")) as database, database:
        database.execute("UPDATE documents SET status = 'processing' WHERE id = ?", [chosen])
        database.execute("DELETE FROM ledger WHERE document_id = ? AND stage = 'index' AND page > 1", [chosen])
    (item,) = engine.status().in_work
    assert (item.document_id, item.pages, item.through) == (chosen, 3, {"read": 3, "encode": 3, "index": 1})
