"""Printed tables of contents, lists of figures and indexes.

They repeat the words of the pages that they point to, so search has to know them. What marks them:
rows that end in a page number, these numbers right-aligned and ascending (or, in an index,
alphabetical entries), often led to by dots, often below a heading that says so. A data table has
numbers too, but they neither ascend over the page nor stand alone in their row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from ingest.prose import has_leaders
from tuwen.types import Block, BlockKind, Box, Word, is_cjk

_HEADING = re.compile(
    r"(?:总|總|简|簡|详细|詳細|本章|章节|章節|插图|插圖|图|圖|表格?|图表|圖表|附图|附表|公式|算法|代码|代碼)?"
    r"(?:目录|目錄|目次|索引|清单|清單)"
    r"|(?:tableof)?contents|listof(?:figures|tables|listings|algorithms)|(?:subject|general|author)?index",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?P<leaders>[.·…⋯．・\-_]*)(?P<number>\d{1,4}|[ivxlc]{1,7})(?P<after>[)）\]]?)", re.IGNORECASE)
_INDEX_ENTRY = re.compile(
    r".*[^\d\s].*?[,，、\s.…·](?:\d{1,4}(?:\s*[-–]\s*\d{1,4})?)(?:\s*[,，、]\s*\d{1,4}(?:\s*[-–]\s*\d{1,4})?)*"
)
_SECTION = re.compile(
    r"(?:第.{1,4}[章节節部篇]|[§A-Z]?\d+(?:\.\d+)+|\d+\s|附[录錄]|[图圖表]\s*\d|[一二三四五六七八九十]+、)"
)
_NUMBERED = re.compile(r"[\s.·…](?:\d{1,4}|[ivxl]{1,7})$")
_EDGE = 0.012
"""Share of the page's width within which right edges are aligned."""
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


class _Row(NamedTuple):
    """A printed row of one column."""

    text: str
    box: Box
    number: int | None
    """The page number that it ends in."""
    leaders: bool


def is_contents(blocks: Sequence[Block], words: Sequence[Word]) -> bool:
    """Whether these blocks are contents, a list of figures or an index, and little else.

    A page on which the contents end and the text begins is none; ask for its blocks one by one.

    Args:
        blocks: of one page, in reading order: all, or some.
        words: all words of that page.
    """
    body = [b for b in blocks if b.kind not in (BlockKind.HEADER, BlockKind.FOOTER) and b.text]
    headed = any(is_contents_heading(b) for b in blocks[:8] if b.kind is not BlockKind.FOOTER)
    body = [b for b in body if not is_contents_heading(b)]
    rows = [row for column in _columns([w for b in body for w in words[b.words.start : b.words.end]]) for row in column]
    if len(rows) < 3 or _begins_text(body):
        return False
    return _is_listing(rows, headed) or _is_index(rows, headed)


def is_contents_heading(block: Block) -> bool:
    """Whether the block says that contents, a list or an index follow."""
    return len(block.text) < 40 and bool(_HEADING.fullmatch(re.sub(r"[\s—–·:：\-\d]|[.．]", "", block.text)))


def _begins_text(blocks: Sequence[Block]) -> bool:
    """Whether a heading stands here with running text below it."""
    return any(
        title.kind is BlockKind.TITLE
        and text.kind is BlockKind.TEXT
        and _is_prose(text)
        and not _NUMBERED.search(title.text)
        for title, text in pairwise(blocks)
    )


def _is_prose(block: Block) -> bool:
    rows = block.text.split("\n")
    return _letters(block.text) >= 20 and not any(has_leaders(row) or _NUMBERED.search(row) for row in rows)


def _is_listing(rows: Sequence[_Row], headed: bool) -> bool:
    """Contents: rows that lead to page numbers, which ascend."""
    entries = _aligned([row for row in rows if row.number is not None and _has_words(row.text)])
    if len(entries) < (3 if headed else 5):
        return False
    pairs = [(a.number or 0, b.number or 0) for a, b in pairwise(entries)]
    ascending = sum(a <= b for a, b in pairs) / len(pairs)
    share = _share(rows, [row for row in rows if row.leaders or row in entries])
    led = sum(row.leaders for row in rows) / len(rows)
    sections = sum(bool(_SECTION.match(row.text)) for row in entries) / len(entries)
    if led > 0.4:
        return share > 0.7 and ascending > 0.6
    if headed:
        return share > 0.6 and ascending > 0.7
    return share > 0.8 and ascending > 0.9 and sections > 0.5 and len({row.number for row in entries}) > 2


def _is_index(rows: Sequence[_Row], headed: bool) -> bool:
    """An index: short rows that end in page numbers, in alphabetical order."""
    entries = [row for row in rows if _INDEX_ENTRY.fullmatch(row.text) and _has_words(row.text)]
    if len(entries) < 8 or median(len(row.text) for row in rows) > 60:
        return False
    share = len(entries) / len(rows)
    if headed:
        return share > 0.5
    firsts = [row.text.lstrip("\\-–•·“\"'").lower()[:1] for row in entries]
    ordered = sum(a <= b for a, b in pairwise(firsts)) / (len(firsts) - 1)
    several = sum(bool(re.search(r"\d\s*[,，、]\s*\d", row.text)) for row in entries)
    return len(entries) > 20 and share > 0.75 and ordered > 0.9 and len(set(firsts)) > 1 and several > 2


def _share(rows: Sequence[_Row], some: Sequence[_Row]) -> float:
    """Share of the letters of ``rows`` that stand in ``some`` of them."""
    return sum(_letters(row.text) for row in some) / max(1, sum(_letters(row.text) for row in rows))


def _letters(text: str) -> int:
    return sum(char.isalnum() for char in text)


def _has_words(text: str) -> bool:
    return sum(char.isalpha() or is_cjk(char) for char in text) >= 2


def _aligned(rows: Sequence[_Row]) -> list[_Row]:
    """Rows whose right edge many others share, a column at a time, from the top."""
    clusters: list[list[_Row]] = []
    for row in sorted(rows, key=lambda row: row.box.x1):
        if clusters and row.box.x1 - clusters[-1][-1].box.x1 < _EDGE:
            clusters[-1].append(row)
        else:
            clusters.append([row])
    return [row for cluster in clusters if len(cluster) > 2 for row in sorted(cluster, key=lambda row: row.box.y0)]


def _columns(words: Sequence[Word]) -> list[list[_Row]]:
    """Rows of the text, column by column: cut at a gutter that no word crosses and that lies near the middle."""
    if not words:
        return []
    for gutter in (0.5, 0.48, 0.52, 0.46, 0.54):
        left = [w for w in words if w.box.x1 <= gutter]
        right = [w for w in words if w.box.x0 >= gutter]
        if len(left) + len(right) == len(words) and min(len(left), len(right)) > 0.25 * len(words):
            halves = [_rows(left), _rows(right)]
            if all(2 * sum(row.number is not None for row in half) >= len(half) for half in halves):
                return halves
    return [_rows(words)]


def _rows(words: Iterable[Word]) -> list[_Row]:
    groups: list[list[Word]] = []
    for word in sorted(words, key=lambda word: word.box.center[1]):
        last = groups[-1] if groups else None
        if last and word.box.center[1] - last[0].box.center[1] < 0.6 * max(last[0].box.height, 0.004):
            last.append(word)
        else:
            groups.append([word])
    return [_row(sorted(group, key=lambda word: word.box.x0)) for group in groups]


def _row(words: Sequence[Word]) -> _Row:
    text = words[0].text
    for a, b in pairwise(words):
        text += (" " if b.box.x0 - a.box.x1 > 0.004 else "") + b.text
    found = _NUMBER.fullmatch(words[-1].text)
    leaders = has_leaders(text)
    number = None
    if found and (len(words) > 1 or found["leaders"]):
        number = _value(found["number"])
    return _Row(text, Box.union(word.box for word in words), number, leaders)


def _value(number: str) -> int:
    """A page number as an integer; front matter (roman) comes before all others."""
    if number.isdigit():
        return int(number)
    digits = [_ROMAN[char] for char in number.lower()]
    return sum(-a if a < b else a for a, b in pairwise([*digits, 0])) - 1000
