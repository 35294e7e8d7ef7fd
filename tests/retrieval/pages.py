"""Small typeset pages for tests: text in, page records with words, lines and boxes out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ingest.base import word_spans
from retrieval.base import Evidence
from tuwen.types import Block, BlockKind, Box, PageRecord, Verdict, Word, WordSpan

COLUMNS = 30
"""Characters a printed line."""


def page_of(
    *texts: str | tuple[BlockKind, str], page: int = 1, verdict: Verdict | None = None, rows: int = 60
) -> PageRecord:
    """A page with one block a text, set in lines of :data:`COLUMNS` characters."""
    words: list[Word] = []
    blocks: list[Block] = []
    line = -1
    for item in texts:
        kind, text = item if isinstance(item, tuple) else (BlockKind.TEXT, item)
        first, first_line, column = len(words), line + 1, 0
        line += 1
        previous = 0
        for start, end in word_spans(text):
            if column + end - start > COLUMNS or "\n" in text[previous:start]:
                line, column = line + 1, 0
            box = Box(column / COLUMNS, line / rows, (column + end - start) / COLUMNS, (line + 1) / rows)
            words.append(Word(text=text[start:end], box=box.clamped(), line=line))
            column, previous = column + end - start, end
        span = WordSpan(first, len(words))
        box = Box(0, first_line / rows, 1, (line + 1) / rows).clamped()
        blocks.append(Block(kind=kind, order=len(blocks), box=box, text=text, words=span, level=kind == "title"))
    return PageRecord(
        page=page, width=595, height=842, blocks=tuple(blocks), words=tuple(words), verdict=verdict or Verdict()
    )


def evidence_of(record: PageRecord, *, document: str = "d1", score: float = 1.0) -> Evidence:
    """The page as evidence, without passages."""
    return Evidence(document, f"{document}.pdf", record, (), score, {"dense": 0.9, "sparse": 10.0 * score})


def words_in(record: PageRecord, boxes: Sequence[Box]) -> str:
    """The words whose centre lies in one of ``boxes``, as one string: what a reader of the highlight sees."""
    return "".join(word.text for word in record.words if any(box.contains_point(*word.box.center) for box in boxes))


def is_consecutive(indices: Sequence[int]) -> bool:
    """Whether the indices are a run."""
    return all(b == a + 1 for a, b in pairwise(indices))
