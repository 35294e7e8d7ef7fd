"""Small pages for the tests of text layer and layout: drawn, or put together from words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymupdf

from ingest.base import TextLine, word_spans
from ingest.pages import Page
from tuwen.types import Block, BlockKind, Box, PageRecord, Source, Word, WordSpan, fold_space

SAMPLES = Path(__file__).parents[2] / "evals" / "samples" / "documents"
WIDTH, HEIGHT = 595, 842


@contextmanager
def blank_page(rotation: int = 0) -> Iterator[pymupdf.Page]:
    """An A4 page to draw on."""
    with pymupdf.open() as document:
        page = document.new_page(width=WIDTH, height=HEIGHT)
        page.set_rotation(rotation)
        yield page


def write(page: pymupdf.Page, x: float, y: float, text: str, size: float = 10, rotate: int = 0) -> None:
    """Write with the baseline at ``y``, in points from the top left."""
    font = "helv" if text.isascii() else "china-s"
    page.insert_text((x, y), text, fontname=font, fontsize=size, rotate=rotate)


def opened(page: pymupdf.Page) -> Page:
    """The page as readers see it."""
    return Page(page, page.number + 1)


def line(text: str, x: float, y: float, size: float = 10, source: Source = Source.OCR, bold: bool = False) -> TextLine:
    """A line of equally wide characters, its top left at ``(x, y)`` points of an A4 page."""
    spans = word_spans(text)
    words = tuple(
        Word(
            text=text[a:b],
            box=Box((x + a * size) / WIDTH, y / HEIGHT, (x + b * size) / WIDTH, (y + size) / HEIGHT).clamped(),
        )
        for a, b in spans
    )
    spaces = tuple(a > 0 and text[a - 1] == " " for a, _ in spans)
    confidence = 0.9 if source is Source.OCR else None
    return TextLine(words, spaces, Box.union(w.box for w in words), source, confidence, size, bold)


def record(page: int, blocks: Sequence[tuple[BlockKind, str]], *, is_contents: bool = False) -> PageRecord:
    """A page whose blocks say this, top to bottom; a table's rows are lines, its cells parted by one space."""
    words: list[Word] = []
    made: list[Block] = []
    for order, (kind, text) in enumerate(blocks):
        start = len(words)
        y = (order + 1) / (len(blocks) + 2)
        words += [Word(text=text[a:b], box=Box(0.1, y, 0.9, y + 0.01), line=order) for a, b in word_spans(text)]
        rows = [row.split(" ") for row in text.split("\n")]
        markdown = "\n".join("| " + " | ".join(row) + " |" for row in rows)
        if kind is BlockKind.TABLE:
            markdown = markdown.replace("\n", "\n|" + " --- |" * len(rows[0]) + "\n", 1)
        made.append(
            Block(
                kind=kind,
                order=order,
                box=Box(0.1, y, 0.9, y + 0.01),
                text=text,
                markdown=markdown,
                level=2 if kind is BlockKind.TITLE else 0,
                words=WordSpan(start, len(words)),
            )
        )
    return PageRecord(
        page=page, width=WIDTH, height=HEIGHT, blocks=tuple(made), words=tuple(words), is_contents=is_contents
    )


def check(lines: Sequence[TextLine], words: Sequence[Word], blocks: Sequence[Block]) -> None:
    """The invariants of :class:`tuwen.types.Block`: nothing lost, nothing twice, texts made of their words."""
    assert [block.order for block in blocks] == list(range(len(blocks)))
    ends = [0, *(block.words.end for block in blocks)]
    assert [block.words.start for block in blocks] == ends[:-1]
    assert ends[-1] == len(words) == sum(len(each.words) for each in lines)
    for block in blocks:
        assert fold_space(block.text) == "".join(word.text for word in words[slice(*block.words)])
    numbers = [word.line for word in words]
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    of_block = {word.line: n for n, block in enumerate(blocks) for word in words[slice(*block.words)]}
    assert all(of_block[word.line] == n for n, block in enumerate(blocks) for word in words[slice(*block.words)])
