"""Plain readings made up for tests: lines of characters on a grid, and the picture that shows them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ingest.base import RGB, word_spans
from tuwen.types import Block, BlockKind, Box, PageRecord, Source, Word, WordSpan

CHARACTER, LEADING, LEFT, TOP = 0.02, 0.02, 0.1, 0.05
WIDTH, HEIGHT = 595.0, 842.0
PIXELS = 1000


class Plain(NamedTuple):
    """A block to be: its lines are printed below each other."""

    text: str
    kind: BlockKind = BlockKind.TEXT
    level: int = 0


def page(*blocks: Plain | str, source: Source = Source.OCR, confidence: float | None = 0.95) -> PageRecord:
    """A page of blocks below each other, each line of a text (parted by newlines) on a printed line of its own."""
    words: list[Word] = []
    made: list[Block] = []
    line = 0
    for block in blocks:
        block = block if isinstance(block, Plain) else Plain(block)
        start = len(words)
        for text in block.text.split("\n"):
            y = TOP + line * LEADING
            for a, b in word_spans(text):
                box = Box(LEFT + a * CHARACTER, y, LEFT + b * CHARACTER, y + 0.014).clamped()
                words.append(Word(text=text[a:b], box=box, line=line))
            line += 1
        own = words[start:]
        box = Box.union(word.box for word in own) if own else Box(0.1, 0.8, 0.5, 0.9)
        span = WordSpan(start, len(words))
        made.append(
            Block(
                kind=block.kind,
                order=len(made),
                box=box,
                text=block.text,
                source=source,
                words=span,
                level=block.level,
                confidence=confidence if source is Source.OCR else None,
            )
        )
    return PageRecord(page=1, width=WIDTH, height=HEIGHT, blocks=tuple(made), words=tuple(words))


def picture(record: PageRecord, more: Sequence[Box] = ()) -> RGB:
    """Black where words (and ``more``) stand, as if every character were a solid square."""
    image = np.full((PIXELS, round(PIXELS * WIDTH / HEIGHT), 3), 255, np.uint8)
    for box in (*(word.box for word in record.words), *more):
        y0, y1 = round(box.y0 * image.shape[0]), round(box.y1 * image.shape[0])
        x0, x1 = round(box.x0 * image.shape[1]), round(box.x1 * image.shape[1])
        image[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = 0
    return image


def check(record: PageRecord) -> None:
    """The invariants of a page record."""
    place = 0
    for order, block in enumerate(record.blocks):
        assert block.order == order
        assert block.words.start == place
        place = block.words.end
        own = record.words[block.words.start : block.words.end]
        assert "".join(block.text.split()) == "".join(word.text for word in own)
        assert all(0 <= x <= 1 for x in block.box)
        if own and block.kind is not BlockKind.FIGURE:
            assert block.box == Box.union(word.box for word in own).clamped()
    assert place == len(record.words)
    lines: dict[int, int] = {}
    for block in record.blocks:
        for word in record.words[block.words.start : block.words.end]:
            assert lines.setdefault(word.line, block.order) == block.order
            assert 0 <= word.box.x0 <= word.box.x1 <= 1
            assert 0 <= word.box.y0 <= word.box.y1 <= 1
            assert word.text
            assert len(word_spans(word.text)) == 1
