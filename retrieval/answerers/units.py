"""What an extractive answer is made of: sentences, table rows, and lead-ins with the list they announce."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

from retrieval.base import Evidence
from retrieval.sentences import Span, block_sentences, table
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


class _Piece(NamedTuple):
    block: Block
    span: Span
    reading: str

    @property
    def text(self) -> str:
        return self.block.text[self.span.start : self.span.end]


def units_of(evidence: Sequence[Evidence]) -> list[Unit]:
    """The units of all pages, page by page in reading order; headings, headers and footers only of bare pages."""
    return [unit for i, item in enumerate(evidence) for unit in _page_units(i, item)]


def _page_units(index: int, item: Evidence) -> Iterator[Unit]:
    blocks = [block for block in item.record.blocks if block.kind in _ANSWERING]
    pieces = [piece for block in blocks or item.record.blocks for piece in _pieces(block)]
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
            words=WordSpan(
                _word_at(item.record, piece, piece.span.start), _word_at(item.record, last, last.span.end - 1) + 1
            ),
        )


def _wording(pieces: Sequence[_Piece]) -> str:
    block, start, end = pieces[0].block, pieces[0].span.start, pieces[-1].span.end
    return block.text[start:end] if pieces[-1].block is block else "\n".join(piece.text for piece in pieces)


def _pieces(block: Block) -> Iterator[_Piece]:
    if block.kind is not BlockKind.TABLE:
        for span in block_sentences(block):
            yield _Piece(block, span, block.text[span.start : span.end])
        return
    grid = table(block)
    # Two columns may be keys and values: their first row says as much as the others.
    skipped = 1 if len(grid.header) > 2 and len(grid.rows) > 1 else 0
    for i, row in enumerate(grid.rows[skipped:], skipped):
        cells = [block.text[cell.start : cell.end] for cell in row.cells]
        named = [f"{grid.header[c]}：{cell}" if i else cell for c, cell in zip(row.columns, cells, strict=True)]
        yield _Piece(block, row.span, "；".join(named))


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
    run = takewhile(lambda pair: pair[1].block.kind is not BlockKind.TABLE and _adjoin(*pair), pairwise(pieces[start:]))
    return [piece for _, piece in run]


def _adjoin(before: _Piece, after: _Piece) -> bool:
    return after.block is before.block or after.block.words.start == before.block.words.end


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


def _word_at(record: PageRecord, piece: _Piece, offset: int) -> int:
    """Index of the word that owns the character at ``offset`` of the piece's block."""
    seen = sum(not char.isspace() for char in piece.block.text[:offset])
    for i in range(piece.block.words.start, piece.block.words.end):
        seen -= len(record.words[i].text)
        if seen < 0:
            return i
    return max(piece.block.words.start, piece.block.words.end - 1)
