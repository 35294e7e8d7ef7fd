"""A page's words as single characters with a place, and back: what two readings are compared and joined by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import accumulate, pairwise
from typing import NamedTuple

from ingest.base import word_spans
from tuwen.types import Block, Box, Word, is_cjk


class Glyph(NamedTuple):
    """One character that is no white space, and where it is printed."""

    char: str
    box: Box
    line: int
    """The printed line, as :attr:`tuwen.types.Word.line`."""
    space: str = ""
    """White space before it: nothing, a blank or a newline."""


class PlainReading(NamedTuple):
    """The characters of blocks, in reading order."""

    glyphs: tuple[Glyph, ...]
    owners: tuple[Block, ...]
    """The block of each character."""

    @classmethod
    def of(cls, blocks: Iterable[Block], words: Sequence[Word]) -> PlainReading:
        """Of some blocks of a page that has these words."""
        glyphs: list[Glyph] = []
        owners: list[Block] = []
        for block in blocks:
            own = list(_glyphs(block, words))
            glyphs.extend(own)
            owners.extend([block] * len(own))
        return cls(tuple(glyphs), tuple(owners))

    @property
    def chars(self) -> str:
        """The characters without white space."""
        return "".join(glyph.char for glyph in self.glyphs)


def _glyphs(block: Block, words: Sequence[Word]) -> Iterator[Glyph]:
    own = words[block.words.start : block.words.end]
    places = ((char, box, word.line) for word in own for char, box in zip(word.text, cut(word), strict=True))
    space = ""
    for char in block.text:
        if char.isspace():
            space = "\n" if "\n" in (char, space) else " "
        else:
            yield Glyph(*next(places), space)
            space = ""


def cut(word: Word) -> list[Box]:
    """The place of each character of ``word``: even parts of its longer side."""
    return shares(word.box, [1.0] * len(word.text), down=_runs_down(word.box, word.text))


def shares(box: Box, weights: Sequence[float], *, down: bool = False) -> list[Box]:
    """``box`` cut from left to right, or from top to bottom, in proportion to ``weights``."""
    sums = [0.0, *accumulate(weights)]
    low, high = (box.y0, box.y1) if down else (box.x0, box.x1)
    edges = [low + (high - low) * part / (sums[-1] or 1.0) for part in sums[:-1]] + [high]
    return [Box(box.x0, a, box.x1, b) if down else Box(a, box.y0, b, box.y1) for a, b in pairwise(edges)]


def spread(text: str, rows: Sequence[tuple[Box, int]]) -> list[Glyph]:
    """Characters evenly along rows that follow each other (places and line numbers), each in one row."""
    weights = [1.0 if is_cjk(char) else 0.5 for char in text]
    ends = list(accumulate(box.width for box, _ in rows))
    homes: list[list[int]] = [[] for _ in rows]
    done = 0.0
    for i, weight in enumerate(weights):
        middle = (done + weight / 2) / sum(weights) * ends[-1]
        homes[next((n for n, end in enumerate(ends) if middle <= end), len(rows) - 1)].append(i)
        done += weight
    return [
        Glyph(text[i], place, line)
        for home, (box, line) in zip(homes, rows, strict=True)
        for i, place in zip(home, shares(box, [weights[i] for i in home], down=_runs_down(box, home)), strict=True)
    ]


def _runs_down(box: Box, characters: Sized) -> bool:
    return box.height > box.width and len(characters) > 1


def text_of(glyphs: Sequence[Glyph]) -> str:
    """The characters with the white space between them; none before the first."""
    return "".join(g.space + g.char if n else g.char for n, g in enumerate(glyphs))


def words_of(glyphs: Sequence[Glyph]) -> list[Word]:
    """Words, as :class:`tuwen.types.Word` defines them; none runs over two printed lines."""
    text = text_of(glyphs)
    place = [n for n, glyph in enumerate(glyphs) for _ in (glyph.space + glyph.char if n else glyph.char)]
    words = []
    for start, end in word_spans(text):
        own = glyphs[place[start] : place[end - 1] + 1]
        for first, stop in _line_runs(own):
            part = own[first:stop]
            box = Box.union(glyph.box for glyph in part).clamped()
            words.append(Word(text="".join(glyph.char for glyph in part), box=box, line=part[0].line))
    return words


def _line_runs(glyphs: Sequence[Glyph]) -> Iterator[tuple[int, int]]:
    start = 0
    for n in range(1, len(glyphs) + 1):
        if n == len(glyphs) or glyphs[n].line != glyphs[start].line:
            yield start, n
            start = n
