"""员工手册: chapters of numbered clauses, lists, tables and a printed table of contents."""

from __future__ import annotations

from collections.abc import Sequence

from evals.samples.common import A4, COMPANY, MIST, NAVY, SAND, SHORT, SLATE, TEAL, WHITE, Sample, folio, running_head
from evals.samples.flow import Flow, Frame, Table, TableStyle
from evals.samples.handbook_text import CHAPTERS, CONTACTS, REVISIONS, Chapter
from evals.samples.pdf import write_pdf
from evals.samples.sheet import DrawnBlock, Sheet, Style, line_width, rgb, set_line
from tuwen.types import BlockKind

FILE = "员工手册.pdf"
_MARGIN = 64.0
_CONTENTS_PAGE = 2
_BODY = Style("serif", 10.5)
_CLAUSE = Style("sans-bold", 11, NAVY)
_CHAPTER = Style("sans-bold", 16, NAVY)
_TABLE = TableStyle(Style("sans", 9), Style("sans-bold", 9, NAVY), stripe=rgb("#f7f9fb"))
Contents = list[tuple[int, str, int]]
"""Level, title, page."""


def build() -> Sample:
    """Draw the handbook: once to learn the page numbers, once more with them in the table of contents."""
    _, found = _draw([])
    sheets, _ = _draw(found)
    return Sample(FILE, write_pdf(sheets, f"{COMPANY}员工手册", "人力资源部"), sheets, ("born-digital",))


def _draw(contents: Contents) -> tuple[list[Sheet], Contents]:
    flow = Flow(_new_sheet, _frames)
    _cover(flow.sheet)
    flow.new_page()
    _contents(flow, contents)
    found: Contents = []
    flow.new_page()
    for number, chapter in enumerate(CHAPTERS):
        flow.need(150)
        flow.space(16 if number else 0)
        _chapter(flow, chapter, found)
    _appendix(flow, found)
    for number, sheet in enumerate(flow.sheets[1:], 1):
        folio(sheet, f"第 {number} 页 / 共 {len(flow.sheets) - 1} 页")
    return flow.sheets, found


def _frames(number: int) -> list[Frame]:
    if number == _CONTENTS_PAGE:
        middle = A4[0] / 2
        return [Frame(_MARGIN, 132, middle - 18, A4[1] - 62), Frame(middle + 18, 132, A4[0] - _MARGIN, A4[1] - 62)]
    return [Frame(_MARGIN, 78, A4[0] - _MARGIN, A4[1] - 62)]


def _new_sheet(number: int) -> Sheet:
    sheet = Sheet(*A4)
    if number > 1:
        running_head(sheet, f"{SHORT} · 员工手册", "JC-HR-2026-001　版本 5.2", _MARGIN)
    return sheet


def _cover(sheet: Sheet) -> None:
    width, height = A4
    sheet.rect(0, 0, width, height, fill=NAVY)
    sheet.rect(0, height * 0.62, width, height * 0.62 + 5, fill=SAND)
    for number in range(9):
        sheet.circle(width - 60, 120, 40 + number * 34, stroke=rgb("#2a4d7c"), width=1.2)
    sheet.circle(width - 60, 120, 16, fill=SAND)
    title = sheet.block(BlockKind.TITLE)
    sheet.text(64, 330, COMPANY, Style("sans", 17, WHITE, 1.5), title)
    sheet.text(62, 410, "员工手册", Style("sans-bold", 58, WHITE, 6), title)
    sheet.text(64, 452, "Employee Handbook", Style("sans", 17, rgb("#b9c8dc"), 0.8), title)
    small = Style("sans", 11, rgb("#dfe7f1"))
    block = sheet.block(BlockKind.TEXT)
    facts = [
        "文件编号：JC-HR-2026-001",
        "版　　本：5.2",
        "施行日期：2026年1月1日",
        "归口部门：人力资源部",
        "密　　级：内部公开",
    ]
    for number, line in enumerate(facts):
        sheet.text(64, height * 0.62 + 56 + number * 22, line, small, block)


def _contents(flow: Flow, contents: Contents) -> None:
    title = flow.sheet.block(BlockKind.TITLE)
    flow.sheet.text(A4[0] / 2, 108, "目　录", Style("sans-bold", 20, NAVY), title, align=0.5)
    block = flow.sheet.block(BlockKind.LIST)
    for level, text, page in contents:
        style = Style("sans-bold", 11, NAVY) if level == 1 else Style("sans", 10)
        if text.startswith("第六章"):
            flow.next_frame()
        flow.y += 10 if level == 1 and not flow.at_top else 0
        _entry(flow, block, text, page, style, (level - 1) * 12.0)


def _entry(flow: Flow, block: DrawnBlock, text: str, page: int, style: Style, indent: float) -> None:
    sheet, left, right, base = flow.sheet, flow.frame.x0 + indent, flow.frame.x1, flow.y + style.size
    sheet.text(left, base, text, style, block)
    start = left + line_width(set_line(text, style)) + 6
    end = right - line_width(set_line(str(page), style)) - 6
    dot = Style("sans", 8, SLATE, 1.8)
    dots = "." * int((end - start) / (line_width(set_line("..", dot)) - line_width(set_line(".", dot))))
    sheet.text(end, base, dots, dot, block, align=1, before=" ")
    sheet.text(right, base, str(page), style, block, align=1, before=" ")
    flow.y += style.size * 1.75


def _heading(flow: Flow, found: Contents, level: int, title: str, keep: float = 44) -> None:
    style = _CHAPTER if level == 1 else _CLAUSE
    flow.para(
        title,
        style,
        kind=BlockKind.TITLE,
        align="left",
        leading=1.5,
        before=0 if level == 1 else 7,
        after=6 if level == 1 else 2,
        keep=keep,
    )
    found.append((level, title, flow.page - 1))
    if level == 1:
        flow.sheet.rect(flow.frame.x0, flow.y - 3, flow.frame.x0 + 42, flow.y - 0.5, fill=SAND)
        flow.y += 8


def _chapter(flow: Flow, chapter: Chapter, found: Contents) -> None:
    _heading(flow, found, 1, chapter.title)
    for clause in chapter.clauses:
        _heading(flow, found, 2, clause.title, 44 if isinstance(clause.parts[0], str) else 130)
        for part in clause.parts:
            if isinstance(part, str):
                flow.para(part, _BODY, indent=2, after=3)
            elif isinstance(part, Table):
                flow.table(part, _TABLE, after=8)
            else:
                _list(flow, part)


def _list(flow: Flow, items: Sequence[str]) -> None:
    markers = [f"（{'一二三四五六七八九十'[n]}）" for n in range(len(items))]
    flow.items(items, _BODY, markers=markers, hang=3.1, after=4)


def _appendix(flow: Flow, found: Contents) -> None:
    flow.space(16)
    flow.need(220)
    _heading(flow, found, 1, "附录")
    _heading(flow, found, 2, "附录 A　常用联系方式")
    flow.table(CONTACTS, _TABLE, after=8)
    _heading(flow, found, 2, "附录 B　修订记录", 130)
    flow.table(REVISIONS, _TABLE, after=14)
    _receipt(flow)


def _receipt(flow: Flow) -> None:
    flow.need(120)
    sheet, frame, top = flow.sheet, flow.frame, flow.y
    sheet.rect(frame.x0, top, frame.x1, top + 104, fill=MIST, stroke=TEAL, width=0.8, radius=6)
    block = sheet.block(BlockKind.TEXT)
    sheet.text(frame.x0 + 16, top + 26, "员工签收回执", Style("sans-bold", 11, NAVY), block)
    body = Style("serif", 10)
    sheet.text(
        frame.x0 + 16,
        top + 48,
        "本人已阅读并理解本手册全部内容，同意遵守。本回执应于入职后 5 个工作日内交人力资源部存档。",
        body,
        block,
    )
    sheet.text(frame.x0 + 16, top + 80, "员工签名：", body, block)
    sheet.line(frame.x0 + 66, top + 83, frame.x0 + 200, top + 83)
    sheet.text(frame.x0 + 240, top + 80, "日　期：", body, block, before="　")
    sheet.line(frame.x0 + 282, top + 83, frame.x0 + 420, top + 83)
    flow.y = top + 112
