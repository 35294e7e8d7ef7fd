"""What an archive of company files holds besides good PDFs: containers, locked files, bombs; through the engine."""

import struct
import time
import zlib
from pathlib import Path

import docx
import pymupdf
import pytest

from ingest.office import soffice
from tests.engine import faults
from tests.engine.drawing import draw_pdf, report
from tests.ingest.packing import locked, mail, zipped
from tuwen import stages
from tuwen.engine import Tuwen
from tuwen.settings import Settings, load_settings

HUGE_PAGE = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 2000000000 2000000000]>>endobj\ntrailer<</Root 1 0 R>>"
)


@pytest.fixture
def settings() -> Settings:
    return load_settings(environ={"TUWEN_INGEST__WORKERS": "1", "TUWEN_INGEST__LIMITS__MAX_ATTEMPTS": "2"})


def huge_picture() -> bytes:
    """A PNG that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def locked_pdf(path: Path) -> None:
    with pymupdf.open(draw_pdf(path.with_suffix(".plain"), report(4, pages=1))) as document:
        document.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="甲乙123", owner_pw="owner")
    path.with_suffix(".plain").unlink()


def test_every_file_ends_in_a_status_and_none_harms_another(tmp_path: Path, settings: Settings) -> None:
    files = tmp_path / "in"
    page = draw_pdf(files / "page.pdf", report(1, pages=1)).read_bytes()
    inner = draw_pdf(tmp_path / "inner.pdf", report(2, pages=2)).read_bytes()
    (files / "资料.zip").write_bytes(
        zipped({"项目/第二期.pdf": inner, "../out.pdf": page, "项目/a.exe": b"MZ\x90"}, "gbk")
    )
    (files / "locked.zip").write_bytes(locked({"锁.txt": "锁在压缩包里的第九号机密预算为七百万元。"}, "甲乙123"))
    (files / "通知.eml").write_bytes(
        mail(
            "预算通知", "三季度预算为四百二十万元，请各位知悉。\n", {"附件.txt": "附件说：质保期三年。".encode()}
        ).as_bytes()
    )
    plan = docx.Document()
    plan.add_paragraph("第七号项目的验收日期是二〇二七年三月一日。")
    plan.save(files / "计划.docx")
    (files / "huge.pdf").write_bytes(HUGE_PAGE)
    (files / "huge.png").write_bytes(huge_picture())
    locked_pdf(files / "locked.pdf")
    with Tuwen.open(settings, tmp_path / "home") as engine:
        first = engine.ingest([files])
        outcomes = {d.path: d.error.code if d.error else d.status for d in first.documents}
        assert outcomes == {
            "page.pdf": "ready",
            "计划.docx": "ready" if soffice.version() != "none" else "converter_missing",
            "资料.zip/项目/第二期.pdf": "ready",
            "通知.eml": "ready",
            "通知.eml/附件.txt": "ready",
            "huge.pdf": "limit_exceeded",
            "huge.png": "limit_exceeded",
            "locked.pdf": "password_required",
        }
        assert {s.path: s.code for s in first.skipped} == {
            "资料.zip/../out.pdf": "forbidden",
            "资料.zip/项目/a.exe": "unsupported_type",
            "locked.zip": "password_required",
        }
        assert engine.search("项目2第1期的预算").hits[0].document_name == "第二期.pdf"
        second = engine.ingest([files / "locked.zip", files / "locked.pdf"], password="甲乙123")
        assert [(d.path, d.status) for d in second.documents] == [
            ("locked.zip/锁.txt", "ready"),
            ("locked.pdf", "ready"),
        ]
        assert "七百万元" in engine.ask("第九号机密预算是多少？").answer
        assert list((tmp_path / "home" / "spool").iterdir()) == []


@pytest.mark.parametrize("name", ["huge.pdf", "huge.png"])
def test_what_is_too_large_is_refused_in_a_moment(tmp_path: Path, settings: Settings, name: str) -> None:
    from ingest import pipeline
    from ingest.base import PageTask
    from tuwen.errors import LimitExceededError

    file = tmp_path / name
    file.write_bytes(HUGE_PAGE if name == "huge.pdf" else huge_picture())
    media_type = "application/pdf" if name == "huge.pdf" else "image/png"
    began = time.process_time()
    with pytest.raises(LimitExceededError, match=r"more than [\d,]+ \(ingest\.limits\.max_"):
        pipeline.read_page(PageTask(file, media_type, 1, None, settings.ingest))
    assert time.process_time() - began < 1


def test_a_page_that_eats_memory_costs_that_page(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "read_page", faults.eat_memory)
    with Tuwen.open(settings, tmp_path / "home") as engine:
        (document,) = engine.ingest([draw_pdf(tmp_path / "a.pdf", report(1))]).documents
        assert [(w.page, w.code) for w in document.warnings] == [(faults.BAD_PAGE, "limit_exceeded")]
        assert "needs more memory than is allowed" in document.warnings[0].message
        assert {hit.page for hit in engine.search("项目1的预算").hits} == {1, 3}
