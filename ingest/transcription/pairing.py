"""Each character that a model wrote, each that the plain reader has: where the one stands in the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ingest.transcription.alignment import Chain, align
from ingest.transcription.glyphs import PlainReading
from ingest.transcription.markdown import Part, Segment
from tuwen.types import BlockKind, PageRecord

_KEPT_KINDS = (BlockKind.FIGURE, BlockKind.SEAL, BlockKind.HEADER, BlockKind.FOOTER)
"""Blocks that stay as the plain reader has them: a model is told to leave them out, and gives them no structure."""
_WHOLE_TABLE = 0.9
"""Share of a table's characters that must stand in tables of the model for its cells to be taken."""
_NEVER = "\ufdd2"
"""A noncharacter, in place of what is aligned already."""


class Home(NamedTuple):
    """Where in a transcription a character stands."""

    part: int
    row: int
    cell: int
    formula: int
    """Index among the formulas of its segment, or −1."""


class Written(NamedTuple):
    """The model's characters without white space."""

    chars: str
    spaces: tuple[str, ...]
    """White space before each, inside its segment."""
    homes: tuple[Home, ...]

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Written:
        """Of the parts of a transcription."""
        chars: list[str] = []
        spaces: list[str] = []
        homes: list[Home] = []
        for (p, r, c), segment in _segments(parts):
            space = ""
            for i, char in enumerate(segment.text):
                if char.isspace():
                    space = char
                    continue
                inside = (n for n, formula in enumerate(segment.formulas) if formula.start <= i < formula.end)
                chars.append(char)
                spaces.append(space)
                homes.append(Home(p, r, c, next(inside, -1)))
                space = ""
        return cls("".join(chars), tuple(spaces), tuple(homes))

    def is_letter(self, i: int) -> bool:
        """Whether a character is a letter or digit, and of no formula, which readers write in many ways."""
        return self.chars[i].isalnum() and self.homes[i].formula < 0


def _segments(parts: Sequence[Part]) -> Iterator[tuple[tuple[int, int, int], Segment]]:
    for p, part in enumerate(parts):
        for r, row in enumerate(part.rows):
            yield from (((p, r, c), segment) for c, segment in enumerate(row))


class Pairing(NamedTuple):
    """How a transcription stands on a plain reading."""

    plain: PlainReading
    """Of the blocks that do not stay as they are."""
    chains: tuple[Chain, ...]
    """Stretches that both have: left is written, right is printed."""
    kept: frozenset[int]
    """Orders of the blocks that stay as they are."""
    elsewhere: frozenset[int]
    """Written characters that stand in such blocks."""
    agreement: float
    """Of letters and digits as a whole, 0..1: 2·same / (written + printed), less what stays as it is, and less
    parts of which nothing is printed: they are no other reading of anything."""
    agreements: Mapping[int, float]
    """By part of the transcription: share of its letters and digits, less those elsewhere, that are printed so."""


def pair(written: Written, parts: Sequence[Part], record: PageRecord) -> Pairing:
    """Align a transcription with a plain reading, blocks that stay as they are apart."""
    kept = {block.order for block in record.blocks if block.kind in _KEPT_KINDS}
    plain = _without(kept, record)
    chains = align(written.chars, plain.chars)
    if poor := _poor_tables(chains, written, parts, plain):
        kept |= poor
        plain = _without(kept, record)
        chains = align(written.chars, plain.chars)
    runs = (run for chain in chains for run in chain if run.right < run.right_end)
    used = {i for run in runs for i in range(run.left, run.left_end)}
    rest = "".join(_NEVER if i in used else char for i, char in enumerate(written.chars))
    stays = PlainReading.of((block for block in record.blocks if block.order in kept), record.words)
    found = (run for chain in align(rest, stays.chars) for run in chain)
    elsewhere = frozenset(i for run in found for i in range(run.left, run.left_end)) - used
    return Pairing(plain, tuple(chains), frozenset(kept), elsewhere, *_agreements(written, plain, chains, elsewhere))


def _agreements(
    written: Written, plain: PlainReading, chains: Iterable[Chain], elsewhere: Container[int]
) -> tuple[float, dict[int, float]]:
    """Of the whole, and by part. Punctuation does not count: readers differ in it, and leaders would outweigh text."""
    runs = (run for chain in chains for run in chain if run.same)
    matched = {i for run in runs for i in range(run.left, run.left_end)}
    same, total = Counter[int](), Counter[int]()
    for i, (char, home) in enumerate(zip(written.chars, written.homes, strict=True)):
        if char.isalnum() and i not in elsewhere:
            same[home.part] += i in matched
            total[home.part] += 1
    both = sum(total[part] for part in total if same[part]) + sum(glyph.char.isalnum() for glyph in plain.glyphs)
    return 2 * same.total() / both if both else 1.0, {part: same[part] / total[part] for part in total}


def _without(kept: Container[int], record: PageRecord) -> PlainReading:
    return PlainReading.of((block for block in record.blocks if block.order not in kept), record.words)


def _poor_tables(chains: Iterable[Chain], written: Written, parts: Sequence[Part], plain: PlainReading) -> set[int]:
    """Tables of the plain reading of which the model has too little in tables of its own."""
    size = Counter(block.order for block in plain.owners if block.kind is BlockKind.TABLE)
    held = Counter[int]()
    for run in (run for chain in chains for run in chain if run.same):
        for i, j in zip(range(run.left, run.left_end), range(run.right, run.right_end), strict=True):
            if parts[written.homes[i].part].kind is BlockKind.TABLE:
                held[plain.owners[j].order] += 1
    return {order for order, count in size.items() if held[order] < _WHOLE_TABLE * count}
