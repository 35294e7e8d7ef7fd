"""Displayed formulas: rows of text in math markup, fractions and sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evals.samples.flow import Flow
from evals.samples.sheet import DrawnBlock, Glyph, Sheet, Style, line_width
from evals.samples.typeset import break_lines, parse_math
from tuwen.types import BlockKind


class Frac(NamedTuple):
    """A fraction."""

    above: str
    below: str


class Big(NamedTuple):
    """An operator with limits."""

    sign: str
    below: str
    above: str


Part = str | Frac | Big


def _row(text: str, style: Style) -> list[Glyph]:
    return list(break_lines(parse_math(text, style), 1e6, align="left")[0].glyphs)


def _width(part: Part, style: Style) -> float:
    if isinstance(part, str):
        return line_width(_row(part, style))
    small = style._replace(size=style.size * 0.7)
    if isinstance(part, Frac):
        return max(line_width(_row(part.above, style)), line_width(_row(part.below, style))) + 4
    sign = line_width(_row(part.sign, style._replace(size=style.size * 1.5)))
    return max(sign, line_width(_row(part.below, small)), line_width(_row(part.above, small))) + 2


def _put(sheet: Sheet, text: str, style: Style, middle: float, y: float, block: DrawnBlock) -> None:
    row = _row(text, style)
    left = middle - line_width(row) / 2
    sheet.glyphs([g._replace(x=g.x + left) for g in row], y, block, " ")


def _draw(sheet: Sheet, part: Part, style: Style, x: float, y: float, width: float, block: DrawnBlock) -> None:
    size, middle = style.size, x + width / 2
    if isinstance(part, str):
        _put(sheet, part, style, middle, y, block)
    elif isinstance(part, Frac):
        _put(sheet, part.above, style, middle, y - size * 0.62, block)
        sheet.line(x + 1, y - size * 0.3, x + width - 1, y - size * 0.3, style.color, 0.6)
        _put(sheet, part.below, style, middle, y + size * 0.72, block)
    else:
        small = style._replace(size=size * 0.7)
        _put(sheet, part.above, small, middle, y - size * 1.15, block)
        _put(sheet, part.sign, style._replace(size=size * 1.5), middle, y + size * 0.18, block)
        _put(sheet, part.below, small, middle, y + size * 1.05, block)


def display(flow: Flow, parts: Sequence[Part], number: int, style: Style) -> None:
    """Set a numbered formula in the middle of the column."""
    height = style.size * 3.4
    flow.need(height)
    block = flow.sheet.block(BlockKind.FORMULA)
    widths = [_width(part, style) for part in parts]
    space = style.size * 0.22
    x = (flow.frame.x0 + flow.frame.x1 - 20 - sum(widths) - space * (len(parts) - 1)) / 2
    base = flow.y + height / 2 + style.size * 0.3
    for part, width in zip(parts, widths, strict=True):
        _draw(flow.sheet, part, style, x, base, width, block)
        x += width + space
    flow.sheet.text(flow.frame.x1, base, f"({number})", style, block, align=1, before=" ")
    flow.y += height
