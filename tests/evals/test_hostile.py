"""The survival run, on a set of three files and with an expectation that is wrong."""

import json
from pathlib import Path

import pymupdf

from evals import hostile
from tests.engine.drawing import draw_pdf, report
from tuwen.settings import load_settings


def test_a_set_is_judged_file_by_file(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    plain = draw_pdf(documents / "good.pdf", report(1, pages=2))
    (documents / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    (documents / "wrong.pdf").write_bytes(b"%PDF-1.7\nnothing at all")
    with pymupdf.open(plain) as document:
        document.save(documents / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="u", owner_pw="o")
    lines = [
        {"file": "good.pdf", "expect": "ok", "why": "drawn here"},
        {"file": "broken.pdf", "expect": "error"},
        {"file": "wrong.pdf", "expect": "ok"},
        {"file": "locked.pdf", "expect": "password", "password": "o"},
    ]
    (tmp_path / "expect.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = load_settings(environ={"TUWEN_INGEST__WORKERS": "1"})
    survival = hostile.run(tmp_path, tmp_path / "home", settings)
    verdicts = {verdict.file: verdict for verdict in survival.verdicts}
    assert {name: verdict.fault for name, verdict in verdicts.items()} == {
        "good.pdf": "",
        "broken.pdf": "",
        "wrong.pdf": "not ready",
        "locked.pdf": "",
    }
    assert (verdicts["good.pdf"].pages, verdicts["good.pdf"].counted) == (2, 2)
    assert (verdicts["locked.pdf"].outcome, verdicts["locked.pdf"].unlocked) == ("password_required", "ready")
    assert (survival.files, survival.passed) == (4, 3)
