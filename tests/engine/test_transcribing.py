"""Pages that vision models read too: in the same run, and never at the price of the plain reading."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.engine import faults
from tests.engine.drawing import draw_pdf, report
from tuwen import stages
from tuwen.engine import Tuwen
from tuwen.errors import ModelUnavailableError, NotFoundError, StorageUnavailableError
from tuwen.jobs import IngestEvent, Stage
from tuwen.settings import Settings, load_settings
from tuwen.transcription import Asked, Transcriber
from tuwen.types import BlockKind, DocumentStatus, Source
from vlm.base import VisionRequest
from vlm.fake import FakeVisionModel
from vlm.tasks.asking import TaskOptions

Answer = Callable[[str, int], str]
"""What the model writes of a page of a document, by its name."""


@pytest.fixture
def settings() -> Settings:
    return load_settings(environ={"TUWEN_INGEST__WORKERS": "1", "TUWEN_INGEST__LIMITS__MAX_ATTEMPTS": "2"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def markdown(name: str, page: int) -> str:
    """What :func:`report` prints on page ``page`` of ``{number}.pdf``, as a model would write it."""
    number = int(name.removesuffix(".pdf"))
    title, text = report(number)[page - 1].removesuffix("</p>").removeprefix("<h1>").split("</h1><p>")
    return f"# {title}\n\n- {text}"


def open_engine(settings: Settings, home: Path, answer: Answer = markdown, name: str = "fake") -> Tuwen:
    """An engine whose model recognises pages by their pictures."""
    engine = Tuwen.open(settings, home)

    def respond(request: VisionRequest) -> str:
        artefacts, (image,) = engine.parts.artefacts, request.images
        for document in engine.documents():
            for page in range(1, (document.pages or 0) + 1):
                with suppress(NotFoundError):  # it is not read yet
                    if np.array_equal(artefacts.page_pixels(document.document_id, page), image):
                        return answer(document.name, page)
        raise AssertionError("no such picture")

    model = FakeVisionModel(respond, name)
    engine.parts.transcriber = Transcriber(Asked(model, TaskOptions(max_tokens=2000)), None)
    return engine


def states(engine: Tuwen, document_id: str) -> Mapping[str, list[str]]:
    prints = engine.parts.fingerprints
    stages_ = (Stage.READ, Stage.TRANSCRIBE, Stage.ALIGN, Stage.ENCODE)
    ledger = {stage: engine.catalog.ledger.state(document_id, stage, prints.of(stage)) for stage in stages_}
    return {str(stage): [str(entry.state) for _, entry in sorted(pages.items())] for stage, pages in ledger.items()}


def test_pages_get_the_models_structure_and_the_plain_readers_boxes(
    tmp_path: Path, home: Path, settings: Settings
) -> None:
    file = draw_pdf(tmp_path / "1.pdf", report(1))
    with Tuwen.open(settings, tmp_path / "plain") as engine:
        (document,) = engine.ingest([file]).documents
        plain = engine.page(document.document_id, 1)
        assert "transcribe" not in engine.status().stages
    events: list[IngestEvent] = []
    with open_engine(settings, home) as engine:
        (document,) = engine.ingest([file], on_event=events.append).documents
        assert (document.status, document.warnings) == (DocumentStatus.READY, ())
        record = engine.page(document.document_id, 1)
        assert [(block.kind, block.source) for block in record.blocks] == [
            (BlockKind.TITLE, Source.VLM),
            (BlockKind.LIST, Source.VLM),
        ]
        assert [word.box for word in record.words] == [word.box for word in plain.words]
        answer = engine.ask("项目1第2期的预算是多少？")
        assert "102万元" in answer.answer
        assert answer.citations[0].verified
        assert set(map(tuple, states(engine, document.document_id).values())) == {("done",) * 3}
        assert engine.doctor().is_well
    assert [(e.done, e.total) for e in events if e.stage is Stage.TRANSCRIBE] == [(1, 3), (2, 3), (3, 3)]


def test_pages_of_several_documents_are_with_the_model_at_once(tmp_path: Path, home: Path, settings: Settings) -> None:
    together = threading.Barrier(4, timeout=100)

    def answer(name: str, page: int) -> str:
        together.wait()
        return markdown(name, page)

    files = [draw_pdf(tmp_path / f"{number}.pdf", report(number, pages=2)) for number in (1, 2)]
    with open_engine(settings, home, answer) as engine:
        assert {document.status for document in engine.ingest(files).documents} == {DocumentStatus.READY}


def test_a_page_that_the_model_cannot_read_keeps_its_plain_reading_until_it_can(
    tmp_path: Path, home: Path, settings: Settings
) -> None:
    def answer(name: str, page: int) -> str:
        if page == 2:
            raise RuntimeError("a bug")
        return markdown(name, page)

    with open_engine(settings, home, answer) as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "1.pdf", report(1))]).documents
        assert [(w.page, w.code) for w in document.warnings] == [(2, "page_failed")]
        assert states(engine, document.document_id)["transcribe"] == ["done", "quarantined", "done"]
        assert [engine.page(document.document_id, n).blocks[0].source for n in (1, 2)] == [
            Source.VLM,
            Source.TEXT_LAYER,
        ]
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}
        assert engine.doctor().is_well
    with open_engine(settings, home) as engine:
        engine.retry()
        again = engine.catalog.document(document.document_id)
        assert (again.status, again.warnings) == (DocumentStatus.READY, ())
        assert engine.page(document.document_id, 2).blocks[0].source is Source.VLM


def test_a_model_that_is_gone_ends_the_run_and_the_next_goes_on(tmp_path: Path, home: Path, settings: Settings) -> None:
    def gone(_name: str, _page: int) -> str:
        raise ModelUnavailableError("The server does not answer.")

    file = draw_pdf(tmp_path / "1.pdf", report(1))
    with open_engine(settings, home, gone) as engine:
        with pytest.raises(ModelUnavailableError):
            engine.ingest([file])
        assert [document.status for document in engine.documents()] == [DocumentStatus.QUEUED]
    with open_engine(settings, home) as engine:
        (document,) = engine.ingest([file]).documents
        assert (document.status, document.warnings) == (DocumentStatus.READY, ())
        read = engine.catalog.ledger.state(document.document_id, Stage.READ, engine.parts.fingerprints.read)
        assert [entry.attempts for entry in read.values()] == [1, 1, 1]


def test_a_run_that_ends_cancels_what_the_model_is_writing(
    tmp_path: Path, home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(request: VisionRequest) -> str:
        while not request.cancelled:
            time.sleep(0.01)
        return "zu spät"

    monkeypatch.setattr(stages, "read_page", faults.disk_full)
    with Tuwen.open(settings, home) as engine:
        engine.parts.transcriber = Transcriber(Asked(FakeVisionModel(endless), TaskOptions()), None)
        with pytest.raises(StorageUnavailableError):
            engine.ingest([draw_pdf(tmp_path / "1.pdf", report(1))])
        assert threading.active_count() < 64
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("look")]


def test_another_model_reads_again_and_the_plain_reader_does_not(
    tmp_path: Path, home: Path, settings: Settings
) -> None:
    file = draw_pdf(tmp_path / "1.pdf", report(1))
    with open_engine(settings, home, name="one") as engine:
        engine.ingest([file])
    events: list[IngestEvent] = []
    with open_engine(settings, home, name="other") as engine:
        engine.ingest([file], on_event=events.append)
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}
    assert Stage.READ not in {event.stage for event in events}
    assert Stage.TRANSCRIBE in {event.stage for event in events}


def test_a_crash_while_aligning_leaves_the_plain_reading(
    tmp_path: Path, home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "align_page", faults.crash_aligning)
    with open_engine(settings, home) as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "1.pdf", report(1))]).documents
        assert [(w.page, w.code) for w in document.warnings] == [(2, "parser_crashed")]
        assert engine.page(document.document_id, 2).blocks[0].source is Source.TEXT_LAYER
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}


@pytest.mark.parametrize("stage", ["read", "transcribe", "align"])
def test_damaged_artefacts_are_made_again(tmp_path: Path, home: Path, settings: Settings, stage: str) -> None:
    file = draw_pdf(tmp_path / "1.pdf", report(1))
    with open_engine(settings, home) as engine:
        (document,) = engine.ingest([file]).documents
        (artefact,) = home.rglob(f"{stage}-*/000002.json.z")
        artefact.write_bytes(artefact.read_bytes()[:10])
        assert not engine.doctor().is_well
        assert engine.doctor(fix=True).is_well
        assert engine.page(document.document_id, 2).blocks[0].source is Source.VLM
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 2, 3}
