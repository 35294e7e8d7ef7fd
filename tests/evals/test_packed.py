"""The sample set of what must be unpacked, unlocked or converted: every file through the engine, against its truth."""

import json
from pathlib import Path

import pytest

from evals.samples import archives, office, packed
from evals.samples.make import PACKED
from ingest.office import soffice
from tuwen.engine import Tuwen
from tuwen.settings import load_settings
from tuwen.types import fold_space

FOLDER = Path(__file__).parents[2] / "evals" / "samples" / PACKED
needs_libreoffice = pytest.mark.skipif(soffice.version() == "none", reason="LibreOffice is not installed")


def records(name: str) -> list[dict]:
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


def test_the_script_still_writes_what_is_committed() -> None:
    assert json.loads(json.dumps(list(packed.truth()))) == records("truth.jsonl")
    assert list(packed.SKIPPED) == records("skipped.jsonl")
    for name, build in packed.BUILDERS.items():
        if name != archives.LOCKED:
            assert build() == (FOLDER / "documents" / name).read_bytes(), name
    assert set(packed.BUILDERS) == {path.name for path in (FOLDER / "documents").iterdir()}


@needs_libreoffice
def test_every_page_says_what_was_written(tmp_path: Path) -> None:
    settings = load_settings(environ={"TUWEN_INGEST__WORKERS": "2"})
    with Tuwen.open(settings, tmp_path / "home") as engine:
        first = engine.ingest([FOLDER / "documents"])
        assert [{"path": item.path, "code": item.code} for item in first.skipped] == records("skipped.jsonl")
        assert [d.error and d.error.code for d in first.documents if d.path == archives.LOCKED] == ["password_required"]
        second = engine.ingest([FOLDER / "documents" / archives.LOCKED], password=archives.PASSWORD)
        documents = {d.path: d for d in (*first.documents, *second.documents)}
        assert {d.status for d in documents.values()} == {"ready"}
        truth = records("truth.jsonl")
        for path, document in documents.items():
            assert document.pages == sum(page["path"] == path for page in truth), path
        for page in truth:
            text = fold_space(engine.page(documents[page["path"]].document_id, page["page"]).text)
            for words in page["contains"]:
                assert fold_space(words) in text, (page["path"], page["page"])
        answer = engine.ask("搬迁总负责人是谁？")
        assert "闻人秋" in answer.answer
        assert answer.citations[0].document_name == office.MEMO
        assert answer.citations[0].verified
