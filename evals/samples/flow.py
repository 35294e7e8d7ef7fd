"""Flow of headings, paragraphs, lists, tables and figures through the columns of sheets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from evals.samples.sheet import Color, DrawnBlock, Sheet, Style, rgb
from evals.samples.typeset import Align, Line, break_lines, parse
from tuwen.types import BlockKind

Draw = Callable[[Sheet, float, float, float, float, DrawnBlock], None]
"""Draws a figure into x0, y0, x1, y1; its text goes to the block."""


class Frame(NamedTuple):
    """A column: left, top, right, bottom in points."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Points."""
        return self.x1 - self.x0


class TableStyle(NamedTuple):
    """Look of a table."""

    text: Style
    head: Style
    head_fill: Color = rgb("#e8eef5")
    stripe: Color | None = None
    rule: Color = rgb("#9aa7b5")
    leading: float = 1.45
    padding: float = 4.0
    grid: bool = False
    """Vertical rules too."""


class Table(NamedTuple):
    """A table to be set."""

    widths: Sequence[float]
    """Shares of the frame's width, any unit."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str = ""
    """One of ``l c r`` a column; left by default."""
    strong_last: bool = False
    continued: str = ""
    """Line set above the repeated head on the next page."""


_SMALL = 220.0
"""Tables below this height in points are kept whole."""
_ALIGN: dict[str, Align] = {"l": "left", "c": "center", "r": "right"}


class Flow:
    """Sets blocks one below the other and goes on in the next column or on a new sheet.

    ``new_sheet(number)`` makes a sheet with what stands above the text; ``frames`` may depend on the page.
    """

    def __init__(self, new_sheet: Callable[[int], Sheet], frames: Callable[[int], Sequence[Frame]]) -> None:
        self.sheets: list[Sheet] = []
        self._new_sheet = new_sheet
        self._frames = frames
        self._column = 0
        self.y = 0.0
        self.new_page()

    @property
    def sheet(self) -> Sheet:
        """The page being filled."""
        return self.sheets[-1]

    @property
    def page(self) -> int:
        """Its number from 1."""
        return len(self.sheets)

    @property
    def frame(self) -> Frame:
        """The column being filled."""
        return self._frames(self.page)[self._column]

    def new_page(self) -> None:
        """Go to the top of a new sheet."""
        self.sheets.append(self._new_sheet(self.page + 1))
        self._column, self.y = 0, self._frames(self.page)[0].y0

    def next_frame(self) -> None:
        """Go to the top of the next column."""
        if self._column + 1 < len(self._frames(self.page)):
            self._column += 1
            self.y = self.frame.y0
        else:
            self.new_page()

    @property
    def at_top(self) -> bool:
        """Nothing stands in this column yet."""
        return self.y <= self.frame.y0

    def space(self, points: float) -> None:
        """Leave room, but not at the top of a column."""
        if not self.at_top:
            self.y += points

    def need(self, points: float) -> None:
        """Go on in the next column unless ``points`` are free in this one."""
        if self.y + points > self.frame.y1 and not self.at_top:
            self.next_frame()

    def para(
        self,
        text: str,
        style: Style,
        *,
        kind: BlockKind = BlockKind.TEXT,
        leading: float = 1.75,
        indent: float = 0.0,
        hang: float = 0.0,
        marker: str = "",
        align: Align = "justify",
        before: float = 0.0,
        after: float = 0.0,
        keep: float = 0.0,
        block: DrawnBlock | None = None,
    ) -> DrawnBlock:
        """Set one paragraph.

        Args:
            text: marked up as :mod:`evals.samples.typeset` says.
            style: of the text.
            kind: of the block.
            leading: line height in font sizes.
            indent: of the first line, in em.
            hang: left margin of all lines, in em; ``marker`` stands in it.
            marker: bullet or number.
            align: of the lines.
            before: points above.
            after: points below.
            keep: points that must remain below it in the column (headings).
            block: go on with this block where the column does not change.
        """
        self.space(before)
        step = style.size * leading
        left = hang * style.size
        lines = break_lines(parse(text, style), self.frame.width - left, indent * style.size, align)
        self.need(min(len(lines), 2) * step + keep)
        target = block if block is not None and block in self.sheet.blocks else self.sheet.block(kind)
        where = (self.page, self._column)
        for number, line in enumerate(lines):
            self.need(step)
            if where != (self.page, self._column):
                target, where = self.sheet.block(kind), (self.page, self._column)
            base = self.y + step / 2 + style.size * 0.36
            if marker and number == 0:
                self.sheet.text(self.frame.x0, base, marker, style, target)
            separator = line.before if number else (" " if marker else "\n")
            self._draw(line, left, base, target, separator)
            self.y += step
        self.y += after
        return target

    def _draw(self, line: Line, left: float, base: float, block: DrawnBlock, before: str) -> None:
        shift = self.frame.x0 + left
        self.sheet.glyphs([g._replace(x=g.x + shift) for g in line.glyphs], base, block, before)

    def items(
        self,
        texts: Sequence[str],
        style: Style,
        *,
        markers: Sequence[str] | None = None,
        hang: float = 1.3,
        leading: float = 1.7,
        after: float = 0.0,
    ) -> None:
        """Set a list: one block a column."""
        block: DrawnBlock | None = None
        for number, text in enumerate(texts):
            marker = markers[number] if markers else "•"
            self.para(text, style, kind=BlockKind.LIST, marker=marker, hang=hang, leading=leading, block=block)
            block = self.sheet.blocks[-1]
        self.y += after

    def figure(self, height: float, draw: Draw, *, after: float = 0.0, keep: float = 24.0) -> None:
        """Set a drawing over the whole width of the column."""
        self.need(height + keep)
        block = self.sheet.block(BlockKind.FIGURE)
        draw(self.sheet, self.frame.x0, self.y, self.frame.x1, self.y + height, block)
        self.y += height + after

    def table(self, table: Table, look: TableStyle, *, after: float = 0.0) -> None:
        """Set a table; its head is repeated in the next column or on the next page."""
        setter = _TableSetter(self, table, look)
        setter.run()
        self.y += after


class _TableSetter:
    def __init__(self, flow: Flow, table: Table, look: TableStyle) -> None:
        self.flow, self.table, self.look = flow, table, look
        self.block: DrawnBlock | None = None
        self.top = 0.0

    def run(self) -> None:
        """Draw it; a small table is not torn."""
        whole = sum(self._height(self._cells(row, self.look.text)) for row in (self.table.head, *self.table.rows))
        if whole < _SMALL:
            self.flow.need(whole)
        self._head()
        for number, row in enumerate(self.table.rows):
            last = number == len(self.table.rows) - 1
            style = self.look.head if last and self.table.strong_last else self.look.text
            lines = self._cells(row, style)
            if self.flow.y + self._height(lines) > self.flow.frame.y1:
                self._close()
                self.flow.next_frame()
                if self.table.continued:
                    self.flow.para(
                        self.table.continued, self.look.head, kind=BlockKind.CAPTION, align="center", after=3
                    )
                self._head()
            self._row(row, lines, self.look.stripe if number % 2 else None)
        self._close()

    def _edges(self) -> list[float]:
        frame, total = self.flow.frame, sum(self.table.widths)
        edges = [frame.x0]
        for share in self.table.widths:
            edges.append(edges[-1] + share / total * frame.width)
        return edges

    def _cells(self, row: Sequence[str], style: Style) -> list[list[Line]]:
        edges = self._edges()
        align = self.table.align or "l" * len(row)
        return [
            break_lines(parse(cell, style), edges[n + 1] - edges[n] - 2 * self.look.padding, 0.0, _ALIGN[align[n]])
            for n, cell in enumerate(row)
        ]

    def _height(self, cells: list[list[Line]]) -> float:
        step = self.look.text.size * self.look.leading
        return max(map(len, cells)) * step + 1.6 * self.look.padding

    def _head(self) -> None:
        cells = self._cells(self.table.head, self.look.head)
        self.flow.need(self._height(cells) * 2.5)
        self.block = self.flow.sheet.block(BlockKind.TABLE)
        self.top = self.flow.y
        self._row(self.table.head, cells, self.look.head_fill)

    def _row(self, row: Sequence[str], cells: list[list[Line]], fill: Color | None) -> None:
        assert self.block is not None
        flow, look, edges = self.flow, self.look, self._edges()
        height, step = self._height(cells), look.text.size * look.leading
        if fill:
            flow.sheet.rect(edges[0], flow.y, edges[-1], flow.y + height, fill=fill)
        self.block.rows.append([cell.replace("**", "") for cell in row])
        separator = "\n"
        for number, lines in enumerate(cells):
            top = flow.y + (height - len(lines) * step) / 2
            for k, line in enumerate(lines):
                x, base = edges[number] + look.padding, top + k * step + step / 2 + look.text.size * 0.36
                glyphs = [g._replace(x=g.x + x) for g in line.glyphs]
                flow.sheet.glyphs(glyphs, base, self.block, line.before if k else separator)
            separator = " " if lines else separator
        flow.y += height
        flow.sheet.line(edges[0], flow.y, edges[-1], flow.y, look.rule, 0.4)

    def _close(self) -> None:
        edges, sheet, look = self._edges(), self.flow.sheet, self.look
        for y in (self.top, self.flow.y):
            sheet.line(edges[0], y, edges[-1], y, look.rule, 1.0)
        if look.grid:
            for x in edges:
                sheet.line(x, self.top, x, self.flow.y, look.rule, 0.4)
