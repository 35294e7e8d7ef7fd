"""The picture of a page as lines: turned upright, seals and watermarks unmixed, then read by OCR.

Every correction is one that pays (docs/benchmarks.md). What is found comes back to where it is on the displayed page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

import cv2
import numpy as np

from ingest.base import RGB, OpenPage, TextLine
from ingest.ocr import OcrEngine, OcrLine, Quad, is_tall, main_turn, quad_size, shared_engine
from ingest.seals import Seal, find_seals, read_seal
from ingest.unmixing import only_red, red_mask, redness, slanting, without_red, without_watermark
from tuwen.settings import IngestSettings
from tuwen.types import Box, Source, Word, is_cjk

_SAMPLE_LINES, _SAMPLE_CHARACTERS = 4, 16
"""What is read of a page to tell whether it lies on its side."""
_AGAIN = 0.85
"""Confidence from which a line counts that is only seen before a watermark is taken off."""
_FRAGMENT = 0.6
"""Height of such a line at most, in heights of the watermark's letters: larger ones are pieces of it."""
_FONT_SHARE = 0.8
"""Font size as a share of the height of a detected line, which has a margin above and below."""


class Correction(StrEnum):
    """What is done to a picture before it is read."""

    TURN = "turn"
    SEALS = "seals"
    WATERMARK = "watermark"


ALL = frozenset(Correction)


class SealText(NamedTuple):
    """A seal on the page, and the lines cut into it as far as OCR reads them."""

    box: Box
    lines: tuple[TextLine, ...]


class Scan(NamedTuple):
    """What OCR sees on a page."""

    lines: tuple[TextLine, ...]
    """Roughly from top to bottom (layout orders them); those in doubt included, those on seals not."""
    turn: int
    """Degrees (0, 90, 180, 270) by which the page must be turned clockwise to be upright."""
    seals: tuple[SealText, ...] = ()


def read_scan(page: OpenPage, settings: IngestSettings, corrections: Collection[Correction] = ALL) -> Scan:
    """Read the picture of a whole page.

    Boxes are fractions of the displayed page whatever the direction of the text; the words of a line are in
    reading order.

    Args:
        page: the displayed page.
        settings: resolution and limits.
        corrections: those to make where they are called for.

    Raises:
        PageFailedError: the page cannot be rendered.
    """
    image = page.render(settings.ocr.dpi, settings.limits.max_page_pixels)
    engine = shared_engine(settings.ocr.max_side)
    quads = engine.find(image)
    turn = _sideways(engine, image, quads)
    seen = turn if Correction.TURN in corrections else 0
    upright = np.ascontiguousarray(np.rot90(image, -(seen // 90))) if seen else image
    lines, seals = _read_upright(engine, upright, engine.find(upright) if seen else quads, corrections)

    def placed(found: Sequence[OcrLine]) -> tuple[TextLine, ...]:
        return text_lines(
            [turned_back(line, seen, image.shape) for line in found], image.shape, page.width, page.height
        )

    made = tuple(SealText(_seal_box(seal, seen, image.shape), placed(own)) for seal, own in seals)
    return Scan(placed(lines), turn or (180 if main_turn(lines) == 180 else 0), made)


def read_parts(page: OpenPage, settings: IngestSettings, within: Sequence[Box]) -> tuple[TextLine, ...]:
    """Lines that stand in some parts of the page's picture, as it is.

    Raises:
        PageFailedError: the page cannot be rendered.
    """
    image = page.render(settings.ocr.dpi, settings.limits.max_page_pixels)
    height, width = image.shape[:2]
    part = Box.union(within).clamped()
    x0, y0 = int(part.x0 * width), int(part.y0 * height)
    crop = image[y0 : max(y0 + 1, round(part.y1 * height)), x0 : max(x0 + 1, round(part.x1 * width))]
    shift = np.array([x0, y0], np.float32)
    read = [_moved(line, shift) for line in shared_engine(settings.ocr.max_side).read(crop)]
    lines = text_lines(read, image.shape, page.width, page.height)
    return tuple(line for line in lines if any(box.contains_point(*line.box.center) for box in within))


def _sideways(engine: OcrEngine, image: RGB, quads: Sequence[Quad]) -> int:
    """90 or 270 where the page lies on its side, else 0; Chinese set in columns stands upright."""
    areas = [(float(np.prod(quad_size(quad))), is_tall(quad), quad) for quad in quads]
    if 2 * sum(area for area, tall, _ in areas if tall) <= sum(area for area, _, _ in areas):
        return 0
    longest = sorted((quad for _, tall, quad in areas if tall), key=lambda quad: -max(quad_size(quad)))
    lines = engine.read(image, longest[:_SAMPLE_LINES])
    turn = main_turn(lines)
    if turn != 270:
        return turn if turn == 90 else 0
    words = [word for line in lines for word in line.words if word.text.isalnum() and is_cjk(word.text[0])]
    boxes = [_box(word.quad, image.shape) for word in words[:_SAMPLE_CHARACTERS]]
    return 0 if engine.is_upright(image, boxes) else 270


def _read_upright(
    engine: OcrEngine, image: RGB, quads: Sequence[Quad], corrections: Collection[Correction]
) -> tuple[Sequence[OcrLine], list[tuple[Seal, list[OcrLine]]]]:
    red = redness(image)
    seals = find_seals(red) if Correction.SEALS in corrections else []
    around = [quad for quad in quads if not any(seal.holds(*quad.mean(axis=0)) for seal in seals)]
    marks = slanting(around) if Correction.WATERMARK in corrections else []
    mask = red_mask(red)
    picture = image
    for seal in seals:
        picture = without_red(picture, mask & seal.mask(red.shape))
    if marks:
        picture = without_watermark(picture, marks, [quad for quad in around if not _is_within(quad, marks)])
    if picture is image:
        return engine.read(image, quads), []
    again = engine.find(picture)
    largest = _FRAGMENT * float(np.median([min(quad_size(quad)) for quad in marks])) if marks else np.inf
    small = (quad for quad in around if min(quad_size(quad)) < largest)
    lost = [quad for quad in small if not _is_within(quad, again) and not _is_within(quad, marks)]
    found = [line for line in engine.read(image, lost) if line.confidence >= _AGAIN]
    ink = only_red(image, mask)
    return [*engine.read(picture, again), *found], [(seal, read_seal(engine, ink, seal)) for seal in seals]


def _is_within(quad: Quad, others: Sequence[Quad]) -> bool:
    """Whether the middle of ``quad``, or that of one of ``others`` in turn, lies in the other."""
    x, y = quad.mean(axis=0)
    return any(
        other is quad
        or cv2.pointPolygonTest(other, (float(x), float(y)), measureDist=False) >= 0
        or cv2.pointPolygonTest(quad, tuple(map(float, other.mean(axis=0))), measureDist=False) >= 0
        for other in others
    )


def turned_back(line: OcrLine, turn: int, shape: tuple[int, ...]) -> OcrLine:
    """A line that was read on the picture turned clockwise by ``turn`` (0, 90, 270), on the picture as it is.

    Args:
        line: in pixels of the turned picture.
        turn: degrees.
        shape: (height, width, ...) of the picture as it is.
    """
    if not turn:
        return line
    words = tuple(word._replace(quad=_points_back(word.quad, turn, shape)) for word in line.words)
    quad = _points_back(line.quad, turn, shape)
    return line._replace(words=words, quad=quad, turned=(line.turned + turn) % 360)


def _points_back(points: Quad, turn: int, shape: tuple[int, ...]) -> Quad:
    height, width = shape[:2]
    x, y = points[:, 0], points[:, 1]
    back = (y, height - x) if turn == 90 else (width - y, x)
    return np.stack(back, axis=1).astype(np.float32)


def _seal_box(seal: Seal, turn: int, shape: tuple[int, ...]) -> Box:
    x0, y0, x1, y1 = seal.box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    return _box(_points_back(corners, turn, shape) if turn else corners, shape)


def _moved(line: OcrLine, shift: Quad) -> OcrLine:
    words = tuple(word._replace(quad=word.quad + shift) for word in line.words)
    return line._replace(words=words, quad=line.quad + shift)


def text_lines(lines: Sequence[OcrLine], shape: tuple[int, ...], width: float, height: float) -> tuple[TextLine, ...]:
    """What the engine read, as lines of a page.

    Args:
        lines: in pixels.
        shape: (height, width, ...) of the image in pixels.
        width: of the page in points.
        height: of the page in points.
    """
    made = []
    for line in lines:
        words = tuple(Word(text=word.text, box=_box(word.quad, shape)) for word in line.words)
        points = height / shape[0] if line.turned in (0, 180) else width / shape[1]
        spaces = (False, *(word.space for word in line.words[1:]))
        size = line.thickness * points * _FONT_SHARE
        box = Box.union(word.box for word in words)
        made.append(TextLine(words, spaces, box, Source.OCR, round(line.confidence, 4), round(size, 1), bold=False))
    return tuple(made)


def _box(quad: Quad, shape: tuple[int, ...]) -> Box:
    xs, ys = quad[:, 0] / shape[1], quad[:, 1] / shape[0]
    return Box(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())).clamped()
