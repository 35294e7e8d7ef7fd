"""What the documents of the invented company share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from evals.samples.sheet import Sheet, Style, rgb
from tuwen.types import BlockKind, Box

COMPANY = "霁川传感科技股份有限公司"
SHORT = "霁川传感"
A4 = (595.0, 842.0)

NAVY = rgb("#17365d")
TEAL = rgb("#1b7f8c")
SAND = rgb("#d9a441")
CORAL = rgb("#c8553d")
MIST = rgb("#eef3f8")
SLATE = rgb("#5b6775")
WHITE = (1.0, 1.0, 1.0)

Placement = Callable[[Box], Box]
"""From a box in fractions of a drawn page to fractions of the displayed picture of it."""


class Sample(NamedTuple):
    """A finished document."""

    file: str
    data: bytes
    sheets: Sequence[Sheet]
    tags: tuple[str, ...]
    placements: Sequence[Placement] | None = None
    """One a page, for scans and photos."""


def running_head(sheet: Sheet, left: str, right: str, margin: float, y: float = 46.0) -> None:
    """Header line of a page."""
    style = Style("sans", 8.5, SLATE)
    block = sheet.block(BlockKind.HEADER)
    sheet.text(margin, y, left, style, block)
    sheet.text(sheet.width - margin, y, right, style, block, align=1, before=" ")
    sheet.line(margin, y + 6, sheet.width - margin, y + 6, rgb("#c3ccd6"), 0.6)


def folio(sheet: Sheet, text: str, y: float | None = None) -> None:
    """Page number in the foot."""
    block = sheet.block(BlockKind.FOOTER)
    sheet.text(sheet.width / 2, y or sheet.height - 32, text, Style("sans", 8.5, SLATE), block, align=0.5)
