"""A place for every character: what a model wrote on the words of the plain reading, and what only one of them has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from ingest.transcription.alignment import Run
from ingest.transcription.glyphs import Glyph, spread
from ingest.transcription.pairing import Pairing, Written
from ingest.transcription.picture import FreeInk
from ingest.transcription.wording import Difference, is_misread, is_models
from tuwen.types import Box, Source

_NEW_LINES = 1_000_000
"""Numbers of printed lines that only the model has read; far above those of the plain reading."""


class Mark(NamedTuple):
    """A character of the page as it will be, and where either reader has it (−1: nowhere)."""

    glyph: Glyph
    written: int = -1
    printed: int = -1


class Placement(NamedTuple):
    """What becomes of both readings."""

    slots: tuple[tuple[Mark, ...], ...]
    """For each written character: the marks that stand there, in order; often one, sometimes none."""
    untouched: frozenset[int]
    """Orders of plain blocks of which nothing was written."""
    invented: tuple[range, ...]
    """Stretches of written characters that neither the plain reading nor the picture knows."""


def place(written: Written, pairing: Pairing, ink: FreeInk) -> Placement:
    """Give both readings one order. Every character of the plain reading is kept, or its place has another wording."""
    placing = _Placing(written, pairing)
    for run in (run for chain in pairing.chains for run in chain):
        if run.same:
            placing.take_same(run)
        else:
            placing.take_different(run)
    untouched = placing.take_left_over()
    invented = [range(start, end) for start, end in placing.lonely() if not placing.is_found(start, end, ink)]
    return Placement(tuple(map(tuple, placing.slots)), untouched, tuple(invented))


class _Placing:
    def __init__(self, written: Written, pairing: Pairing) -> None:
        self.slots: list[list[Mark]] = [[] for _ in written.chars]
        self._written, self._plain, self._pairing = written, pairing.plain, pairing
        self._spots: dict[int, int] = {}
        """Slot of each printed character that is placed."""
        self._lines = count(_NEW_LINES, 1000)
        self._settled: set[int] = set()
        """Written characters that stand for printed ones, whatever their wording."""

    def take_same(self, run: Run) -> None:
        """Both say the same; the form of a character is the text layer's, or else the model's."""
        for i, j in zip(range(run.left, run.left_end), range(run.right, run.right_end), strict=True):
            glyph = self._plain.glyphs[j]
            if not self._is_typed(j) and self._written.homes[i].formula < 0:
                glyph = glyph._replace(char=self._written.chars[i])
            self._put(i, Mark(glyph, i, j))

    def take_different(self, run: Run) -> None:
        """The readings differ between places where they agree."""
        written, printed = range(run.left, run.left_end), range(run.right, run.right_end)
        if not written:
            self._keep_between(run)
        elif printed:
            is_misread_word = is_misread(len(written), len(printed))
            if is_misread_word:
                self._settled.update(written)
            if self._is_models(run):
                for i, glyph in zip(written, self._reworded(run), strict=True):
                    self.slots[i].append(Mark(glyph, i))
                self._spots.update((j, run.left) for j in printed)
                return
            for n, j in enumerate(printed):
                i = run.left + (n * len(written) // len(printed) if is_misread_word else 0)
                self._put(i, Mark(self._plain.glyphs[j], i, j))

    def take_left_over(self) -> frozenset[int]:
        """Keep what is printed and was not written beside its neighbours; the blocks of which nothing was written."""
        touched = {self._plain.owners[j].order for j in self._spots}
        untouched = frozenset(block.order for block in self._plain.owners) - touched
        for run in self._left_over(untouched):
            marks = [Mark(self._plain.glyphs[j], printed=j) for j in run]
            before = self._neighbour(run[0] - 1, run[0])
            after = self._neighbour(run[-1] + 1, run[0])
            if other := self._other_wording(len(run), before, after):
                self.take_different(Run(*other, run[0], run[-1] + 1, same=False))
            elif before is not None:
                self.slots[before].extend(marks)
            elif after is not None:
                self.slots[after][:0] = marks
        return untouched

    def _other_wording(self, length: int, before: int | None, after: int | None) -> tuple[int, int] | None:
        """What is written, and nowhere printed, next to where left-over text of this length belongs."""
        start = end = before + 1 if before is not None else after if after is not None else 0
        home = self._written.homes[start][:3] if start < len(self.slots) else None
        step = 1 if before is not None else -1
        while 0 <= (i := end if step > 0 else start - 1) < len(self.slots):
            if self.slots[i] or i in self._settled or self._written.homes[i][:3] != home:
                break
            start, end = (start, end + 1) if step > 0 else (start - 1, end)
        return (start, end) if is_misread(end - start, length) else None

    def lonely(self) -> Iterator[tuple[int, int]]:
        """Stretches that only the model has."""
        start = None
        for i in range(len(self.slots) + 1):
            alone = i < len(self.slots) and not self._is_known(i)
            if alone and start is None:
                start = i
            elif not alone and start is not None:
                yield start, i
                start = None

    def is_found(self, start: int, end: int, ink: FreeInk) -> bool:
        """Look in the picture for what only the model has, and give it its place."""
        before = next((self.slots[i][-1].glyph for i in range(start - 1, -1, -1) if self.slots[i]), None)
        after = next((self.slots[i][0].glyph for i in range(end, len(self.slots)) if self.slots[i]), None)
        column = self._column(start, end, before, after)
        glyphs = ink.place(self._written.chars[start:end], before, after, column, next(self._lines)) if column else None
        for i, glyph in zip(range(start, end), glyphs or (), strict=glyphs is not None):
            self.slots[i].append(Mark(glyph, i))
        return glyphs is not None

    def _put(self, slot: int, mark: Mark) -> None:
        self.slots[slot].append(mark)
        self._spots[mark.printed] = slot

    def _is_typed(self, printed: int) -> bool:
        return self._plain.owners[printed].source is Source.TEXT_LAYER

    def _is_models(self, run: Run) -> bool:
        owner, glyphs = self._plain.owners[run.right], self._plain.glyphs[run.right : run.right_end]
        if len(glyphs) != run.left_end - run.left and glyphs[0].line != glyphs[-1].line:
            return False  # no telling which characters stand on which line
        printed = "".join(glyph.char for glyph in glyphs)
        is_formula = any(home.formula >= 0 for home in self._written.homes[run.left : run.left_end])
        written = self._written.chars[run.left : run.left_end]
        agreed = self._pairing.agreements.get(self._written.homes[run.left].part, 0.0)
        return not is_formula and is_models(Difference(written, printed, owner.source, owner.confidence, agreed))

    def _reworded(self, run: Run) -> list[Glyph]:
        """The written characters where the printed ones stand: one for one, or evenly along their line."""
        written, glyphs = self._written.chars[run.left : run.left_end], self._plain.glyphs[run.right : run.right_end]
        if len(written) == len(glyphs):
            return [glyph._replace(char=char) for char, glyph in zip(written, glyphs, strict=True)]
        return spread(written, [(Box.union(glyph.box for glyph in glyphs), glyphs[0].line)])

    def _keep_between(self, run: Run) -> None:
        """What only the plain reader has stays on its line: with the character before it, or else the one after."""
        before, after = self._plain.glyphs[run.right - 1], self._plain.glyphs[run.right_end]
        later: list[Mark] = []
        for j in range(run.right, run.right_end):
            line = self._plain.glyphs[j].line
            mark = Mark(self._plain.glyphs[j], printed=j)
            if later or (line == after.line != before.line):
                later.append(mark)
            else:
                self._put(run.left - 1, mark)
        for mark in later:
            self._put(run.left, mark)

    def _left_over(self, untouched: frozenset[int]) -> Iterator[list[int]]:
        """Runs of printed characters of one block that have no place, in blocks that have some."""
        run: list[int] = []
        for j, owner in enumerate(self._plain.owners):
            if run and (j in self._spots or owner is not self._plain.owners[run[0]]):
                yield run
                run = []
            if j not in self._spots and owner.order not in untouched:
                run.append(j)
        if run:
            yield run

    def _neighbour(self, printed: int, of: int) -> int | None:
        """The slot of a printed character, if it is of the same block as another."""
        owners = self._plain.owners
        is_same = 0 <= printed < len(owners) and owners[printed] is owners[of]
        return self._spots.get(printed) if is_same else None

    def _is_known(self, written: int) -> bool:
        return bool(self.slots[written]) or written in self._settled or written in self._pairing.elsewhere

    def _column(self, start: int, end: int, before: Glyph | None, after: Glyph | None) -> Box | None:
        """The place of the text around a stretch; open to the edge of the page where nothing is known beyond it."""
        parts = {self._written.homes[i].part for i in (start - 1, start, end - 1, end) if 0 <= i < len(self.slots)}
        near = range(max(0, start - 500), min(len(self.slots), end + 500))
        boxes = [mark.glyph.box for i in near if self._written.homes[i].part in parts for mark in self.slots[i]]
        boxes += [glyph.box for glyph in (before, after) if glyph]
        if not boxes:
            return None
        x0, y0, x1, y1 = Box.union(boxes)
        return Box(x0, y0 if before else 0.0, x1, y1 if after else 1.0)
