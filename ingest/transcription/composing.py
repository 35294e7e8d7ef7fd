"""Blocks from placed characters, in the order and with the structure that the model gave them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ingest.layout import markdown_item
from ingest.tables import Table
from ingest.transcription.glyphs import Glyph, text_of, words_of
from ingest.transcription.markdown import Formula, Part
from ingest.transcription.pairing import Pairing, Written
from ingest.transcription.placing import Mark, Placement
from tuwen.types import Block, BlockKind, Source, Word

_MOST = 0.8
"""Share from which a paragraph and a plain block are the same thing."""
_FROM_MODEL = 0.9
"""Share of a block's characters that the model must have written for the block to be its own."""
_INHERITED = (BlockKind.TITLE, BlockKind.CAPTION, BlockKind.LIST, BlockKind.FORMULA)
_SENTENCE_END = "。！？；：.!?;:"


class Composed(NamedTuple):
    """A block without its place in the page."""

    kind: BlockKind
    level: int
    text: str
    markdown: str
    words: tuple[Word, ...]
    source: Source
    part: int
    """Of the transcription."""
    printed: frozenset[int]
    """Characters of the plain reading that it holds."""


class _Line(NamedTuple):
    """A row of a part: marks of each cell."""

    cells: tuple[tuple[Mark, ...], ...]
    formulas: tuple[tuple[Formula, ...], ...]
    part: int

    @property
    def marks(self) -> tuple[Mark, ...]:
        return tuple(mark for cell in self.cells for mark in cell)


def compose(parts: Sequence[Part], written: Written, pairing: Pairing, placement: Placement) -> list[Composed]:
    """The blocks of a transcription, in its order; parts of which nothing is printed are left out."""
    composer = _Composer(written, pairing)
    made: list[Composed] = []
    for kind, level, lines in composer.groups(parts, placement):
        made.append(composer.composed(kind, level, lines))
    return made


class _Composer:
    def __init__(self, written: Written, pairing: Pairing) -> None:
        self._written, self._plain = written, pairing.plain
        self._blocks = {block.order: block for block in pairing.plain.owners}
        self._sizes = Counter(block.order for block in pairing.plain.owners)

    def groups(self, parts: Sequence[Part], placement: Placement) -> Iterator[tuple[BlockKind, int, list[_Line]]]:
        """Lines that make one block: those of a part, but paragraphs by the plain blocks that they stand in."""
        group: list[_Line] = []
        for number, (part, lines) in enumerate(zip(parts, self._lines(parts, placement), strict=True)):
            if part.kind is not BlockKind.TEXT:
                if group:
                    yield BlockKind.TEXT, 0, group
                    group = []
                if lines:
                    yield part.kind, part.level, lines
                continue
            for line in lines:
                if group and not self._goes_on(group[-1], line, number):
                    yield BlockKind.TEXT, 0, group
                    group = []
                group.append(line)
        if group:
            yield BlockKind.TEXT, 0, group

    def composed(self, kind: BlockKind, level: int, lines: Sequence[_Line]) -> Composed:
        marks = [mark for line in lines for mark in line.marks]
        owner = self._home(marks)
        if kind is BlockKind.TEXT and owner and owner.kind in _INHERITED and self._is_whole(marks, owner):
            kind, level = owner.kind, owner.level
        text, markdown, glyphs = self._texts(kind, level, lines)
        if owner and owner.kind is kind and text == owner.text and kind in (BlockKind.LIST, BlockKind.TEXT):
            markdown = markdown if any(f for line in lines for f in line.formulas) else owner.markdown
        return Composed(
            kind=kind,
            level=level,
            text=text,
            markdown=markdown,
            words=tuple(word for part in glyphs for word in words_of(part)),
            source=self._source(marks, owner),
            part=lines[0].part,
            printed=frozenset(mark.printed for mark in marks if mark.printed >= 0),
        )

    def _lines(self, parts: Sequence[Part], placement: Placement) -> Iterator[list[_Line]]:
        places = iter(range(len(self._written.chars)))
        for number, part in enumerate(parts):
            lines = []
            for row in part.rows:
                cells = []
                for segment in row:
                    length = sum(not char.isspace() for char in segment.text)
                    own = [next(places) for _ in range(length)]
                    cells.append(tuple(mark for i in own for mark in placement.slots[i]))
                if any(cells):
                    lines.append(_Line(tuple(cells), tuple(segment.formulas for segment in row), number))
            yield lines

    def _goes_on(self, above: _Line, below: _Line, part: int) -> bool:
        """Whether two lines are of one paragraph or block of paragraphs, by the plain reading's own blocks."""
        a, b = above.marks, below.marks
        homes = self._home(a), self._home(b)
        if homes[0] is not homes[1]:
            return False
        if above.part == part:
            return True
        follows = a[-1].printed >= 0 and b[0].printed == a[-1].printed + 1
        return follows and b[0].glyph.space != "\n" and a[-1].glyph.char not in _SENTENCE_END

    def _home(self, marks: Sequence[Mark]) -> Block | None:
        """The plain block that most of the characters stand in."""
        owners = Counter(self._plain.owners[mark.printed].order for mark in marks if mark.printed >= 0)
        if not owners:
            return None
        return self._blocks[owners.most_common(1)[0][0]]

    def _is_whole(self, marks: Sequence[Mark], block: Block) -> bool:
        """Whether these characters are a plain block, neither more nor less, or nearly so."""
        inside = sum(mark.printed >= 0 and self._plain.owners[mark.printed] is block for mark in marks)
        return inside >= _MOST * len(marks) and inside >= _MOST * self._sizes[block.order]

    def _source(self, marks: Sequence[Mark], owner: Block | None) -> Source:
        written = sum(m.written >= 0 and m.glyph.char == self._written.chars[m.written] for m in marks)
        return Source.VLM if owner is None or written >= _FROM_MODEL * len(marks) else owner.source

    def _texts(self, kind: BlockKind, level: int, lines: Sequence[_Line]) -> tuple[str, str, list[list[Glyph]]]:
        """Text, Markdown, and the characters in the order of the text."""
        if kind is BlockKind.TABLE:
            cells = [[self._spaced(cell, " ") for cell in line.cells] for line in lines]
            width = max(map(len, cells))
            table = Table([], [[text_of(cell) for cell in row] + [""] * (width - len(row)) for row in cells])
            return table.text, table.markdown, [cell for row in cells for cell in row]
        if kind is BlockKind.LIST:
            items = [self._spaced(line.marks, "\n") for line in lines]
            texts = [text_of(item) for item in items]
            return "\n".join(texts), "\n".join(map(_markdown_item, texts)), items
        glyphs = self._spaced([mark for line in lines for mark in line.marks], "\n" if kind is BlockKind.TEXT else " ")
        text = text_of(glyphs)
        markdown = self._with_formulas(lines, glyphs)
        if kind is BlockKind.FORMULA:
            markdown = markdown.replace("$", "$$")
        if kind is BlockKind.TITLE:
            markdown = "#" * max(1, level) + " " + markdown
        return text, markdown, [glyphs]

    def _spaced(self, marks: Sequence[Mark], newline: str) -> list[Glyph]:
        """The characters with the white space that belongs between them in this order."""
        made = []
        for n, mark in enumerate(marks):
            space = self._space(marks[n - 1], mark) if n else ""
            made.append(mark.glyph._replace(space=newline if space == "\n" else space))
        return made

    def _space(self, a: Mark, b: Mark) -> str:
        """White space between two: where both readers have them together, a text layer's or else the model's."""
        plain = b.glyph.space if b.printed >= 0 else ""
        if a.written < 0 or b.written < 0 or a.written == b.written:
            return plain
        one, other = self._written.homes[a.written], self._written.homes[b.written]
        own = self._written.spaces[b.written] if one[:3] == other[:3] else "\n"
        follows = a.printed >= 0 and b.printed == a.printed + 1
        if follows and self._plain.owners[a.printed] is self._plain.owners[b.printed]:
            is_typed = self._plain.owners[b.printed].source is Source.TEXT_LAYER
            return plain if is_typed or "\n" in (plain, own) else own
        return own

    def _with_formulas(self, lines: Sequence[_Line], glyphs: Sequence[Glyph]) -> str:
        """The text of ``glyphs``, which are the marks of ``lines``, with formulas as LaTeX."""
        keys = [
            key
            for line in lines
            for cell, own in zip(line.cells, line.formulas, strict=True)
            for key in self._latex(cell, own)
        ]
        made, before = "", None
        for n, (glyph, key) in enumerate(zip(glyphs, keys, strict=True)):
            if key is None or key != before:
                made += glyph.space if n else ""
                made += glyph.char if key is None else f"${key[1]}$"
            before = key
        return made

    def _latex(self, marks: Sequence[Mark], formulas: Sequence[Formula]) -> list[tuple[int, str] | None]:
        """For each mark the formula that it is part of, where most of the formula is there."""
        own = [self._written.homes[mark.written].formula if mark.written >= 0 else -1 for mark in marks]
        sizes = Counter(own)
        made: list[tuple[int, str] | None] = []
        for n, index in enumerate(own):
            if index < 0 and 0 < n < len(own) - 1 and own[n - 1] == own[n + 1]:
                index = own[n - 1]  # only the plain reader has it, inside of a formula
            formula = formulas[index] if index >= 0 else None
            is_there = formula is not None and 2 * sizes[index] >= formula.end - formula.start
            made.append((index, formula.latex) if formula and is_there else None)
        return made


def _markdown_item(text: str) -> str:
    """An item of the model's, whose bullet the plain reader need not have seen."""
    item = markdown_item(text)
    return "- " + item.lstrip() if item.startswith(" ") else item
