"""Ground truth as records, from what was drawn (never from reading a file back)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from evals.samples.common import Sample
from evals.samples.sheet import DrawnBlock, Piece, Sheet
from tuwen.types import Box, fold_space

Record = dict[str, Any]


class Located:
    """The characters of a sheet with their boxes, to find quotes in."""

    def __init__(self, sheet: Sheet, blocks: Sequence[DrawnBlock]) -> None:
        self.text = ""
        self.places: list[tuple[Box, int]] = []
        line = 0
        for block in blocks:
            for piece in block.pieces:
                for glyph, box in zip(piece.glyphs, piece.boxes(), strict=True):
                    if not glyph.char.isspace():
                        self.text += glyph.char
                        self.places.append((_fraction(box, sheet), line))
                line += 1

    def find(self, quote: str) -> list[Box] | None:
        """One box a printed line, in fractions of the drawn page; None where the quote does not stand here.

        Raises:
            ValueError: it stands here more than once.
        """
        folded = fold_space(quote)
        start = self.text.find(folded)
        if start < 0:
            return None
        if self.text.find(folded, start + 1) >= 0:
            raise ValueError(f"quote is not unique on its page: {quote}")
        lines: dict[int, list[Box]] = {}
        for box, line in self.places[start : start + len(folded)]:
            lines.setdefault(line, []).append(box)
        return [Box.union(boxes) for boxes in lines.values()]


def _fraction(box: Box, sheet: Sheet) -> Box:
    return Box(box.x0 / sheet.width, box.y0 / sheet.height, box.x1 / sheet.width, box.y1 / sheet.height)


def placed(sample: Sample, page: int, box: Box) -> list[float]:
    """From a place on the drawn page to one on the displayed file."""
    if sample.placements is not None:
        box = sample.placements[page - 1](box)
    return list(box.clamped())


def page_text(sheet: Sheet) -> str:
    """Plain text of a page (DESIGN section 6): blocks parted by a newline."""
    return "\n".join(block.text for block in sheet.blocks)


def pages(sample: Sample) -> Iterator[Record]:
    """One record a page: text, blocks with kind, box, text, lines and table cells."""
    for number, sheet in enumerate(sample.sheets, 1):
        blocks = [_block(sample, number, sheet, block) for block in sheet.blocks]
        yield {
            "file": sample.file,
            "page": number,
            "width": sheet.width,
            "height": sheet.height,
            "tags": list(sample.tags),
            "text": page_text(sheet),
            "blocks": blocks,
        }


def _block(sample: Sample, page: int, sheet: Sheet, block: DrawnBlock) -> Record:
    record: Record = {
        "kind": block.kind.value,
        "box": placed(sample, page, _fraction(block.box(), sheet)),
        "text": block.text,
        "lines": [_line(sample, page, sheet, piece) for piece in block.pieces],
    }
    if block.rows:
        record["rows"] = block.rows
    return record


def _line(sample: Sample, page: int, sheet: Sheet, piece: Piece) -> Record:
    box = Box.union(piece.boxes())
    return {"text": piece.text, "box": placed(sample, page, _fraction(box, sheet))}


def locate(sample: Sample, quote: str) -> list[Record]:
    """Every page where the quote stands, with its boxes there.

    Raises:
        ValueError: nowhere, or more than once on a page.
    """
    found = []
    for number, sheet in enumerate(sample.sheets, 1):
        boxes = Located(sheet, sheet.blocks).find(quote)
        if boxes is not None:
            found.append(
                {
                    "file": sample.file,
                    "page": number,
                    "quote": quote,
                    "boxes": [placed(sample, number, b) for b in boxes],
                }
            )
    if not found:
        raise ValueError(f"{sample.file}: nowhere: {quote}")
    return found
