"""Office files of the invented company, written by the libraries that many programs use; the same bytes every time."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Sequence
from typing import Any

import docx
import openpyxl
import pptx

from evals.samples.common import COMPANY

MEMO, BUDGET, ROADMAP = "搬迁工作方案.docx", "二期工厂预算.xlsx", "产品路线图.pptx"
_MOMENT = datetime.datetime(2026, 9, 1, 9, 0)

MEMO_TITLE = "研发中心搬迁工作方案"
MEMO_PARAGRAPHS = (
    f"{COMPANY}研发中心将于2026年10月整体迁入二期工厂三层，搬迁期间研发服务不中断。",
    "搬迁总负责人为闻人秋，设备装箱须在10月9日18:00前完成，逾期由各组自行运输。",
    "精密天平与激光干涉仪由原厂工程师拆装，任何人不得自行移动。",
)
MEMO_TABLE = (
    ("批次", "部门", "日期", "车辆"),
    ("第一批", "算法组", "10月10日", "3辆"),
    ("第二批", "硬件组", "10月12日", "7辆"),
    ("第三批", "计量实验室", "10月15日", "2辆"),
)
BUDGET_ROWS = (
    ("科目", "一季度", "二季度", "三季度", "四季度", "全年合计"),
    ("洁净车间改造", "1,280", "960", "410", "150", "2,800"),
    ("产线设备", "2,050", "3,400", "1,175", "375", "7,000"),
    ("环保验收", "0", "60", "45", "18", "123"),
)
BUDGET_NOTE = "单位：万元。预备费另计，不超过总额的百分之五。"
SLIDES = (
    ("H4边缘网关路线图", ("2026年12月完成工程样机", "2027年3月通过防爆认证", "2027年6月量产，首年目标两万台")),
    ("风险与对策", ("芯片交期二十六周，已备第二货源", "防爆认证排队，预留八周缓冲")),
)


def memo() -> bytes:
    """A Word document: title, paragraphs, a table."""
    document = docx.Document()
    document.core_properties.created = document.core_properties.modified = _MOMENT
    document.add_heading(MEMO_TITLE, 1)
    for paragraph in MEMO_PARAGRAPHS:
        document.add_paragraph(paragraph)
    table = document.add_table(len(MEMO_TABLE), len(MEMO_TABLE[0]), "Table Grid")
    for row, cells in zip(table.rows, MEMO_TABLE, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    return _saved(document)


def budget() -> bytes:
    """An Excel workbook: a table, and a note on a second sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "预算"
    for cells in BUDGET_ROWS:
        sheet.append(cells)
    for column in "ABCDEF":
        sheet.column_dimensions[column].width = 16
    book.create_sheet("说明")["A1"] = BUDGET_NOTE
    return _saved(book)


def roadmap() -> bytes:
    """A PowerPoint presentation of two slides."""
    made = pptx.Presentation()
    made.core_properties.created = made.core_properties.modified = _MOMENT
    for title, points in SLIDES:
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(points)
    return _saved(made)


def cells(rows: Sequence[Sequence[str]]) -> list[str]:
    """The texts of a table."""
    return [text for row in rows for text in row]


def _saved(document: Any) -> bytes:
    """The file without the time at which it was written."""
    stream, fixed = io.BytesIO(), io.BytesIO()
    document.save(stream)
    with zipfile.ZipFile(stream) as written, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in written.namelist():
            data = written.read(name)
            if name == "docProps/core.xml":
                moment = f"{_MOMENT.isoformat()}Z".encode()
                data = re.sub(rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>" + moment, data)
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, data)
    return fixed.getvalue()
