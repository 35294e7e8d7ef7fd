"""From clean pages to scans and photos, with the map from drawn to displayed places.

Everything random comes from a generator seeded by the caller, so the same pictures come out every time.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from evals.samples.common import Placement
from evals.samples.pdf import write_pdf
from evals.samples.sheet import Sheet
from tuwen.types import Box

RGB = NDArray[np.uint8]
Matrix = NDArray[np.float64]

_ORIENTATION, _DATE_TIME, _MODEL = 0x0112, 0x0132, 0x0110
_TURN_RIGHT = 6
"""EXIF: turn the stored picture by 90° clockwise to display it."""


def render(sheet: Sheet, dpi: int) -> RGB:
    """The sheet as a picture."""
    with pymupdf.open(stream=write_pdf([sheet], "", ""), filetype="pdf") as document:
        pixmap = document[0].get_pixmap(dpi=dpi)
        return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, 3).copy()


def multiply(below: RGB, above: RGB, strength: NDArray[np.float32] | float = 1.0) -> RGB:
    """Print ``above`` over ``below`` as ink would; ``strength`` 0..1 fades it."""
    ink = 1 - (1 - above.astype(np.float32) / 255) * np.asarray(strength, np.float32)
    return np.clip(below * ink, 0, 255).astype(np.uint8)


def mottle(shape: tuple[int, int], rng: np.random.Generator, grain: int, low: float) -> NDArray[np.float32]:
    """Cloudy strength, shape (height, width, 1), values ``low``..1."""
    coarse = rng.random((shape[0] // grain + 2, shape[1] // grain + 2)).astype(np.float32)
    cloud = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(low + (1 - low) * np.clip(cloud * 1.3, 0, 1), np.float32)[..., None]


def scan(page: RGB, rng: np.random.Generator, skew: float) -> tuple[RGB, Placement]:
    """A flat-bed scan: paper tone, slight skew in degrees, soft edges, sensor noise."""
    height, width = page.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
    matrix[:, 2] += rng.uniform(-4, 4, 2)
    turned = cv2.warpAffine(page, matrix, (width, height), flags=cv2.INTER_AREA, borderValue=(255, 255, 255))
    tone = np.array([250, 248, 242], np.float32) / 255
    fall = 1 - 0.10 * np.clip(1 - np.arange(width, dtype=np.float32) / (0.06 * width), 0, 1)
    picture = cv2.GaussianBlur(turned, (0, 0), 0.7).astype(np.float32) * tone * fall[None, :, None]
    picture = picture * (0.985 + 0.03 * (mottle((height, width), rng, 160, 0.0) - 0.5))
    picture += rng.normal(0, 3.2, (height, width, 1)).astype(np.float32)
    full = np.vstack([matrix, [0, 0, 1]])
    return np.clip(picture, 0, 255).astype(np.uint8), _placement(full, (width, height), (width, height))


def photo(
    page: RGB, rng: np.random.Generator, size: tuple[int, int], corners: Sequence[tuple[float, float]]
) -> tuple[RGB, Placement]:
    """A phone picture of the page pinned to a board.

    Args:
        page: the clean page.
        rng: source of all noise.
        size: width and height of the picture in pixels.
        corners: where the page's corners go (top left, top right, bottom right, bottom left), in pixels.
    """
    height, width = page.shape[:2]
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(source, np.array(corners, np.float32))
    board = _board(size, rng)
    shadow = cv2.warpPerspective(np.full((height, width), 1.0, np.float32), matrix, size)
    soft = cv2.GaussianBlur(np.roll(shadow, (14, 18), (0, 1)), (0, 0), 16)[..., None]
    picture = board * (1 - 0.45 * soft)
    paper = cv2.warpPerspective(page, matrix, size, flags=cv2.INTER_AREA).astype(np.float32)
    mask = cv2.GaussianBlur(shadow, (0, 0), 0.8)[..., None]
    picture = picture * (1 - mask) + paper * np.array([0.97, 0.965, 0.94], np.float32) * mask
    for x, y in (
        ((corners[0][0] + corners[1][0]) / 2, corners[0][1] + 70),
        ((corners[2][0] + corners[3][0]) / 2, corners[2][1] - 90),
    ):
        _pin(picture, (round(x), round(y)))
    picture = cv2.GaussianBlur(picture * _light(size), (0, 0), 0.8)
    picture += rng.normal(0, 3.0, (size[1], size[0], 3)).astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8), _placement(matrix, (width, height), size)


def _pin(picture: NDArray[np.float32], at: tuple[int, int]) -> None:
    shade = np.zeros(picture.shape[:2], np.float32)
    cv2.circle(shade, (at[0] + 9, at[1] + 12), 20, 1.0, -1)
    picture *= 1 - 0.5 * cv2.GaussianBlur(shade, (0, 0), 6)[..., None]
    for radius, color in ((20, (196, 40, 44)), (12, (222, 70, 70)), (5, (250, 150, 150))):
        cv2.circle(picture, (at[0] - (20 - radius) // 3, at[1] - (20 - radius) // 3), radius, color, -1, cv2.LINE_AA)


def _board(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    width, height = size
    speckle = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 2.2)
    speckle = (speckle - speckle.mean()) / speckle.std()
    cork = np.array([176, 132, 86], np.float32) + speckle[..., None] * np.array([17, 15, 12], np.float32)
    return np.asarray(cork, np.float32)


def _light(size: tuple[int, int]) -> NDArray[np.float32]:
    """Bright from the upper left, dim at the lower right, with a soft shadow band across."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0], dtype=np.float32), np.linspace(0, 1, size[1], dtype=np.float32))
    lamp = 1.06 - 0.42 * np.clip(np.hypot(x - 0.25, y - 0.2), 0, 1.2)
    band = 1 - 0.16 * np.exp(-(((x + 0.55 * y) - 1.12) ** 2) / 0.012)
    return np.asarray(lamp * band, np.float32)[..., None]


def _placement(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> Placement:
    def place(box: Box) -> Box:
        corners = [(x * source[0], y * source[1]) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
        moved = cv2.perspectiveTransform(np.array([corners], np.float64), np.asarray(matrix, np.float64))[0]
        xs, ys = moved[:, 0] / target[0], moved[:, 1] / target[1]
        return Box(float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))

    return place


def jpeg(picture: RGB, quality: int, dpi: int) -> bytes:
    """JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, dpi=(dpi, dpi), optimize=True)
    return buffer.getvalue()


def phone_jpeg(picture: RGB, quality: int) -> bytes:
    """JPEG bytes as a phone writes them: stored lying on its side, turned by EXIF orientation."""
    image = Image.fromarray(np.rot90(picture).copy())
    exif = Image.Exif()
    exif[_ORIENTATION] = _TURN_RIGHT
    exif[_DATE_TIME] = "2026:08:10 09:12:00"
    exif[_MODEL] = "Sample Phone"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif, optimize=True)
    return buffer.getvalue()


def image_pdf(pictures: Sequence[bytes], width: float, height: float, title: str) -> bytes:
    """A PDF of full-page pictures without any text."""
    document = pymupdf.open()
    for picture in pictures:
        page = document.new_page(width=width, height=height)
        page.insert_image(page.rect, stream=picture)
    document.set_metadata({"title": title, "producer": "tuwen samples", "creationDate": "D:20260417150000+08'00'"})
    return bytes(document.tobytes(garbage=3, deflate=True, no_new_id=True))
