"""Picture files: frames as upright RGB arrays, checked for size before a pixel is decoded."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pi_heif
import pymupdf
from PIL import Image, ImageOps

from ingest.base import RGB
from tuwen.errors import CorruptFileError, LimitExceededError
from tuwen.settings import LimitSettings

pi_heif.register_heif_opener(thumbnails=False)

_SCREEN_DPI = 96.0
_A4_INCHES = 11.69
_SCAN_DPI = (100.0, 1200.0)
"""Resolutions that a scanner writes; 72 and 96 stand in countless files without meaning anything."""
_EMBEDDED_PIXELS = 4_000_000


class ImageFile:
    """A picture file.

    A multi-frame TIFF has a page for each frame. Of an animated GIF, PNG or WebP only the first frame is
    read: the others are moments of one picture, not pages.

    Raises:
        CorruptFileError: it is no picture.
        LimitExceededError: it has more frames than ``limits.max_pages``, or its first frame too many pixels.
    """

    def __init__(self, path: Path, limits: LimitSettings) -> None:
        self._path = path
        self._limits = limits
        with _pillow(), Image.open(path) as image:
            self.frames: int = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            self._check_size(image)
        if self.frames > limits.max_pages:
            raise LimitExceededError(
                f"The file has {self.frames:,} frames, more than {limits.max_pages:,} (ingest.limits.max_pages)."
            )

    def frame(self, number: int) -> tuple[RGB, float]:
        """Frame ``number`` from 1: pixels as displayed (EXIF orientation applied), and their dots per inch.

        Raises:
            CorruptFileError: the picture cannot be decoded.
            LimitExceededError: it has more pixels than ``limits.max_image_pixels``.
        """
        with _pillow(), Image.open(self._path) as image:
            image.seek(number - 1)
            self._check_size(image)
            declared, longest = image.info.get("dpi"), max(image.size)
            target = _fit(image.size, self._limits.max_page_pixels)
            if image.format == "JPEG":
                image.draft(None, target)  # decodes at 1/2, 1/4 or 1/8 where that is enough
            stored = image.size
            ImageOps.exif_transpose(image, in_place=True)  # a copy of a large picture would not fit into memory
            image.thumbnail(target if image.size == stored else target[::-1], Image.Resampling.BOX)
            pixels = flatten(image)
        return pixels, _resolution(declared, longest) * max(pixels.shape[:2]) / longest

    def _check_size(self, image: Image.Image) -> None:
        width, height = image.size
        if width * height > self._limits.max_image_pixels:
            raise LimitExceededError(
                f"The picture has {width} × {height} pixels, more than {self._limits.max_image_pixels:,} "
                "(ingest.limits.max_image_pixels)."
            )


def load_picture(path: Path, limits: LimitSettings) -> RGB:
    """The first frame of a picture file, upright.

    Raises:
        CorruptFileError: it cannot be decoded.
        LimitExceededError: it has too many pixels.
    """
    return ImageFile(path, limits).frame(1)[0]


def flatten(image: Image.Image) -> RGB:
    """Any picture as 8-bit RGB; transparent parts become white or black, whichever the visible parts stand out on."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, np.float64)
        low, high = (0.0, 65535.0) if image.mode.startswith("I;16") else (values.min(), values.max())
        grey = ((values - low) * (255 / max(high - low, 1e-9))).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    rgba = np.asarray(image.convert("RGBA"), np.float32)
    alpha = rgba[:, :, 3:] / 255
    weight = float(alpha.sum())
    luminance = float((rgba[:, :, :3] @ np.array([0.299, 0.587, 0.114], np.float32) * alpha[:, :, 0]).sum())
    background = 255 if weight == 0 or luminance / weight < 128 else 0
    flat: RGB = (rgba[:, :, :3] * alpha + background * (1 - alpha)).round().astype(np.uint8)
    return flat


def as_pdf(pixels: RGB, dpi: float) -> Any:
    """A one-page ``pymupdf.Document`` that shows the picture; reduced, since layout needs no more."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    image.thumbnail(_fit(image.size, _EMBEDDED_PIXELS), Image.Resampling.BOX)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    document = pymupdf.open()
    page = document.new_page(width=width * 72 / dpi, height=height * 72 / dpi)
    page.insert_image(page.rect, stream=stream.getvalue())
    return document


def _fit(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    scale = min(1.0, math.sqrt(pixels / (size[0] * size[1])))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _resolution(declared: Any, longest: float) -> float:
    """Dots per inch: what the file says where that is believable, else as if it filled an A4 page."""
    if isinstance(declared, tuple) and len(declared) == 2:
        dpi = float(max(declared))
        if _SCAN_DPI[0] <= dpi <= _SCAN_DPI[1]:
            return dpi
    return max(_SCREEN_DPI, longest / _A4_INCHES)


@contextmanager
def _pillow() -> Iterator[None]:
    """Pillow's many errors as ours; its own pixel limit is off, since ours is checked first."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata is no damage to the picture
            yield
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, KeyError, ZeroDivisionError) as error:
        raise CorruptFileError(
            "The picture cannot be decoded; it is damaged, incomplete or of an unknown kind."
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
