"""One displayed page, whatever file it comes from, as a page of a PDF with rotation 0.

PyMuPDF is used here, in :mod:`ingest.formats` and in what lays out or writes PDF pages, and nowhere above.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pymupdf

from ingest.base import RGB, OpenPage
from ingest.images import as_pdf
from ingest.isolation import is_out_of_memory
from tuwen.errors import LimitExceededError, PageFailedError

# MuPDF writes its complaints about damaged files to stderr; what matters of them arrives as exceptions.
pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)

MUPDF_ERRORS = (pymupdf.mupdf.FzErrorBase, RuntimeError, ValueError)
"""What PyMuPDF raises over damaged files."""
_STRAIGHT_DPI, _STRAIGHT_PIXELS = 150, 6_000_000


def free_store() -> None:
    """Empty MuPDF's store of decoded fonts and pictures, which else grows to 256 MB in every process.

    On documents of one font it makes no page slower that could be measured.
    """
    pymupdf.TOOLS.store_shrink(100)


class Page:
    """One displayed page (:class:`ingest.base.OpenPage`)."""

    def __init__(self, pdf_page: Any, number: int, pixels: RGB | None = None) -> None:
        self._pdf_page = pdf_page
        self._number = number
        self._pixels = pixels

    @property
    def pdf_page(self) -> Any:
        """The ``pymupdf.Page``, its rotation already applied."""
        return self._pdf_page

    @property
    def number(self) -> int:
        """From 1."""
        return self._number

    @property
    def width(self) -> float:
        """Points."""
        return float(self._pdf_page.rect.width)

    @property
    def height(self) -> float:
        """Points."""
        return float(self._pdf_page.rect.height)

    def render(self, dpi: int, max_pixels: int) -> RGB:
        """The page at ``dpi``, less where that would exceed ``max_pixels``; a picture is never enlarged.

        Raises:
            PageFailedError: it cannot be rendered.
        """
        width, height = self.width, self.height
        scale = min(dpi / 72, math.sqrt(max_pixels / (width * height)))
        if self._pixels is not None:
            return _shrink(self._pixels, round(width * scale), round(height * scale))
        with page_errors(self._number):
            # A page a few points wide still gives a pixel.
            scale = max(scale, 1.01 / min(width, height))
            pixmap = self._pdf_page.get_pixmap(
                matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False
            )
        rows = np.frombuffer(pixmap.samples_mv, np.uint8).reshape(pixmap.height, pixmap.stride)
        return rows[:, : pixmap.width * 3].reshape(pixmap.height, pixmap.width, 3).copy()

    @contextmanager
    def turned(self, degrees: int) -> Iterator[Page]:
        """The same page turned clockwise by 90, 180 or 270 degrees, for scans that lie on their side."""
        with pymupdf.open() as document:
            source = self._pdf_page
            sideways = degrees in (90, 270)
            size = (self.height, self.width) if sideways else (self.width, self.height)
            target = document.new_page(width=size[0], height=size[1])
            target.show_pdf_page(target.rect, source.parent, source.number, rotate=-degrees)
            pixels = None if self._pixels is None else np.rot90(self._pixels, -(degrees // 90))
            yield Page(target, self._number, pixels)


@contextmanager
def straightened(page: OpenPage, degrees: float) -> Iterator[Page]:
    """The picture of a page, turned counter-clockwise about its centre by a few degrees; same size."""
    import cv2

    pixels = page.render(_STRAIGHT_DPI, _STRAIGHT_PIXELS)
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    level: RGB = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    with as_pdf(level, width * 72 / page.width) as document:
        yield Page(document.load_page(0), page.number, level)


@contextmanager
def page_errors(number: int) -> Iterator[None]:
    """MuPDF's errors as :class:`~tuwen.errors.PageFailedError`, or LimitExceededError where memory is short."""
    try:
        yield
    except MUPDF_ERRORS as error:
        if is_out_of_memory(error):
            raise LimitExceededError(
                f"Page {number} needs more memory than is allowed (ingest.limits.max_memory_mb)."
            ) from error
        raise PageFailedError(f"Page {number} cannot be read: {error}") from error


def _shrink(pixels: RGB, width: int, height: int) -> RGB:
    import cv2

    if width >= pixels.shape[1] or height >= pixels.shape[0]:
        return np.ascontiguousarray(pixels)
    small: RGB = cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA)
    return small
