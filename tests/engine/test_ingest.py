"""Ingestion end to end: real files, real child processes, real stores."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import faults
from tests.engine.drawing import draw_pdf, report
from tuwen import jobs, stages, worker
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


@pytest.fixture
def recut() -> Settings:
    """Settings that cut other passages for the same index."""
    return load_settings(
        environ={
            "TUWEN_INGEST__WORKERS": "1",
            "TUWEN_INGEST__PASSAGES__TARGET_TOKENS": "32",
            "TUWEN_INGEST__PASSAGES__MAX_TOKENS": "64",
        }
    )


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
        draw_pdf(file, report(1))  # and back again
        (third,) = engine.ingest([file]).documents
        assert third.status is DocumentStatus.READY
        assert {hit.document_id for hit in engine.search("项目的预算").hits} == {third.document_id}


@pytest.mark.parametrize(("fault", "code"), [("crash", "parser_crashed"), ("bug", "page_failed")])
def test_a_bad_page_costs_that_page(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch, fault: str, code: str
) -> None:
    monkeypatch.setattr(stages, "read_page", getattr(faults, fault))
    with open_engine() as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert document.status is DocumentStatus.READY_WITH_WARNINGS
        assert [(w.page, w.code) for w in document.warnings] == [(faults.BAD_PAGE, code)]
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
        assert document.warnings[0].code == "parser_timeout"
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
        assert [(w.page, w.code) for w in document.warnings] == [(faults.BAD_PAGE, "parser_crashed")]
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


def test_settings_that_come_back_find_every_page_again(
    tmp_path: Path, open_engine: Callable[[], Tuwen], recut: Settings
) -> None:
    file = draw_pdf(tmp_path / "a.pdf", [page * 4 for page in report(1)])
    with open_engine() as engine:
        (document,) = engine.ingest([file]).documents
        first = engine.parts.fingerprints.encode
        before = set(engine.index.ids())
    with Tuwen.open(recut, tmp_path / "home") as engine:
        engine.ingest([file])
        assert engine.catalog.stale("index", first) == [document.document_id]
    with open_engine() as engine:
        engine.ingest([file])
        assert set(engine.index.ids()) == before
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}


def test_a_failed_document_is_mended_once_the_cause_is_gone(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    with open_engine() as engine:
        with monkeypatch.context() as patch:
            patch.setattr(stages, "read_page", faults.always_bug)
            assert engine.ingest([file]).documents[0].status is DocumentStatus.FAILED
        (document,) = engine.ingest([file]).documents
        assert (document.status, document.warnings) == (DocumentStatus.READY, ())
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}


def test_a_page_that_can_be_read_again_gets_its_passages_and_loses_its_warnings(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    with open_engine() as engine:
        with monkeypatch.context() as patch:
            patch.setattr(stages, "read_page", faults.bug)
            (document,) = engine.ingest([file]).documents
        engine.catalog.warn(document.document_id, 1, "hidden_text", "of a reading that is forgotten")
        engine.catalog.ledger.forget(document.document_id, ["read"], [1])
        engine.catalog.retry_failed()
        engine.ingest([file])
        again = engine.catalog.document(document.document_id)
        assert (again.document_id, again.status, again.warnings) == (document.document_id, DocumentStatus.READY, ())
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}


@pytest.mark.parametrize("damage", ["vectors deleted", "record truncated", "passages deleted"])
def test_damaged_artefacts_are_made_again(tmp_path: Path, open_engine: Callable[[], Tuwen], damage: str) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    with open_engine() as engine:
        (document,) = engine.ingest([file]).documents
        before = set(engine.index.ids())
        stage = {"vectors": "encode", "record": "read", "passages": "passages"}[damage.split()[0]]
        (artefact,) = (tmp_path / "home").rglob(f"{stage}-*/000002.[jn]*[!g]")  # the record, not the picture
        if damage.endswith("truncated"):
            artefact.write_bytes(artefact.read_bytes()[:20])
        else:
            artefact.unlink()
        unfinished = {"read": ["passages", "encode", "index"], "passages": ["encode", "index"], "encode": ["index"]}
        engine.catalog.ledger.forget(document.document_id, unfinished[stage])
        engine.ingest([file])
        mended = engine.catalog.document(document.document_id)
        assert (mended.status, mended.warnings) == (DocumentStatus.READY, ())
        assert set(engine.index.ids()) == before
        assert engine.page(document.document_id, 2).page == 2
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}


def test_what_cannot_be_mended_fails_and_is_not_tried_for_ever(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "encode_pages", faults.damaged_page)
    with open_engine() as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert (document.status, document.error and document.error.code) == (DocumentStatus.FAILED, "corrupt_file")


def test_bad_output_is_seen_and_harms_no_other_document(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "read_page", faults.bad_output)
    with open_engine() as engine:
        files = [draw_pdf(tmp_path / "a.pdf", report(1)), draw_pdf(tmp_path / "b.pdf", report(2)[:1])]
        bad, good = engine.ingest(files).documents
        assert (bad.status, bad.error and bad.error.code) == (DocumentStatus.FAILED, "corrupt_file")
        assert good.status is DocumentStatus.READY
        monkeypatch.undo()
        (mended,) = engine.retry([bad.document_id])
        assert (mended.status, mended.warnings) == (DocumentStatus.READY, ())


def test_an_original_that_is_gone_fails_its_document(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "read_page", faults.original_gone)
    with open_engine() as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert (document.status, document.error and document.error.code) == (DocumentStatus.FAILED, "not_found")


def test_leases_that_run_out_start_no_second_job(
    tmp_path: Path, open_engine: Callable[[], Tuwen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_LEASE_S", 0.0)  # as after a long sleep: expired at every look
    monkeypatch.setattr(jobs, "_ENCODE_BATCH", 1)
    files = [draw_pdf(tmp_path / f"{number}.pdf", report(number)) for number in range(2)]
    with open_engine() as engine:
        documents = engine.ingest(files).documents
        assert [document.status for document in documents] == [DocumentStatus.READY] * 2
        for document in documents:
            read = engine.catalog.ledger.state(document.document_id, "read", engine.parts.fingerprints.read)
            assert [entry.attempts for entry in read.values()] == [1, 1, 1]


def test_children_that_cannot_start_are_no_fault_of_a_document(tmp_path: Path) -> None:
    draw_pdf(tmp_path / "a.pdf", report(1))
    script = tmp_path / "script.py"  # without the `if __name__ == "__main__":` that spawned children need
    script.write_text(
        "from pathlib import Path\nfrom tuwen.engine import Tuwen\nfrom tuwen.settings import load_settings\n"
        f"with Tuwen.open(load_settings(), Path({str(tmp_path / 'home')!r})) as engine:\n"
        f"    engine.ingest([Path({str(tmp_path / 'a.pdf')!r})])\n"
    )
    environment = {**os.environ, "TUWEN_INGEST__WORKERS": "1", "PYTHONPATH": str(Path.cwd())}
    run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=200)
    assert "UnavailableError: Child processes cannot start." in run.stderr
    with Tuwen.open(load_settings(environ={}), tmp_path / "home") as engine:
        assert engine.documents() == []
