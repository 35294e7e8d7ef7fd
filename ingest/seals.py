"""Red seals on scans: where they are, and what is cut into them.

The name runs along the rim of a round seal, clockwise from the lower left, and lines stand straight inside. The rim
is unrolled into a strip that OCR reads as a line; its words come back to where they are on the page.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.base import RGB
from ingest.ocr import OcrEngine, OcrLine, OcrWord, Quad
from ingest.unmixing import Grey, red_mask
from tuwen.types import is_cjk

_LOOK_SIDE = 1000
"""Pixels of the page's longer side where seals are looked for: 3.4 a millimetre on A4."""
_GAP = 9
"""Pixels there that part the strokes of one seal at most."""
_SMALLEST, _LARGEST = 0.05, 0.3
"""Of a seal, as a share of the page's longer side: 15 to 90 mm on A4."""
_ROUND = 0.7
"""Width and height of a seal differ by no more."""
_BINS, _CLOSED = 36, 0.75
"""Share of the sectors in which the rim is seen."""
_RIM = (0.62, 0.94)
"""Radii between which the name along the rim stands, in radii of the seal."""
_STRIP, _BORDER = 72, 30
"""Height of the unrolled rim, and of the white above and below that its detection needs, in pixels."""
_SURE = 0.75
"""Confidence from which what is read on a seal is text."""
_NUMBER = 6
"""Letters and digits of a line without Chinese at least."""


class Seal(NamedTuple):
    """Where a round or oval seal is, in pixels of the page."""

    x: float
    y: float
    rx: float
    ry: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.x - self.rx, self.y - self.ry, self.x + self.rx, self.y + self.ry

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies on the seal."""
        return ((x - self.x) / self.rx) ** 2 + ((y - self.y) / self.ry) ** 2 <= 1

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Its area, a little beyond the rim, on a page of ``shape``."""
        area = np.zeros(shape[:2], np.uint8)
        axes = (round(self.rx * 1.05), round(self.ry * 1.05))
        cv2.ellipse(area, (round(self.x), round(self.y)), axes, 0, 0, 360, 1, -1)
        return area > 0


def find_seals(red: Grey) -> list[Seal]:
    """Round seals on a page, top to bottom.

    Args:
        red: redness of the page.
    """
    height, width = red.shape
    scale = min(1.0, _LOOK_SIDE / max(height, width))
    small = cv2.resize(red, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = red_mask(np.asarray(small, np.float32)).astype(np.uint8)
    if not mask.any():
        return []
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_GAP, _GAP))
    count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel))
    found = []
    for x, y, w, h, _ in stats[1:count]:
        side = max(mask.shape)
        if _SMALLEST * side < min(w, h) and max(w, h) < _LARGEST * side and min(w, h) > _ROUND * max(w, h):
            seal = Seal(x + w / 2, y + h / 2, w / 2, h / 2)
            if _rim_share(mask, seal) >= _CLOSED:
                found.append(Seal(*(value / scale for value in seal)))
    return sorted(found, key=lambda seal: seal.y)


def _rim_share(mask: NDArray[np.uint8], seal: Seal) -> float:
    """Share of the sectors around a seal's centre in which there is red near the rim."""
    ys, xs = np.nonzero(mask)
    dx, dy = (xs + 0.5 - seal.x) / seal.rx, (ys + 0.5 - seal.y) / seal.ry
    radius = np.hypot(dx, dy)
    rim = (radius > 0.86) & (radius < 1.04)
    sectors = np.floor((np.arctan2(dy[rim], dx[rim]) / (2 * math.pi) + 0.5) * _BINS).astype(int) % _BINS
    return len(set(sectors.tolist())) / _BINS


def read_seal(engine: OcrEngine, picture: RGB, seal: Seal) -> list[OcrLine]:
    """Lines on a seal: the name along the rim first, then what stands inside, top to bottom; in pixels of the page.

    Args:
        engine: reads.
        picture: the red ink of the page, alone.
        seal: on the page.
    """
    rim = _read_rim(engine, picture, seal)
    return [*([rim] if rim else []), *_read_inside(engine, picture, seal)]


def _read_rim(engine: OcrEngine, picture: RGB, seal: Seal) -> OcrLine | None:
    radius = sum(_RIM) / 2 * (seal.rx + seal.ry) / 2
    length = round(2 * math.pi * radius * _STRIP / ((_RIM[1] - _RIM[0]) * (seal.rx + seal.ry) / 2))
    u, v = np.meshgrid(
        (np.arange(length, dtype=np.float32) + 0.5) / length, (np.arange(_STRIP, dtype=np.float32) + 0.5) / _STRIP
    )
    points = _unrolled(np.stack([u, v], axis=-1), seal)
    strip = cv2.remap(
        picture, points[..., 0], points[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(255,) * 3
    )
    framed = cv2.copyMakeBorder(strip, _BORDER, _BORDER, 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
    lines = [line for line in engine.read(np.asarray(framed, np.uint8)) if line.confidence >= _SURE and not line.turned]
    words: list[OcrWord] = []
    for line in sorted(lines, key=lambda line: float(line.quad[:, 0].mean())):
        for word in line.words:
            shares = ((word.quad - [0, _BORDER]) / [length, _STRIP]).clip(0, 1).astype(np.float32)
            quad = _unrolled(shares, seal)
            words.append(word._replace(quad=quad, space=False))
    if not words:
        return None
    weights = [sum(len(word.text) for word in line.words) for line in lines]
    confidence = float(np.average([line.confidence for line in lines], weights=weights))
    return OcrLine(tuple(words), _around(words), confidence, 0, (_RIM[1] - _RIM[0]) * seal.ry)


def _unrolled(points: NDArray[np.float32], seal: Seal) -> NDArray[np.float32]:
    """From shares of the strip's width and height to pixels: the bottom of the seal is at both of its ends."""
    angle = (0.25 + points[..., 0]) * 2 * math.pi
    radius = _RIM[1] - (_RIM[1] - _RIM[0]) * points[..., 1]
    x, y = seal.x + seal.rx * radius * np.cos(angle), seal.y + seal.ry * radius * np.sin(angle)
    return np.stack([x, y], axis=-1).astype(np.float32)


def _around(words: list[OcrWord]) -> Quad:
    corners = np.concatenate([word.quad for word in words])
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def _read_inside(engine: OcrEngine, picture: RGB, seal: Seal) -> list[OcrLine]:
    """Straight lines: inside the rim's lettering, and across its gap at the bottom."""
    x0, y0, x1, y1 = (round(value) for value in seal.box)
    x0, y0 = max(0, x0), max(0, y0)
    crop = picture[y0:y1, x0:x1].copy()
    y, x = np.mgrid[y0 : y0 + crop.shape[0], x0 : x0 + crop.shape[1]]
    dx, dy = (x - seal.x) / seal.rx, (y - seal.y) / seal.ry
    radius = np.hypot(dx, dy)
    crop[(radius > 0.9) | ((radius > _RIM[0]) & (dy < 0.4))] = 255
    shift = np.array([x0, y0], np.float32)
    found = [line for line in engine.read(crop) if line.confidence >= _SURE and not line.turned]
    found = [line for line in found if _is_lettering("".join(word.text for word in line.words))]
    return [
        line._replace(quad=line.quad + shift, words=tuple(word._replace(quad=word.quad + shift) for word in line.words))
        for line in sorted(found, key=lambda line: float(line.quad[:, 1].mean()))
    ]


def _is_lettering(text: str) -> bool:
    """Words or a registration number, not what is left of the page's own text in the colour of the seal."""
    letters = [char for char in text if char.isalnum()]
    return len(letters) > 1 and (any(map(is_cjk, letters)) or len(letters) >= _NUMBER)
