"""Ways in which pictures of pages are bad, made from clean pages by a seeded generator.

Each takes clean pages as pictures (RGB, some 200 dpi) and gives one picture, as a scanner or a telephone would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from evals.samples import degrade
from evals.samples.degrade import RGB
from evals.samples.seals import draw_seal
from evals.samples.sheet import Color, Sheet, Style
from tuwen.types import BlockKind

SEAL_TEXT = "临澜市霁川传感科技有限公司合同专用章"
"""Printed on the page by :func:`_sealed`, so part of its text."""
_RED, _GREY = (0.85, 0.1, 0.1), (0.45, 0.45, 0.45)


class Damage(NamedTuple):
    """One way to spoil pictures."""

    make: Callable[[Sequence[RGB], np.random.Generator], RGB]
    pages: int = 1
    """Clean pages that go into one picture, in reading order."""
    adds: str = ""
    """Text that it prints on the page."""


def _noisy(picture: RGB, rng: np.random.Generator, sigma: float = 3.0, quality: int = 80) -> RGB:
    """Sensor noise and JPEG, as every scan has them."""
    grain = rng.normal(0, sigma, (*picture.shape[:2], 1)).astype(np.float32)
    noisy = np.clip(picture + grain, 0, 255).astype(np.uint8)
    code = cv2.imencode(".jpg", noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])


def _scanned(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
    return _noisy(pages[0], rng)


def _skewed(degrees: float) -> Callable[[Sequence[RGB], np.random.Generator], RGB]:
    def make(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
        height, width = pages[0].shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees * rng.choice((-1, 1)), 1.0)
        turned = cv2.warpAffine(pages[0], matrix, (width, height), flags=cv2.INTER_AREA, borderValue=(255, 255, 255))
        return _noisy(np.asarray(turned, np.uint8), rng)

    return make


def _photographed(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
    """By hand, from an angle, on a dark board."""
    height, width = pages[0].shape[:2]
    size = (round(width * 1.15), round(height * 1.15))
    edge = 0.06
    unit = np.array([(edge, edge), (1 - edge, edge), (1 - edge, 1 - edge), (edge, 1 - edge)])
    corners = (unit + rng.uniform(-0.05, 0.05, (4, 2))) * size
    return _noisy(degrade.photo(pages[0], rng, size, [tuple(c) for c in corners])[0], rng)


def _dim(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
    """A lamp on one side, and the shadow of a hand."""
    height, width = pages[0].shape[:2]
    x, y = np.meshgrid(np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32))
    angle = rng.uniform(0, 2 * np.pi)
    along = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5
    lamp = 1.0 - 0.72 * np.clip(along, 0, 1)
    cx, cy = rng.uniform(0.3, 0.7, 2)
    hand = 1 - 0.45 / (1 + np.exp(((x - cx) ** 2 / 0.06 + (y - cy) ** 2 / 0.04 - 1) * 14))
    return _noisy(np.clip(pages[0] * (lamp * hand)[..., None], 0, 255).astype(np.uint8), rng)


def _coarse(dpi: int) -> Callable[[Sequence[RGB], np.random.Generator], RGB]:
    def make(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
        small = cv2.resize(pages[0], None, fx=dpi / 200, fy=dpi / 200, interpolation=cv2.INTER_AREA)
        return _noisy(np.asarray(small, np.uint8), rng, sigma=2.0, quality=70)

    return make


def _turned(quarters: int) -> Callable[[Sequence[RGB], np.random.Generator], RGB]:
    return lambda pages, rng: _noisy(np.ascontiguousarray(np.rot90(pages[0], quarters)), rng)


def _two_up(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
    """An open book on the scanner: two pages, a shadow in the fold."""
    height = max(page.shape[0] for page in pages)
    leaves = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0)), constant_values=255) for p in pages]
    sheet = np.hstack(leaves)
    x = np.arange(sheet.shape[1], dtype=np.float32)
    fold = 1 - 0.6 * np.exp(-np.abs(x - leaves[0].shape[1]) / 35)
    return _noisy(np.clip(sheet * fold[None, :, None], 0, 255).astype(np.uint8), rng)


def _curled(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
    """A page of a thick book: lines bend towards the spine on one side."""
    page = pages[0]
    height, width = page.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    near = x / width if rng.random() < 0.5 else 1 - x / width
    drop = (45 * np.exp(-near * 4) * rng.choice((-1, 1))).astype(np.float32)
    warped = cv2.remap(page, x, y - drop, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = 1 - 0.5 * np.exp(-near * 9)
    return _noisy(np.clip(warped * shade[..., None], 0, 255).astype(np.uint8), rng)


def _sealed(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
    """A company's red seal over the text."""
    height, width = pages[0].shape[:2]
    scale = 72 / 200
    sheet = Sheet(width * scale, height * scale)
    center = (sheet.width * rng.uniform(0.3, 0.7), sheet.height * rng.uniform(0.25, 0.6))
    draw_seal(sheet, center, SEAL_TEXT[:-5], sheet.block(BlockKind.SEAL), SEAL_TEXT[-5:])
    ink = _fitted(degrade.render(sheet, 200), pages[0].shape)
    return _noisy(degrade.multiply(pages[0], ink, degrade.mottle(ink.shape[:2], rng, 9, 0.6)), rng)


def _watermarked(color: Color) -> Callable[[Sequence[RGB], np.random.Generator], RGB]:
    """Large slanting letters over the whole page, at a third of their strength."""

    def make(pages: Sequence[RGB], rng: np.random.Generator) -> RGB:
        height, width = pages[0].shape[:2]
        side = round(1.5 * max(height, width))
        sheet = Sheet(side * 0.36, side * 0.36)
        for row in range(0, round(sheet.height), 150):
            for column in range(0, round(sheet.width), 330):
                sheet.text(
                    column + row % 300,
                    row,
                    "内部资料 请勿外传",
                    Style("sans-bold", 34, color),
                    sheet.block(BlockKind.TEXT),
                )
        tiles = Image.fromarray(degrade.render(sheet, 200)).rotate(30, Image.Resampling.BICUBIC)
        left, top = ((tiles.width - width) // 2, (tiles.height - height) // 2)
        ink = np.asarray(tiles.crop((left, top, left + width, top + height)))
        return _noisy(degrade.multiply(pages[0], ink, 0.35), rng)

    return make


def _fitted(picture: RGB, shape: tuple[int, ...]) -> RGB:
    return np.asarray(cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.uint8)


DAMAGES: Mapping[str, Damage] = {
    "none": Damage(_scanned),
    "skew 3°": Damage(_skewed(3)),
    "skew 9°": Damage(_skewed(9)),
    "photo": Damage(_photographed),
    "uneven light": Damage(_dim),
    "100 dpi": Damage(_coarse(100)),
    "72 dpi": Damage(_coarse(72)),
    "upside down": Damage(_turned(2)),
    "on its side": Damage(_turned(1)),
    "two pages": Damage(_two_up, pages=2),
    "curled": Damage(_curled),
    "seal": Damage(_sealed, adds=SEAL_TEXT),
    "grey watermark": Damage(_watermarked(_GREY)),
    "red watermark": Damage(_watermarked(_RED)),
}
