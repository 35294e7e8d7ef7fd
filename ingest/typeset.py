"""Text, Markdown and CSV as pages: laid out here, drawn as PDF pages on demand.

The text layer of a drawn page gives back the characters exactly. The built-in CJK font lacks rare ones; such a
character is drawn as 〓 (the geta mark that Chinese printers set for a missing sort) with the true character as
its /ActualText.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import pymupdf
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.media import CSV, MARKDOWN
from tuwen.errors import LimitExceededError

_WIDTH, _HEIGHT = 595.0, 842.0
_MARGIN = 56.0
_SIZE = 10.5
_LEADING = 1.5
_HEADING_SIZES = (20.0, 17.0, 14.5, 13.0, 12.0, 11.5)
_CELL_WIDTH = 160.0
"""Widest column of a table, in points; longer cells wrap."""
_PADDING = 4.0
_INDENT = 18.0
_GETA = "〓"
_NEVER_FIRST = frozenset("，。、；：？！）》〉」』】〕”’,.;:?!)]}%")
_TAB = 4


class Run(NamedTuple):
    """A printed line of text: baseline origin and font size in points."""

    x: float
    y: float
    text: str
    size: float


class TypesetPage(NamedTuple):
    """What stands on one page; sizes in points, rules as (x0, y0, x1, y1)."""

    width: float
    height: float
    runs: tuple[Run, ...]
    rules: tuple[tuple[float, float, float, float], ...]


class _Paragraph(NamedTuple):
    text: str
    size: float = _SIZE
    indent: float = 0.0
    gap: float = 0.0
    """Space above, in points."""
    new_page: bool = False


class _Table(NamedTuple):
    rows: tuple[tuple[str, ...], ...]


def typeset(text: str, media_type: str, max_pages: int) -> list[TypesetPage]:
    """Lay text out on A4 pages; a wide table gets a wider page.

    Raises:
        LimitExceededError: more than ``max_pages`` pages.
    """
    parse = {CSV: _parse_csv, MARKDOWN: _parse_markdown}.get(media_type, _parse_text)
    setter = _Setter(max_pages)
    for block in parse(text):
        if isinstance(block, _Table):
            setter.table(block)
        else:
            setter.paragraph(block)
    return setter.finish()


@contextmanager
def draw(page: TypesetPage) -> Iterator[Any]:
    """A one-page ``pymupdf.Document`` of ``page``."""
    with pymupdf.open() as document:
        target = document.new_page(width=page.width, height=page.height)
        # In the order of the text, so that the text layer keeps a line with a missing glyph in one piece.
        for known, pieces in groupby(_pieces(page.runs), lambda piece: _has_glyph(piece.text[0])):
            _write(document, target, list(pieces), known)
        shape = target.new_shape()
        for x0, y0, x1, y1 in page.rules:
            shape.draw_line((x0, y0), (x1, y1))
        if page.rules:
            shape.finish(width=0.6)
            shape.commit()
        yield document


def _pieces(runs: Iterable[Run]) -> Iterator[Run]:
    """Runs cut where the font stops or starts to know the characters."""
    for run in runs:
        x = run.x
        for _, group in groupby(run.text, _has_glyph):
            text = "".join(group)
            yield run._replace(x=x, text=text)
            x += _length(text, run.size)


def _write(document: Any, page: Any, pieces: list[Run], known: bool) -> None:
    if known:
        _append(page, ((piece, piece.text) for piece in pieces))
        return
    for piece in pieces:
        _append(page, [(piece, _GETA * len(piece.text))])
        xref = page.get_contents()[-1]
        true = ("\ufeff" + piece.text).encode("utf-16-be").hex().upper().encode()
        content = b"/Span <</ActualText <" + true + b">>> BDC\n" + document.xref_stream(xref) + b"\nEMC\n"
        document.update_stream(xref, content)


def _append(page: Any, texts: Iterable[tuple[Run, str]]) -> None:
    writer = pymupdf.TextWriter(page.rect)
    for piece, text in texts:
        writer.append((piece.x, piece.y), text, font=_font(), fontsize=piece.size)
    writer.write_text(page)


class _Setter:
    """Fills pages from top to bottom."""

    def __init__(self, max_pages: int) -> None:
        self._max_pages = max_pages
        self._pages: list[TypesetPage] = []
        self._y = _MARGIN
        self._start(_WIDTH)

    def paragraph(self, block: _Paragraph) -> None:
        if block.new_page and self._y > _MARGIN:
            self._break(_WIDTH)
        if self._width != _WIDTH:
            self._break(_WIDTH)
        self._y += block.gap if self._y > _MARGIN else 0
        step = block.size * _LEADING
        for line in wrap(block.text, _WIDTH - 2 * _MARGIN - block.indent, block.size):
            if self._y + step > _HEIGHT - _MARGIN:
                self._break(_WIDTH)
            self._print(line, _MARGIN + block.indent, block.size)
            self._y += step

    def table(self, table: _Table) -> None:
        widths = _column_widths(table.rows)
        page_width = max(_WIDTH, sum(widths) + 2 * _MARGIN)
        if page_width > self._width:
            self._break(page_width)
        for row in table.rows:
            # A full column keeps room for the mark that may hang over its line.
            rooms = [width - 2 * _PADDING - (_SIZE if width > _CELL_WIDTH else 0) for width in widths]
            cells = [wrap(cell, room, _SIZE) for cell, room in zip(row, rooms, strict=True)]
            self._row(cells, widths, page_width)
        self._y += _SIZE

    def finish(self) -> list[TypesetPage]:
        if self._runs or self._rules or not self._pages:
            self._break(_WIDTH)
        return self._pages

    def _row(self, cells: list[list[str]], widths: list[float], page_width: float) -> None:
        """Print a row; one that is taller than what is left of the page goes on at the next."""
        step = _SIZE * _LEADING
        whole = int((_HEIGHT - 2 * _MARGIN - 2 * _PADDING) / step)
        height = max(1, *(len(cell) for cell in cells))
        while height > 0:
            room = int((_HEIGHT - _MARGIN - self._y - 2 * _PADDING) / step)
            if room < min(height, whole):
                self._break(page_width)
                room = whole
            taken = min(height, room)
            self._cells([cell[:taken] for cell in cells], widths, taken * step + 2 * _PADDING)
            cells = [cell[taken:] for cell in cells]
            height -= taken

    def _cells(self, cells: list[list[str]], widths: list[float], height: float) -> None:
        top, x = self._y, _MARGIN
        for lines, width in zip(cells, widths, strict=True):
            self._y = top + _PADDING
            for line in lines:
                self._print(line, x + _PADDING, _SIZE)
                self._y += _SIZE * _LEADING
            self._rules.append((x, top, x, top + height))
            x += width
        self._rules += [
            (x, top, x, top + height),
            (_MARGIN, top, x, top),
            (_MARGIN, top + height, x, top + height),
        ]
        self._y = top + height

    def _print(self, text: str, x: float, size: float) -> None:
        if text.strip():
            self._runs.append(Run(x, self._y + size * (_LEADING + 0.76) / 2, text, size))

    def _start(self, width: float) -> None:
        self._width = width
        self._runs: list[Run] = []
        self._rules: list[tuple[float, float, float, float]] = []
        self._y = _MARGIN

    def _break(self, next_width: float) -> None:
        if self._runs or self._rules or (not self._pages and next_width == _WIDTH):
            if len(self._pages) == self._max_pages:
                raise LimitExceededError(
                    f"The text fills more than {self._max_pages:,} pages (ingest.limits.max_pages)."
                )
            self._pages.append(TypesetPage(self._width, _HEIGHT, tuple(self._runs), tuple(self._rules)))
        self._start(next_width)


def wrap(text: str, width: float, size: float) -> list[str]:
    """Cut ``text`` into lines of at most ``width`` points: between CJK characters, at spaces, else anywhere."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        start, used, space = 0, 0.0, -1
        for i, char in enumerate(paragraph):
            advance = _advance(char) * size
            if char == " " or ord(char) > 0x2E7F:
                space = i if char == " " or char not in _NEVER_FIRST else space
            if used + advance > width and i > start and char not in _NEVER_FIRST and char != " ":
                cut = space if start < space <= i else i
                lines.append(paragraph[start:cut].rstrip(" "))
                start = cut + (cut < len(paragraph) and paragraph[cut] == " ")
                used = _length(paragraph[start:i], size)
                space = -1
            used += advance
        lines.append(paragraph[start:])
    return lines


def _column_widths(rows: Iterable[tuple[str, ...]]) -> list[float]:
    widest: list[float] = []
    for row in rows:
        lengths = [max(_length(line, _SIZE) for line in cell.split("\n")) for cell in row]
        widest = [max(pair) for pair in zip(widest, lengths, strict=True)] if widest else lengths
    columns = [max(24.0, min(_CELL_WIDTH, width + 0.1) + 2 * _PADDING) for width in widest]
    # A table across the page is one to the layout model too; a small one in a corner is not.
    stretch = max(1.0, (_WIDTH - 2 * _MARGIN) / sum(columns))
    return [width * stretch for width in columns]


def _clean(text: str) -> str:
    """One line of text without what cannot be printed: tabs become spaces, controls and byte order marks go."""
    spread = text.expandtabs(_TAB)
    return "".join(c for c in spread if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def _parse_text(text: str) -> Iterator[_Paragraph]:
    for i, page in enumerate(text.split("\f")):
        for j, line in enumerate(page.splitlines()):
            yield _Paragraph(_clean(line), new_page=i > 0 and j == 0)


def _parse_csv(text: str) -> Iterator[_Table]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = [[_clean(cell.strip()) for cell in row] for row in csv.reader(text.splitlines(keepends=True), dialect)]
    rows = [row for row in rows if any(row)]
    columns = max((len(row) for row in rows), default=0)
    if columns:
        yield _Table(tuple(tuple(row + [""] * (columns - len(row))) for row in rows))


def _parse_markdown(text: str) -> Iterator[_Paragraph | _Table]:
    rows: list[list[str]] = []
    context = _MarkdownContext()
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            yield _Table(tuple(tuple(row) for row in rows))
            rows = []
        elif token.type == "inline" and rows:
            rows[-1].append(_clean(_inline(token)))
        elif token.type in ("inline", "fence", "code_block", "html_block"):
            yield context.paragraph(token)
        else:
            context.follow(token)


class _MarkdownContext:
    """What surrounds the next paragraph: heading, quotes, lists."""

    def __init__(self) -> None:
        self._size = _SIZE
        self._quotes = 0
        self._counters: list[int | None] = []
        self._mark = ""

    def follow(self, token: Token) -> None:
        kind = token.type
        if kind == "heading_open":
            self._size = _HEADING_SIZES[int(token.tag[1]) - 1]
        elif kind == "heading_close":
            self._size = _SIZE
        elif kind.startswith("blockquote"):
            self._quotes += token.nesting
        elif kind in ("bullet_list_open", "ordered_list_open"):
            start = token.attrGet("start")
            self._counters.append((1 if start is None else int(start)) if kind[0] == "o" else None)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._counters.pop()
        elif kind == "list_item_open":
            number = self._counters[-1]
            self._mark = "• " if number is None else f"{number}. "
            self._counters[-1] = None if number is None else number + 1

    def paragraph(self, token: Token) -> _Paragraph:
        content = _inline(token) if token.type == "inline" else token.content.rstrip("\n")
        levels = self._quotes + max(0, len(self._counters) - 1)
        indent = _INDENT * (levels + (token.type in ("fence", "code_block")))
        mark, self._mark = self._mark, ""
        return _Paragraph(_clean(mark + content), self._size, indent, gap=_SIZE * 0.6)


def _inline(token: Token) -> str:
    """The text of an inline token, marks and targets of links left out."""
    parts = []
    for child in token.children or ():
        if child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif child.type == "html_inline":
            parts.append("\n" if child.content.lower().startswith("<br") else "")
        else:
            parts.append(child.content)
    return "".join(parts)


@lru_cache(maxsize=1)
def _font() -> Any:
    return pymupdf.Font("cjk")


@lru_cache(maxsize=65536)
def _has_glyph(char: str) -> bool:
    return bool(_font().has_glyph(ord(char)))


@lru_cache(maxsize=65536)
def _advance(char: str) -> float:
    """Width of a character in ems."""
    return float(_font().glyph_advance(ord(char if _has_glyph(char) else _GETA)))


def _length(text: str, size: float) -> float:
    return sum(map(_advance, text)) * size
