"""One page to be drawn: its drawing operations, and the ground truth of all text put on it.

Lengths are points, origin top left, y downwards, of the page as it is displayed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from evals.samples.fonts import ASCENT, DESCENT, FaceName, advance
from tuwen.types import BlockKind, Box

Color = tuple[float, float, float]
Point = tuple[float, float]

BLACK: Color = (0.1, 0.1, 0.12)


def rgb(code: str) -> Color:
    """``#rrggbb`` as fractions."""
    return (int(code[1:3], 16) / 255, int(code[3:5], 16) / 255, int(code[5:7], 16) / 255)


class Style(NamedTuple):
    """How text looks."""

    face: FaceName
    size: float
    color: Color = BLACK
    spacing: float = 0.0
    """Extra points after each character."""
    rise: float = 0.0
    """Points above the base line (superscripts; negative for subscripts)."""


class Glyph(NamedTuple):
    """A character and where its origin stands."""

    char: str
    x: float
    style: Style

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + advance(self.style.face, self.char) * self.style.size


class TextOp(NamedTuple):
    """Draw glyphs on one base line, the whole turned by ``angle`` (degrees, clockwise) about ``pivot``."""

    glyphs: tuple[Glyph, ...]
    y: float
    angle: float = 0.0
    pivot: Point = (0.0, 0.0)


class PathOp(NamedTuple):
    """Draw a path; each subpath is points, straight or (``curved``) in Bézier triples after the first."""

    points: tuple[Point, ...]
    closed: bool
    curved: bool
    fill: Color | None
    stroke: Color | None
    width: float
    dash: tuple[float, ...] = ()


Op = TextOp | PathOp


@dataclass(frozen=True)
class Piece:
    """A run of glyphs on one printed line: one line of a highlight."""

    glyphs: tuple[Glyph, ...]
    y: float
    box_override: tuple[Box, ...] | None = None
    """Boxes of the glyphs in points where they do not stand on a straight line (seals)."""

    @property
    def text(self) -> str:
        """The characters."""
        return "".join(g.char for g in self.glyphs)

    def boxes(self) -> Iterator[Box]:
        """One box a glyph, in points."""
        if self.box_override is not None:
            yield from self.box_override
            return
        for glyph in self.glyphs:
            base, size = self.y - glyph.style.rise, glyph.style.size
            yield Box(glyph.x, base - ASCENT * size, glyph.right, base + DESCENT * size)


@dataclass
class DrawnBlock:
    """A block as drawn: pieces and the separators between them, in reading order."""

    kind: BlockKind
    items: list[Piece | str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    """Cells of a table."""

    @property
    def text(self) -> str:
        """Plain text (DESIGN section 6)."""
        return "".join(i if isinstance(i, str) else i.text for i in self.items)

    @property
    def pieces(self) -> list[Piece]:
        """Without the separators."""
        return [i for i in self.items if isinstance(i, Piece)]

    def box(self) -> Box:
        """Around all glyphs, in points."""
        return Box.union(b for piece in self.pieces for b in piece.boxes())


class Sheet:
    """A page under construction."""

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self.ops: list[Op] = []
        self.blocks: list[DrawnBlock] = []

    def block(self, kind: BlockKind) -> DrawnBlock:
        """Open a new block at the end of the reading order."""
        self.blocks.append(DrawnBlock(kind))
        return self.blocks[-1]

    def glyphs(self, glyphs: Sequence[Glyph], y: float, block: DrawnBlock, before: str = "") -> Piece:
        """Draw glyphs on base line ``y``; ``before`` parts them from what the block already holds."""
        piece = Piece(tuple(glyphs), y)
        self.ops.append(TextOp(piece.glyphs, y))
        if block.items and before:
            block.items.append(before)
        block.items.append(piece)
        return piece

    def text(
        self,
        x: float,
        y: float,
        text: str,
        style: Style,
        block: DrawnBlock,
        *,
        align: float = 0.0,
        before: str = "\n",
    ) -> Piece:
        """One line of text; ``align`` 0 puts ``x`` at its left end, 0.5 at its middle, 1 at its right end."""
        placed = set_line(text, style)
        left = x - align * line_width(placed)
        return self.glyphs([g._replace(x=g.x + left) for g in placed], y, block, before)

    def turned(self, glyph: Glyph, y: float, angle: float, pivot: Point, block: DrawnBlock, before: str = "") -> None:
        """Draw one glyph turned about ``pivot``; its truth box is that of the turned square."""
        self.ops.append(TextOp((glyph,), y, angle, pivot))
        straight = next(Piece((glyph,), y).boxes())
        corners = [(x, yy) for x in (straight.x0, straight.x1) for yy in (straight.y0, straight.y1)]
        turned = [_turn(c, angle, pivot) for c in corners]
        box = Box(
            min(c[0] for c in turned), min(c[1] for c in turned), max(c[0] for c in turned), max(c[1] for c in turned)
        )
        if block.items and before:
            block.items.append(before)
        block.items.append(Piece((glyph,), y, (box,)))

    def path(
        self,
        points: Iterable[Point],
        *,
        closed: bool = False,
        curved: bool = False,
        fill: Color | None = None,
        stroke: Color | None = None,
        width: float = 0.6,
        dash: tuple[float, ...] = (),
    ) -> None:
        """Draw a path."""
        self.ops.append(PathOp(tuple(points), closed, curved, fill, stroke, width, dash))

    def line(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        color: Color = BLACK,
        width: float = 0.6,
        dash: tuple[float, ...] = (),
    ) -> None:
        """Draw a straight line."""
        self.path([(x0, y0), (x1, y1)], stroke=color, width=width, dash=dash)

    def rect(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        fill: Color | None = None,
        stroke: Color | None = None,
        width: float = 0.6,
        radius: float = 0.0,
    ) -> None:
        """Draw a rectangle, with round corners where ``radius`` is given."""
        if not radius:
            self.path([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], closed=True, fill=fill, stroke=stroke, width=width)
            return
        r, k = radius, radius * (1 - _KAPPA)
        points = [
            (x0 + r, y0), (x1 - r, y0), (x1 - r, y0), (x1 - r, y0), (x1 - k, y0), (x1, y0 + k), (x1, y0 + r),
            (x1, y0 + r), (x1, y1 - r), (x1, y1 - r), (x1, y1 - k), (x1 - k, y1), (x1 - r, y1),
            (x1 - r, y1), (x0 + r, y1), (x0 + r, y1), (x0 + k, y1), (x0, y1 - k), (x0, y1 - r),
            (x0, y1 - r), (x0, y0 + r), (x0, y0 + r), (x0, y0 + k), (x0 + k, y0), (x0 + r, y0),
        ]  # fmt: skip
        self.path(
            [points[0], (points[0]), points[1], points[1], *points[4:]],
            closed=True,
            curved=True,
            fill=fill,
            stroke=stroke,
            width=width,
        )

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        *,
        fill: Color | None = None,
        stroke: Color | None = None,
        width: float = 0.6,
    ) -> None:
        """Draw a circle."""
        self.path(arc(x, y, radius, 0, 360), closed=True, curved=True, fill=fill, stroke=stroke, width=width)


_KAPPA = 0.5522847498
"""Control point distance of the Bézier approximation of a quarter circle, in radii."""


def arc(x: float, y: float, radius: float, start: float, end: float) -> list[Point]:
    """Bézier points of an arc from ``start`` to ``end`` degrees (0 is right, clockwise on the page)."""
    steps = max(1, math.ceil(abs(end - start) / 90))
    step = math.radians((end - start) / steps)
    handle = 4 / 3 * math.tan(step / 4) * radius
    angle = math.radians(start)
    points = [(x + radius * math.cos(angle), y + radius * math.sin(angle))]
    for _ in range(steps):
        (px, py), following = points[-1], angle + step
        qx, qy = x + radius * math.cos(following), y + radius * math.sin(following)
        points += [
            (px - handle * math.sin(angle), py + handle * math.cos(angle)),
            (qx + handle * math.sin(following), qy - handle * math.cos(following)),
            (qx, qy),
        ]
        angle = following
    return points


def set_line(text: str, style: Style, x: float = 0.0) -> list[Glyph]:
    """Glyphs of ``text`` side by side from ``x``."""
    glyphs = []
    for char in text:
        glyphs.append(Glyph(char, x, style))
        x += advance(style.face, char) * style.size + style.spacing
    return glyphs


def line_width(glyphs: Sequence[Glyph]) -> float:
    """From the first glyph's origin to the last one's end, in points."""
    return glyphs[-1].right - glyphs[0].x if glyphs else 0.0


def _turn(point: Point, angle: float, pivot: Point) -> Point:
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    dx, dy = point[0] - pivot[0], point[1] - pivot[1]
    return pivot[0] + dx * cos - dy * sin, pivot[1] + dx * sin + dy * cos
