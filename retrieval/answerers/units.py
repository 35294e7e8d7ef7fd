"""What an extractive answer is made of: sentences, table rows, and lead-ins with the list they announce."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import NamedTuple

from retrieval.base import Evidence
from retrieval.sentences import Span, Table, block_sentences, table
from tuwen.types import Block, BlockKind, PageRecord, WordSpan

_ANSWERING = frozenset(
    {
        BlockKind.TEXT,
        BlockKind.LIST,
        BlockKind.TABLE,
        BlockKind.FIGURE,
        BlockKind.CAPTION,
        BlockKind.FORMULA,
        BlockKind.SEAL,
    }
)
_FIRST = re.compile(r"：(?:一是|其一|第一|首先)")
_NEXT = re.compile(r"[二三四五六七八九]是|其[二三四五六]|第[二三四五六七八九]|其次|再次|最后")
_LEAD_CHARS = 160
"""A lead-in takes along what it announces up to this length."""


class Cell(NamedTuple):
    """A cell of a table row."""

    text: str
    """As printed."""
    words: WordSpan
    """Its words on the page."""
    column: Cell | None = None
    """The cell that names its column; None where there is none."""


class Unit(NamedTuple):
    """A stretch of one page that may answer."""

    evidence: int
    """Index of its page in the evidence."""
    order: int
    """Place among the page's units, from 0."""
    text: str
    """As printed."""
    reading: str
    """What is compared with the question: ``text``, or a table row with the names of its columns."""
    heading: str
    """Titles that it stands under."""
    words: WordSpan
    """Its words on the page."""
    cells: tuple[Cell, ...] = ()
    """Of a table row; empty ones are left out."""


class _Piece(NamedTuple):
    """A sentence or a table row."""

    block: Block
    span: Span
    """In the block's text."""
    reading: str
    words: WordSpan
    cells: tuple[Cell, ...] = ()

    @property
    def text(self) -> str:
        return self.block.text[self.span.start : self.span.end]


class _Printed(NamedTuple):
    """A block's text and the words that it is printed with."""

    text: str
    owners: list[int]
    """Index of the page's word that owns each character of the text; at white space, of the one before."""

    @classmethod
    def of(cls, block: Block, record: PageRecord) -> _Printed:
        letters = [i for i in range(*block.words) for char in record.words[i].text if not char.isspace()]
        seen = accumulate(int(not char.isspace()) for char in block.text)
        return cls(block.text, [letters[max(0, count - 1)] for count in seen])

    def words(self, span: Span) -> WordSpan:
        return WordSpan(self.owners[span.start], self.owners[span.end - 1] + 1)

    def cell(self, span: Span) -> Cell:
        return Cell(self.text[span.start : span.end], self.words(span))


def units_of(evidence: Sequence[Evidence]) -> list[Unit]:
    """The units of all pages, page by page in reading order; headings, headers and footers only of bare pages."""
    return [unit for i, item in enumerate(evidence) for unit in _page_units(i, item)]


def _page_units(index: int, item: Evidence) -> Iterator[Unit]:
    blocks = [block for block in item.record.blocks if block.kind in _ANSWERING]
    pieces = [piece for block in blocks or item.record.blocks for piece in _pieces(block, item.record)]
    headings = _headings(item)
    for order, piece in enumerate(pieces):
        announced = _announced(pieces, order)
        last = announced[-1] if announced else piece
        yield Unit(
            evidence=index,
            order=order,
            text=_wording([piece, *announced]),
            reading="\n".join(part.reading for part in (piece, *announced)),
            heading=headings[piece.block.order],
            words=WordSpan(piece.words.start, last.words.end),
            cells=piece.cells,
        )


def _wording(pieces: Sequence[_Piece]) -> str:
    block, start, end = pieces[0].block, pieces[0].span.start, pieces[-1].span.end
    return block.text[start:end] if pieces[-1].block is block else "\n".join(piece.text for piece in pieces)


def _pieces(block: Block, record: PageRecord) -> Iterator[_Piece]:
    printed = _Printed.of(block, record)
    if block.kind is not BlockKind.TABLE:
        for span in block_sentences(block):
            yield _Piece(block, span, block.text[span.start : span.end], printed.words(span))
        return
    grid = table(block)
    header = _header(grid, printed)
    # Two columns may be keys and values: their first row says as much as the others.
    skipped = 1 if len(grid.header) > 2 and len(grid.rows) > 1 and header else 0
    for i, row in enumerate(grid.rows[skipped:], skipped):
        cells = tuple(
            printed.cell(span)._replace(column=header.get(column) if i else None)
            for span, column in zip(row.cells, row.columns, strict=True)
        )
        named = [f"{cell.column.text}：{cell.text}" if cell.column else cell.text for cell in cells]
        yield _Piece(block, row.span, "；".join(named), printed.words(row.span), cells)


def _header(grid: Table, printed: _Printed) -> dict[int, Cell]:
    """The names of the columns; none of a table whose first row holds bare numbers, as one that is continued may."""
    if not grid.rows:
        return {}
    cells = [printed.cell(span) for span in grid.rows[0].cells]
    named = all(any(char.isalpha() for char in cell.text) for cell in cells)
    return dict(zip(grid.rows[0].columns, cells, strict=True)) if named else {}


def _announced(pieces: Sequence[_Piece], start: int) -> list[_Piece]:
    """What a lead-in announces: the list after its colon, the next sentence, or the rest of 一是…；二是…."""
    lead, following = pieces[start], _following(pieces, start)
    if lead.text.endswith(("：", ":")):
        if following and following[0].block.kind is BlockKind.LIST:
            following = [piece for piece in following if piece.block is following[0].block]
        else:
            following = following[:1]
    elif _FIRST.search(lead.text):
        following = list(takewhile(lambda piece: _NEXT.match(piece.text), following))
    else:
        return []
    total = len(lead.text)
    taken: list[_Piece] = []
    for piece in following:
        total += len(piece.text)
        if total > _LEAD_CHARS:
            break
        taken.append(piece)
    return taken


def _following(pieces: Sequence[_Piece], start: int) -> list[_Piece]:
    """The pieces printed right after one: up to a table or a part that gives no pieces, such as a title."""
    run = takewhile(
        lambda pair: pair[1].block.kind is not BlockKind.TABLE and pair[1].words.start <= pair[0].words.end,
        pairwise(pieces[start:]),
    )
    return [piece for _, piece in run]


def _headings(item: Evidence) -> dict[int, str]:
    """The titles above each block: those printed on the page, or what the passage that holds the block stands under."""
    spans = [
        (span.start, span.end, passage.heading_path)
        for passage in item.passages
        for span in passage.spans
        if span.page == item.record.page
    ]
    path: list[Block] = []
    headings: dict[int, str] = {}
    for block in item.record.blocks:
        if block.kind is BlockKind.TITLE:
            path = [title for title in path if title.level < block.level] + [block]
        last = path[-1].words.start if path else -1
        # A passage may begin with titles of its own; its path names only those above its beginning.
        known = next((names for start, end, names in spans if last < start <= block.words.start < end), ())
        headings[block.order] = " ".join(known or (title.text for title in path))
    return headings
