"""Words and lines from a PDF's text layer.

Built on MuPDF's structured text (``Page.get_text("rawdict")``), which groups glyphs into lines in
their own writing direction and expands ligatures. What it leaves to do: spaces that Chinese
typesetting implies or fakes, overprinted (fake-bold) glyphs, characters that print nothing, and
code points that PDFs map to look-alike radicals.
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ingest.base import Ink, OpenPage, TextLine, word_spans
from tuwen.types import Box, Source, Word, is_cjk

# Distances in units of the font size (em).
_SPLIT_GAP = 1.6
"""A wider gap parts one line into two: columns, or cells of a table."""
_CJK_SPACE_GAP = 0.6
"""Justified Chinese is stretched, and set apart from Latin by about 0.25: only a wider gap is a space."""
_REAL_SPACE_GAP = 0.12
"""A space character between Chinese characters that moves nothing is an artefact of the producer."""
_OVERPRINT = 0.07
"""Equal glyphs nearer than this are one, printed twice to look bold; the narrowest letters are 0.18 wide."""

_FILLED_OR_STROKED = 16 | 32
"""MuPDF's flags of a character; text of render mode 3 has neither."""
_LEAST_ALPHA = 16
"""Of 255; less is not seen."""

_HEITI = re.compile(r"(?<!Ya)Hei(?!.*(?:Light|Thin))|黑体|黑體")
"""Chinese type has no bold cut of its own: headings are set in Heiti where the text is in Songti."""

# CJK Radicals Supplement (U+2E80..) characters that stand for an ordinary character, after Unicode's
# EquivalentUnifiedIdeograph.txt; NFKC knows the Kangxi radicals (U+2F00..) but only two of these.
_RADICALS = dict(
    zip(
        "⺀⺁⺄⺆⺈⺊⺌⺎⺒⺓⺛⺜⺝⺟⺠⺣⺦⺧⺩⺪⺬⺮⺳⺶⺷⺼⻁⻄⻅⻆⻉⻋⻑⻒⻓⻔⻗⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳",
        "冫厂乙冂刀卜小兀巳幺旡日月母民灬丬牛王疋示竹网羊羊肉虎西见角贝车長長长门雨青韦页风飞食马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟",
        strict=True,
    )
)


class _Glyph(NamedTuple):
    """One printed character; ``start`` and ``end`` are positions along the line's direction, in points."""

    text: str
    rect: tuple[float, float, float, float]
    start: float
    end: float
    size: float
    bold: bool
    spaced: bool
    """A space character, real or implied by MuPDF, stands before it."""
    implied: bool
    """That space was implied by a gap."""
    ink: Ink


def read_lines(page: OpenPage) -> tuple[TextLine, ...]:
    """Lines of the text layer, in the order of the file (layout orders them).

    Boxes are fractions of the displayed page. Text of any direction is read in its own direction;
    text that lies outside the page is left out. Text printed invisibly is included: whether to
    trust it is the business of :mod:`ingest.trust`.
    """
    import pymupdf

    flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_COLLECT_STYLES
    raw = page.pdf_page.get_text("rawdict", flags=flags)
    to_box = _Transform(page)
    seen, orders = _Overprints(), _paint_orders(page)
    lines = (line for block in raw["blocks"] for line in block.get("lines", ()))
    parts = (part for line in lines for part in _parts(list(_glyphs(line, seen, orders))))
    return tuple(made for part in parts if (made := _text_line(part, to_box)))


def letters_outside(page: OpenPage) -> int:
    """Number of letters and digits that the page's text layer has beyond its edges, where nobody sees them."""
    count = 0
    for span in page.pdf_page.get_texttrace():
        if _is_inside(span["bbox"], page):
            continue
        for code, _, _, (x0, y0, x1, y1) in span["chars"]:
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            count += not _is_inside((x, y, x, y), page) and 0 < code < sys.maxunicode and chr(code).isalnum()
    return count


def _is_inside(box: tuple[float, float, float, float], page: OpenPage) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= page.width and box[3] <= page.height


def _paint_orders(page: OpenPage) -> dict[tuple[int, int], int]:
    """The last paint operation that draws a glyph at an origin, in tenths of a point."""
    orders: dict[tuple[int, int], int] = {}
    for span in page.pdf_page.get_texttrace():
        for _, _, origin, _ in span["chars"]:
            place = _tenths(origin)
            orders[place] = max(orders.get(place, 0), span["seqno"])
    return orders


def _tenths(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * 10), round(point[1] * 10)


class _Transform:
    """From text coordinates to fractions of the displayed page."""

    def __init__(self, page: OpenPage) -> None:
        self.matrix = tuple(page.pdf_page.rotation_matrix)
        self.width, self.height = page.width, page.height

    def __call__(self, rects: Iterable[tuple[float, float, float, float]]) -> Box:
        a, b, c, d, e, f = self.matrix
        xs0, ys0, xs1, ys1 = zip(*rects, strict=True)
        corners = [(x, y) for x in (min(xs0), max(xs1)) for y in (min(ys0), max(ys1))]
        xs = [(a * x + c * y + e) / self.width for x, y in corners]
        ys = [(b * x + d * y + f) / self.height for x, y in corners]
        return Box(min(xs), min(ys), max(xs), max(ys))


class _Overprints:
    """Remembers where each character stands, to know a second copy on the same spot."""

    def __init__(self) -> None:
        self._cells: set[tuple[str, int, int]] = set()

    def is_copy(self, char: str, x: float, y: float, size: float) -> bool:
        step = max(size * _OVERPRINT, 0.05)
        column, row = round(x / step), round(y / step)
        near = any((char, column + i, row + j) in self._cells for i in (-1, 0, 1) for j in (-1, 0, 1))
        self._cells.add((char, column, row))
        return near


def _glyphs(line: Mapping[str, Any], seen: _Overprints, orders: Mapping[tuple[int, int], int]) -> Iterator[_Glyph]:
    dx, dy = line["dir"]
    spaced = implied = False
    for span in line["spans"]:
        size, bold = span["size"], bool(span["flags"] & 16 or span["char_flags"] & 8 or _HEITI.search(span["font"]))
        painted = bool(span["char_flags"] & _FILLED_OR_STROKED and span["alpha"] >= _LEAST_ALPHA)
        color = (span["color"] >> 16 & 255, span["color"] >> 8 & 255, span["color"] & 255)
        ink = Ink(span["font"], color, painted, 0)
        for char in span["chars"]:
            text = clean(char["c"])
            if text == " ":
                implied = char["synthetic"] if not spaced else implied and char["synthetic"]
                spaced = True
                continue
            x0, y0, x1, y1 = rect = char["bbox"]
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            if not text or seen.is_copy(text, x, y, size):
                continue
            along = x * dx + y * dy
            half = ((x1 - x0) * abs(dx) + (y1 - y0) * abs(dy)) / 2
            # What MuPDF cannot place counts as painted last: nothing covers it for certain.
            ordered = ink._replace(order=orders.get(_tenths(char["origin"]), sys.maxsize))
            yield _Glyph(text, rect, along - half, along + half, size, bold, spaced, implied, ordered)
            spaced = implied = False


def clean(char: str) -> str:
    """What ``char`` prints: itself, a plain space, an ordinary character for a radical, or nothing."""
    code = ord(char)
    if 0x20 < code < 0x7F or 0x4E00 <= code <= 0x9FFF:
        return char
    if 0x2E80 <= code <= 0x2FDF:
        return _RADICALS.get(char) or unicodedata.normalize("NFKC", char)
    category = unicodedata.category(char)
    if category[0] == "Z" or char in "\t\n\r":
        return " "
    return "" if category in ("Cc", "Cf", "Cs") else char


def _parts(glyphs: list[_Glyph]) -> Iterator[list[_Glyph]]:
    """Cut a line where a gap is too wide for one line of prose."""
    start = 0
    for i in range(1, len(glyphs)):
        left, right = glyphs[i - 1], glyphs[i]
        if abs(right.start - left.end) > _SPLIT_GAP * max(left.size, right.size) and not _is_leader(glyphs, i):
            yield glyphs[start:i]
            start = i
    if glyphs:
        yield glyphs[start:]


def _is_leader(glyphs: Sequence[_Glyph], i: int) -> bool:
    """Whether the gap before glyph ``i`` lies within a row of dots, as contents pages have them."""
    return glyphs[i - 1].text in ".·…" and glyphs[i].text in ".·…"


def _text_line(glyphs: Sequence[_Glyph], to_box: _Transform) -> TextLine | None:
    text, owners = "", []
    for i, glyph in enumerate(glyphs):
        if i and _has_space(glyphs[i - 1], glyph):
            text += " "
            owners.append(i)
        text += glyph.text
        owners.extend([i] * len(glyph.text))
    words, spaces, inks = [], [], []
    for start, end in word_spans(text):
        box = to_box(glyphs[i].rect for i in owners[start:end])
        x, y = box.center
        if math.isfinite(x + y) and 0 <= x <= 1 and 0 <= y <= 1:
            words.append(Word(text=text[start:end], box=box.clamped()))
            spaces.append(bool(words[1:]) and text[start - 1] == " ")
            inks.append(glyphs[owners[start]].ink)
    if not words:
        return None
    size, _ = Counter(round(glyph.size, 1) for glyph in glyphs).most_common(1)[0]
    bold = 2 * sum(glyph.bold for glyph in glyphs) > len(glyphs)
    box = Box.union(word.box for word in words)
    return TextLine(tuple(words), tuple(spaces), box, Source.TEXT_LAYER, None, size, bold, tuple(inks))


def _has_space(left: _Glyph, right: _Glyph) -> bool:
    gap = (right.start - left.end) / max(left.size, right.size, 0.1)
    if gap > _CJK_SPACE_GAP:
        return True
    if not right.spaced:
        return False
    cjk = is_cjk(left.text[-1]) + is_cjk(right.text[0])
    if cjk == 0:
        return True
    return not right.implied and gap > _REAL_SPACE_GAP if cjk == 1 else not right.implied and gap > 2 * _REAL_SPACE_GAP
