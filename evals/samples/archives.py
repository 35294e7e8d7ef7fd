"""An archive as Windows of China packs it, and an encrypted PDF."""

from __future__ import annotations

import io
import zipfile

import pymupdf

from evals.samples.common import COMPANY

ARCHIVE, LOCKED = "项目资料（压缩包）.zip", "保密协议（加密）.pdf"
PASSWORD = "霁川2026"  # noqa: S105  it is meant to be known
NOTE_NAME, PLAN_NAME = "项目资料/会议纪要.txt", "项目资料/附件/试验计划.pdf"
NOTE = (
    "会议纪要（2026年8月20日）",
    "一、低温试验改在漠河进行，为期四十五天。",
    "二、样机数量由十二台增至二十台，费用由研发预算列支。",
)
PLAN = (
    "低温试验计划",
    "试验温度为零下四十五摄氏度，每六小时记录一次零点漂移。",
    "试验负责人：南宫亦，现场电话 0457-6021。",
)
AGREEMENT = (
    "保密协议",
    f"甲方：{COMPANY}",
    "乙方对本协议所列技术资料负有保密义务，期限为协议终止后五年。",
    "违反本协议的，乙方应向甲方支付违约金人民币三十八万元。",
)
_A4 = (595.0, 842.0)
_SIZE, _STEP, _LEFT, _TOP = 13.0, 30.0, 72.0, 96.0


class _GbkName(zipfile.ZipInfo):
    """An entry named as Explorer does it: in the code page of the system, without a word about that."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  zipfile's name
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def archive() -> bytes:
    """A ZIP of a text in GBK and a PDF, with names in GBK, and one name that leads out of it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        members = {
            NOTE_NAME: "\r\n".join(NOTE).encode("gbk"),
            PLAN_NAME: _pdf(PLAN).tobytes(garbage=3, deflate=True, no_new_id=True),
        }
        for name, data in {**members, "../启动项.txt": b"x"}.items():
            info = _GbkName(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, data)
    return stream.getvalue()


def locked() -> bytes:
    """A PDF that opens with :data:`PASSWORD` only; its bytes differ every time, as encryption demands."""
    keys = {"encryption": pymupdf.PDF_ENCRYPT_AES_256, "user_pw": PASSWORD, "owner_pw": f"{PASSWORD}-owner"}
    data: bytes = _pdf(AGREEMENT).tobytes(garbage=3, deflate=True, **keys)
    return data


def _pdf(lines: tuple[str, ...]) -> pymupdf.Document:
    document = pymupdf.open()
    page = document.new_page(width=_A4[0], height=_A4[1])
    writer = pymupdf.TextWriter(page.rect)
    for number, line in enumerate(lines):
        writer.append((_LEFT, _TOP + number * _STEP), line, font=pymupdf.Font("cjk"), fontsize=_SIZE)
    writer.write_text(page)
    document.subset_fonts()
    return document
