"""Corrections to what the layout model makes of a page.

It was trained on pages in general; what it takes Chinese headings, captions, page numbers, contents
entries and text side by side for is put right here, from numbering, type size and alignment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ingest.base import TextLine
from ingest.headings import is_caption, is_quantity, numbering
from ingest.prose import Page, Row, has_leaders, rows_of
from ingest.regions import Grid, Region
from tuwen.types import BlockKind, Box

_MARGIN = 0.14
"""Headers and footers stand within this share of the page's height from its edge."""
_PAGE_NUMBER = re.compile(
    r"[-–—·•|\s]*(?:第?\s*\d{1,4}\s*[页頁]?(?:\s*[/共,，]\s*共?\s*\d{1,4}\s*[页頁]?)?|[ivxlc]{1,7})[-–—·•|\s]*"
)
_ITEM = re.compile(r"\s*(?:[（(\[]|\d+\s*[.．、)）])")
"""Numbers of list items, which headings share only when they are larger or stand alone."""
_SENTENCE_END = ("。", "；", "，", ";", ",", "、")
_MAX_TITLE = 80
_GUTTER = 1.5
"""Least width in em of the white between two columns inside a region."""
_CONTENTS_GUTTER = 0.7
"""The same for contents, whose columns end in page numbers and never in the middle of a sentence."""
_COLUMN = 10.0
"""Least width in em of such a column; narrower are labels."""


def refined(region: Region, lines: Sequence[TextLine], page: Page, body: float) -> list[Region]:
    """Correct what the model mistakes: headings, captions and page numbers that look like text, and the reverse."""
    if region.kind in (BlockKind.FIGURE, BlockKind.FORMULA) or not region.lines:
        return [region]
    rows = rows_of((lines[i] for i in region.lines), page)
    text = " ".join(row.text for row in rows)
    if _is_page_number(text, region.box):
        footer = region.box.center[1] > 0.5
        return [region._replace(kind=BlockKind.FOOTER if footer else BlockKind.HEADER)]
    if 2 * sum(has_leaders(row.text) for row in rows) >= len(rows):
        region = region._replace(kind=BlockKind.TEXT, grid=None)
        return _columns(region, lines, page, _CONTENTS_GUTTER) or [region]
    if region.kind is BlockKind.TABLE:
        return [region]
    if region.kind in (BlockKind.HEADER, BlockKind.FOOTER):
        marginal = min(region.box.center[1], 1 - region.box.center[1]) < _MARGIN
        return [region if marginal else region._replace(kind=BlockKind.TEXT)]
    if len(rows) <= 3 and is_caption(text):
        return [region._replace(kind=BlockKind.CAPTION)]
    if region.kind is BlockKind.TITLE:
        return [region if _can_be_title(text, len(rows)) else region._replace(kind=BlockKind.TEXT)]
    if region.kind is BlockKind.TEXT:
        if table := _as_table(region, rows, lines):
            return [part for r in table for part in (refined(r, lines, page, body) if r.grid is None else [r])]
        columns = _columns(region, lines, page, _GUTTER)
        if columns and not _aligned(columns, lines):
            return [part for column in columns for part in refined(column, lines, page, body)]
        return _with_heading(region, rows, lines, body)
    if region.kind is BlockKind.LIST and not _ITEM.match(text):
        return _with_heading(region, rows, lines, body)
    return [region]


def _is_page_number(text: str, box: Box) -> bool:
    return min(box.center[1], 1 - box.center[1]) < _MARGIN / 1.5 and bool(_PAGE_NUMBER.fullmatch(text.strip()))


def _can_be_title(text: str, rows: int) -> bool:
    if rows > 4 or len(text) > _MAX_TITLE or text.endswith(_SENTENCE_END):
        return False
    return sum(char.isalpha() for char in text) > 1 and not is_quantity(text)


def _with_heading(region: Region, rows: list[Row], lines: Sequence[TextLine], body: float) -> list[Region]:
    """Cut a heading off the top of a region of text or items, if it starts with one."""
    first, rest = rows[0], rows[1:]
    if not _is_heading(first, rest, body):
        return [region]
    head = first.lines
    tail = tuple(i for i in region.lines if i not in head)
    title = Region(BlockKind.TITLE, Box.union(lines[i].box for i in head), head)
    if not tail:
        return [title]
    return [title, Region(region.kind, Box.union(lines[i].box for i in tail), tail)]


def _is_heading(row: Row, rest: Sequence[Row], body: float) -> bool:
    """Whether ``row`` is set off from the rows below and from running text, and reads like a heading."""
    text = row.text.strip()
    if len(text) > 40 or not _can_be_title(text, 1) or text.endswith(("：", ":")):
        return False
    larger = row.size > 1.12 * max([body, *(r.size for r in rest)])
    bolder = row.bold and not any(r.bold for r in rest) and row.size > 0.95 * body
    return (larger and row.size > 1.25 * body) or ((larger or bolder) and numbering(text) is not None)


def _columns(region: Region, lines: Sequence[TextLine], page: Page, gutter: float) -> list[Region]:
    """The two columns of a region that has a gutter (width in em), else nothing."""
    em = max(lines[region.lines[0]].size, 1.0) / page.width
    placed = sorted(region.lines, key=lambda i: lines[i].box.x0)
    reach = 0.0
    for n, i in enumerate(placed):
        box = lines[i].box
        if n and box.x0 - reach > gutter * em:
            halves = [_part(region, placed[:n], lines), _part(region, placed[n:], lines)]
            if all(half.box.width > _COLUMN * em and len(half.lines) > 1 for half in halves):
                return halves
        reach = max(reach, box.x1)
    return []


def _part(region: Region, members: Sequence[int], lines: Sequence[TextLine]) -> Region:
    return Region(region.kind, Box.union(lines[i].box for i in members), tuple(sorted(members)))


def _aligned(columns: Sequence[Region], lines: Sequence[TextLine]) -> bool:
    """Whether the lines of two columns stand on the same heights, as the rows of a table do."""
    left, right = ([lines[i].box for i in column.lines] for column in columns)

    def paired(boxes: Sequence[Box], others: Sequence[Box]) -> int:
        return sum(any(abs(a.center[1] - b.center[1]) < 0.3 * a.height for b in others) for a in boxes)

    return paired(left, right) > 0.8 * len(left) and paired(right, left) > 0.8 * len(right)


def _as_table(region: Region, rows: Sequence[Row], lines: Sequence[TextLine]) -> list[Region]:
    """A table without rules that the model took for text, and what stands above and below it; else nothing."""
    best = max(_runs(rows), key=lambda run: run[1] - run[0], default=(0, 0))
    start, end = best
    cells = [[lines[i].box for i in row.lines] for row in rows[start:end]]
    if end - start < 3 or (len(cells[0]) == 2 and end - start < 4):
        return []
    columns = list(zip(*cells, strict=True))
    if any(max(b.x1 for b in left) >= min(b.x0 for b in right) for left, right in pairwise(columns)):
        return []
    xs = [(max(b.x1 for b in left) + min(b.x0 for b in right)) / 2 for left, right in pairwise(columns)]
    ys = [(max(b.y1 for b in above) + min(b.y0 for b in below)) / 2 for above, below in pairwise(cells)]
    table = _part(region, [i for row in rows[start:end] for i in row.lines], lines)
    around = [
        _part(region, [i for row in part for i in row.lines], lines) for part in (rows[:start], rows[end:]) if part
    ]
    return [table._replace(kind=BlockKind.TABLE, grid=Grid(tuple(xs), tuple(ys))), *around]


def _runs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Ranges of rows of equally many cells, set widely apart."""
    start = 0
    for n in range(len(rows) + 1):
        if n == len(rows) or rows[n].gap < _GUTTER or len(rows[n].lines) != len(rows[start].lines):
            yield start, n
            start = n
            if n < len(rows) and rows[n].gap < _GUTTER:
                start = n + 1
