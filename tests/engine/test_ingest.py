"""Ingestion end to end: real files, real child processes, real stores."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import faults
from tests.engine.drawing import draw_pdf, report
from tuwen import stages
from tuwen.engine import Tuwen
from tuwen.errors import IndexStaleError, NotFoundError, StorageUnavailableError
from tuwen.jobs import IngestEvent
from tuwen.settings import Settings, load_settings
from tuwen.types import DocumentStatus


@pytest.fixture
def settings() -> Settings:
    return load_settings(environ={"TUWEN_INGEST__WORKERS": "1", "TUWEN_INGEST__LIMITS__MAX_ATTEMPTS": "2"})


@pytest.fixture
def open_engine(tmp_path: Path, settings: Settings) -> Callable[[], Tuwen]:
    return lambda: Tuwen.open(settings, tmp_path / "home")


def test_a_folder_goes_in_and_answers_come_out(tmp_path: Path, open_engine: Callable[[], Tuwen]) -> None:
    draw_pdf(tmp_path / "in" / "甲" / "报告.pdf", report(1))
    draw_pdf(tmp_path / "in" / "乙.pdf", report(2, pages=2))
    (tmp_path / "in" / ".hidden.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "in" / "program.bin").write_bytes(bytes(range(256)) * 8)
    events: list[IngestEvent] = []
    with open_engine() as engine:
        result = engine.ingest([tmp_path / "in"], on_event=events.append)
        assert {(d.path, d.status, d.pages) for d in result.documents} == {
            ("甲/报告.pdf", "ready", 3),
            ("乙.pdf", "ready", 2),
        }
        assert {Path(s.path).name for s in result.skipped} == {".hidden.pdf", "program.bin"}
        hits = engine.search("项目1第2期的预算", top_k=3).hits
        assert (hits[0].document_name, hits[0].page) == ("报告.pdf", 2)
        answer = engine.ask("项目1第2期的预算是多少？")
        assert "102万元" in answer.answer
        assert answer.citations[0].verified
    assert {event.stage for event in events} >= {"read", "encode", "index"}


def test_same_bytes_are_a_duplicate_and_new_bytes_a_version(tmp_path: Path, open_engine: Callable[[], Tuwen]) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(file.read_bytes())
    with open_engine() as engine:
        (first,) = engine.ingest([file]).documents
        again, other = engine.ingest([file, copy]).documents
        assert (again.status, again.duplicate_of) == (DocumentStatus.DUPLICATE, first.document_id)
        assert (other.status, other.duplicate_of) == (DocumentStatus.DUPLICATE, first.document_id)
        assert len(engine.documents()) == 1
        draw_pdf(file, report(9))
        (second,) = engine.ingest([file]).documents
        assert (second.version, second.status) == (2, DocumentStatus.READY)
        assert [d.document_id for d in engine.documents()] == [second.document_id]
        assert {hit.document_id for hit in engine.search("项目的预算").hits} == {second.document_id}


@pytest.mark.parametrize("fault", ["crash", "bug"])
def test_a_bad_page_costs_that_page(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(stages, "read_page", getattr(faults, fault))
    with open_engine() as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert document.status is DocumentStatus.READY_WITH_WARNINGS
        assert [(w.page, w.code) for w in document.warnings] == [(faults.BAD_PAGE, "page_failed")]
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 3}


def test_a_hanging_page_is_stopped(
    tmp_path: Path, open_engine: Callable[[], Tuwen], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = settings.ingest.limits.model_copy(update={"page_timeout_s": 20.0, "max_attempts": 1})
    ingest = settings.ingest.model_copy(update={"limits": limits})
    monkeypatch.setattr(stages, "read_page", faults.hang)
    with Tuwen.open(settings.model_copy(update={"ingest": ingest}), tmp_path / "home") as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert document.status is DocumentStatus.READY_WITH_WARNINGS
        assert "within 20 s" in document.warnings[0].message


def test_no_readable_page_fails_the_document_and_no_other(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "read_page", faults.always_bug)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    with open_engine() as engine:
        documents = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1)), tmp_path / "broken.pdf"]).documents
        assert [(d.status, d.error and d.error.code) for d in documents] == [
            ("failed", "page_failed"),
            ("failed", "corrupt_file"),
        ]


def test_a_crash_while_encoding_costs_that_page(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "encode_pages", faults.crash_encoding)
    with open_engine() as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert [(w.page, w.code) for w in document.warnings] == [(faults.BAD_PAGE, "page_failed")]
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 3}


def test_a_full_disk_ends_the_run_and_the_next_goes_on(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    with monkeypatch.context() as patch, open_engine() as engine:
        patch.setattr(stages, "read_page", faults.disk_full)
        with pytest.raises(StorageUnavailableError):
            engine.ingest([file])
        assert [d.status for d in engine.documents()] == ["queued"]
    with open_engine() as engine:
        (document,) = engine.ingest([file]).documents
        assert (document.status, document.warnings) == (DocumentStatus.READY, ())


def test_what_is_not_there_is_not_found(tmp_path: Path, open_engine: Callable[[], Tuwen]) -> None:
    with open_engine() as engine:
        with pytest.raises(NotFoundError, match="collection"):
            engine.search("预算", collection="没有")
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        with pytest.raises(NotFoundError, match="no page 4"):
            engine.page(document.document_id, 4)
        with pytest.raises(NotFoundError):
            engine.page("ffffffff", 1)


def test_after_a_change_of_settings_ingest_indexes_again_and_reads_nothing_again(
    tmp_path: Path, open_engine: Callable[[], Tuwen], settings: Settings
) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    with open_engine() as engine:
        (document,) = engine.ingest([file]).documents
    changed = load_settings(environ={"TUWEN_INGEST__WORKERS": "1", "TUWEN_ENCODERS__SPARSE__K1": "1.5"})
    events: list[IngestEvent] = []
    with Tuwen.open(changed, tmp_path / "home") as engine:
        with pytest.raises(IndexStaleError, match="tuwen ingest"):
            engine.search("项目1第2期的预算")
        engine.ingest([file], on_event=events.append)
        hits = engine.search("项目1第2期的预算").hits
        assert (hits[0].document_id, hits[0].page) == (document.document_id, 2)
        assert engine.catalog.document(document.document_id).status is DocumentStatus.READY
    assert {event.stage for event in events} & {"inspect", "read"} == set()
