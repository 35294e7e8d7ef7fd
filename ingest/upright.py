"""Layout of scans, which may lie on their side or tilted: laid out upright and level, with boxes as displayed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from ingest.base import OpenPage, TextLine
from ingest.layout import arrange
from ingest.pages import straightened
from ingest.scan import SealText
from tuwen.types import Block, BlockKind, Box, Source, Word, WordSpan

_LEVEL, _STEEPEST = 0.3, 20.0
"""Degrees: a scan tilted by less needs no straightening; one tilted by more is no tilted scan."""
_SKEW_WORDS = 4
"""A line with fewer words does not tell its slope."""


def arrange_upright(page: OpenPage, lines: Sequence[TextLine], turn: int) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    """Layout of a scan that must be turned clockwise by ``turn`` degrees to be upright, and may be tilted.

    Layout sees level lines; the boxes that come back are places on the displayed page.
    """
    if not turn:
        return _arrange_level(page, lines)
    with page.turned(turn) as upright:
        words, blocks = _arrange_level(upright, [_placed(line, partial(turn_box, degrees=turn)) for line in lines])
    return _brought_back(words, blocks, partial(turn_box, degrees=360 - turn))


def skew(page: OpenPage, lines: Sequence[TextLine]) -> float:
    """Degrees by which lines fall to the right (below 0: rise): the median over lines, weighted by length."""
    slopes = []
    for line in lines:
        (x0, y0), (x1, y1) = line.words[0].box.center, line.words[-1].box.center
        length = (x1 - x0) * page.width
        if len(line.words) >= _SKEW_WORDS and length > abs(y1 - y0) * page.height:
            slopes.append(((y1 - y0) * page.height / length, length))
    if not slopes:
        return 0.0
    slopes.sort()
    half, passed = sum(length for _, length in slopes) / 2, 0.0
    for slope, length in slopes:
        passed += length
        if passed >= half:
            return math.degrees(math.atan(slope))
    raise AssertionError("the weights add up")


def _arrange_level(page: OpenPage, lines: Sequence[TextLine]) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    degrees = skew(page, lines)
    if not _LEVEL < abs(degrees) < _STEEPEST:
        return arrange(page, lines)
    level = partial(tilt_box, degrees=degrees, size=(page.width, page.height))
    with straightened(page, degrees) as straight:
        words, blocks = arrange(straight, [_placed(line, level) for line in lines])
    return _brought_back(words, blocks, partial(level, degrees=-degrees))


def _placed(line: TextLine, place: Callable[[Box], Box]) -> TextLine:
    words = tuple(word.model_copy(update={"box": place(word.box)}) for word in line.words)
    return line._replace(words=words, box=Box.union(word.box for word in words))


def _brought_back(
    words: Sequence[Word], blocks: Sequence[Block], place: Callable[[Box], Box]
) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    words = tuple(word.model_copy(update={"box": place(word.box).clamped()}) for word in words)
    made = []
    for block in blocks:
        own = [word.box for word in words[block.words.start : block.words.end]]
        # A figure is more than its words.
        around = [place(block.box).clamped()] if not own or block.kind is BlockKind.FIGURE else []
        made.append(block.model_copy(update={"box": Box.union([*own, *around])}))
    return words, tuple(made)


def tilt_box(box: Box, degrees: float, size: tuple[float, float]) -> Box:
    """``box`` moved as the page is turned counter-clockwise about its centre; its own size stays.

    Args:
        box: fractions of the page.
        degrees: a few.
        size: width and height of the page in one unit.
    """
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y = (box.center[0] - 0.5) * size[0], (box.center[1] - 0.5) * size[1]
    dx = (x * cosine + y * sine - x) / size[0]
    dy = (y * cosine - x * sine - y) / size[1]
    return Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy)


def turn_box(box: Box, degrees: int) -> Box:
    """``box`` on the page turned clockwise by 90, 180 or 270 degrees."""
    x0, y0, x1, y1 = box
    if degrees == 180:
        return Box(1 - x1, 1 - y1, 1 - x0, 1 - y0).clamped()
    return (Box(1 - y1, x0, 1 - y0, x1) if degrees == 90 else Box(y0, 1 - x1, y1, 1 - x0)).clamped()


def with_seals(
    words: Sequence[Word], blocks: Sequence[Block], seals: Sequence[SealText]
) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    """The page with its seals as blocks of their own, after what is printed and before the footers."""
    foot = next((i for i, block in enumerate(blocks) if block.kind is BlockKind.FOOTER), len(blocks))
    cut = blocks[foot].words.start if foot < len(blocks) else len(words)
    line = 1 + max((word.line for word in words), default=-1)
    stamped: list[Word] = []
    made: list[Block] = []
    for seal in seals:
        start = cut + len(stamped)
        for own in seal.lines:
            stamped.extend(word.model_copy(update={"line": line}) for word in own.words)
            line += 1
        text = "\n".join(own.text for own in seal.lines)
        made.append(
            Block(
                kind=BlockKind.SEAL,
                order=foot + len(made),
                box=Box.union([seal.box, *(own.box for own in seal.lines)]).clamped(),
                text=text,
                markdown=text,
                source=Source.OCR,
                confidence=mean_confidence(seal.lines),
                words=WordSpan(start, cut + len(stamped)),
            )
        )
    moved = [
        block.model_copy(
            update={
                "order": block.order + len(made),
                "words": WordSpan(block.words.start + len(stamped), block.words.end + len(stamped)),
            }
        )
        for block in blocks[foot:]
    ]
    return (*words[:cut], *stamped, *words[cut:]), (*blocks[:foot], *made, *moved)


def mean_confidence(lines: Sequence[TextLine]) -> float | None:
    """Mean over characters, 0..1; None of no lines."""
    weights = [sum(len(word.text) for word in line.words) for line in lines]
    if not sum(weights):
        return None
    return sum((line.confidence or 0.0) * weight for line, weight in zip(lines, weights, strict=True)) / sum(weights)
