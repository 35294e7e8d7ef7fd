"""From lines to blocks: what each part of a page is, in reading order, as clean text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ingest.base import OpenPage, TextLine
from ingest.figures import paint, with_figures
from ingest.headings import heading_level
from ingest.order import reading_order
from ingest.prose import Page, Row, joined, listed, paragraphs, rows_of
from ingest.refine import refined
from ingest.regions import Region, find_regions, is_digital
from ingest.rules import RuleFinder
from ingest.tables import read_table
from tuwen.types import Block, BlockKind, Box, Source, Word, WordSpan

_BULLET = re.compile(r"[•‣◦▪●○■□◆◇➢➤✓·∙*–—-](?!\d)\s*")
_MARKER = re.compile(
    r"(?:[•‣◦▪●○■□◆◇➢➤✓·∙*–—-](?!\d)|[（(]?[\da-zA-Z]{1,2}[.)）、．]|[①-⑳]|[（(][一二三四五六七八九十]+[）)])"
)


class _Content(NamedTuple):
    """A block's words in order, and how they read."""

    words: list[Word]
    text: str
    markdown: str = ""


def arrange(page: OpenPage, lines: Sequence[TextLine]) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    """Blocks in reading order, and the words that they own, in that order.

    Every line goes into exactly one block, nothing is lost, and the non-space characters of a
    block's text are those of its words. ``Word.line`` is unique for each printed row of a block.
    """
    lines = _numbered(lines)
    size = Page(page.width, page.height)
    body = _body_size(lines)
    regions = [part for region in find_regions(page, lines) for part in refined(region, lines, size, body)]
    regions = with_figures(regions, lines, size, paint(page) if is_digital(lines) else ())
    regions = _with_whole_lists(_ordered(regions, lines, size))
    rules = RuleFinder(page, digital=is_digital(lines))
    words: list[Word] = []
    blocks: list[Block] = []
    for region in regions:
        kind, content = _content(region, lines, size, rules, body)
        span = WordSpan(len(words), len(words) + len(content.words))
        words.extend(content.words)
        blocks.append(_block(kind, region, content, span, lines, len(blocks), body))
    return _renumbered(words), tuple(blocks)


def _numbered(lines: Sequence[TextLine]) -> list[TextLine]:
    """Lines that have words, each with a line number of its own."""
    return [
        line._replace(words=tuple(word.model_copy(update={"line": n}) for word in line.words))
        for n, line in enumerate(line for line in lines if line.words)
    ]


def _renumbered(words: Sequence[Word]) -> tuple[Word, ...]:
    """The words with line numbers that count up in reading order."""
    numbers: dict[int, int] = {}
    return tuple(word.model_copy(update={"line": numbers.setdefault(word.line, len(numbers))}) for word in words)


def _body_size(lines: Sequence[TextLine]) -> float:
    """Font size in points of running text: the median over words."""
    sizes = sorted(line.size for line in lines for _ in line.words)
    return sizes[len(sizes) // 2] if sizes else 0.0


def _ordered(regions: Sequence[Region], lines: Sequence[TextLine], page: Page) -> list[Region]:
    """Headers, then the body in reading order, then footers."""

    def edge(kind: BlockKind) -> list[Region]:
        return sorted((r for r in regions if r.kind is kind), key=lambda r: (round(r.box.y0, 2), r.box.x0))

    body = [r for r in regions if r.kind not in (BlockKind.HEADER, BlockKind.FOOTER)]
    rows = [len(rows_of((lines[i] for i in r.lines), page)) for r in body]
    order = reading_order([r.box for r in body], rows)
    return [*edge(BlockKind.HEADER), *(body[i] for i in order), *edge(BlockKind.FOOTER)]


def _with_whole_lists(regions: Sequence[Region]) -> list[Region]:
    """Join list items that follow each other, and the indented paragraphs between them, into one list."""
    joined_regions: list[Region] = []
    for n, region in enumerate(regions):
        last = joined_regions[-1] if joined_regions else None
        if last and last.kind is BlockKind.LIST and _goes_on(last, region, regions[n + 1 : n + 2]):
            box = Box.union((last.box, region.box))
            parts = (*(last.parts or (last.lines,)), region.lines)
            joined_regions[-1] = last._replace(box=box, lines=(*last.lines, *region.lines), parts=parts)
        else:
            joined_regions.append(region)
    return joined_regions


def _goes_on(items: Region, region: Region, after: Sequence[Region]) -> bool:
    """Whether ``region`` is the next item of the list above it, or a paragraph inside an item."""
    if region.box.y0 < items.box.y1 - 0.02 or region.box.x0 > items.box.x1:
        return False
    if region.kind is BlockKind.LIST:
        return True
    inside = region.kind is BlockKind.TEXT and region.box.x0 > items.box.x0 + 0.008
    return inside and any(r.kind is BlockKind.LIST and abs(r.box.x0 - items.box.x0) < 0.01 for r in after)


def _content(
    region: Region, lines: Sequence[TextLine], page: Page, rules: RuleFinder, body: float
) -> tuple[BlockKind, _Content]:
    members = [lines[i] for i in region.lines]
    kind = region.kind
    if kind is BlockKind.TABLE:
        table = read_table(region.box, members, region.grid, rules.within(region.box), page)
        if table:
            return kind, _Content(table.words, table.text, table.markdown)
        kind = BlockKind.TEXT
    if kind is BlockKind.LIST:
        return kind, _list(region, lines, page)
    rows = rows_of(members, page)
    if kind in (BlockKind.TITLE, BlockKind.CAPTION):
        words, text = joined(rows)
        size = max(row.size for row in rows)
        marks = "#" * heading_level(text, size, body) + " " if kind is BlockKind.TITLE else ""
        return kind, _Content(words, text, marks + text)
    words, text = listed(rows) if kind is BlockKind.FIGURE else paragraphs(rows)
    return kind, _Content(words, text, text)


def _list(region: Region, lines: Sequence[TextLine], page: Page) -> _Content:
    words: list[Word] = []
    items: list[str] = []
    for part in region.parts or (region.lines,):
        for item in _items(rows_of((lines[i] for i in part), page)):
            item_words, text = paragraphs(item)
            words.extend(item_words)
            items.append(text)
    return _Content(words, "\n".join(items), "\n".join(markdown_item(item) for item in items))


def _items(rows: Sequence[Row]) -> list[list[Row]]:
    """Cut the rows of a list where a row starts with a bullet or a number."""
    items: list[list[Row]] = []
    left = min((row.box.x0 for row in rows), default=0.0)
    for row in rows:
        starts = _MARKER.match(row.text) and row.box.x0 < left + 3 * row.size
        if starts or not items:
            items.append([row])
        else:
            items[-1].append(row)
    return items


def markdown_item(item: str) -> str:
    """A list item, printed bullet or number included, as one of a Markdown list."""
    found = _BULLET.match(item)
    if found:
        return "- " + item[found.end() :].replace("\n", "\n  ")
    return item if _MARKER.match(item) else "  " + item.replace("\n", "\n  ")


def _block(
    kind: BlockKind,
    region: Region,
    content: _Content,
    span: WordSpan,
    lines: Sequence[TextLine],
    order: int,
    body: float,
) -> Block:
    members = [lines[i] for i in region.lines]
    scores = [(line.confidence, len(line.words)) for line in members if line.confidence is not None]
    weight = sum(n for _, n in scores)
    digital = sum(line.source is Source.TEXT_LAYER for line in members)
    level = heading_level(content.text, max(line.size for line in members), body) if kind is BlockKind.TITLE else 0
    return Block(
        kind=kind,
        order=order,
        box=Box.union([region.box, *(line.box for line in members)]).clamped(),
        text=content.text,
        markdown=content.markdown,
        source=Source.TEXT_LAYER if 2 * digital >= len(members) else Source.OCR,
        confidence=round(sum(score * n for score, n in scores) / weight, 4) if weight else None,
        level=level,
        words=span,
    )
