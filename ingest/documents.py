"""Open a file of any type that tuwen reads, as a row of displayed pages (PyMuPDF is used here and nowhere above).

Every page ends up as a page of a PDF with rotation 0: readers and layout then see one kind of page in displayed
coordinates. PDFs are opened as they are; a page of an EPUB, XPS, text or picture file is made into a one-page
PDF when it is asked for, so that a long file costs no more memory than a short one.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf

from ingest.base import RGB, OpenDocument, OpenPage
from ingest.charset import decode
from ingest.discovery import CSV, EPUB, MARKDOWN, MEDIA_TYPES, PDF, TEXT, XPS
from ingest.images import ImageFile, as_pdf
from ingest.typeset import TypesetPage, draw, typeset
from tuwen.errors import (
    CorruptFileError,
    LimitExceededError,
    PageFailedError,
    PasswordRequiredError,
    UnsupportedTypeError,
    WrongPasswordError,
)
from tuwen.settings import IngestSettings, LimitSettings

# MuPDF writes its complaints about damaged files to stderr; what matters of them arrives as exceptions.
pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)

_EPUB_PAGE = {"width": 420, "height": 595, "fontsize": 11}
_STRAIGHT_DPI, _STRAIGHT_PIXELS = 150, 6_000_000
_MUPDF_ERRORS = (pymupdf.mupdf.FzErrorBase, RuntimeError, ValueError)


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


class _Document:
    """A file as pages, each made when it is asked for (:class:`ingest.base.OpenDocument`)."""

    def __init__(
        self, pages: int, limits: LimitSettings, open_page: Callable[[int], AbstractContextManager[Page]]
    ) -> None:
        if pages == 0:
            raise CorruptFileError("The file has no pages; it is damaged or incomplete.")
        if pages > limits.max_pages:
            raise LimitExceededError(
                f"The file has {pages:,} pages, more than {limits.max_pages:,} (ingest.limits.max_pages)."
            )
        self._pages = pages
        self._open_page = open_page

    @property
    def pages(self) -> int:
        """Number of pages."""
        return self._pages

    @contextmanager
    def page(self, number: int) -> Iterator[Page]:
        """Page ``number`` from 1.

        Raises:
            PageFailedError: there is no such page, or it cannot be loaded.
        """
        if not 1 <= number <= self._pages:
            raise PageFailedError(f"There is no page {number}; the file has {self._pages}.")
        with self._open_page(number) as page:
            if page.width <= 0 or page.height <= 0:
                raise PageFailedError(f"Page {number} has no area.")
            yield page


@contextmanager
def _pdf_page(document: Any, limits: LimitSettings, number: int) -> Iterator[Page]:
    with page_errors(number):
        page = document.load_page(number - 1)
        largest = max((image[2] * image[3] for image in page.get_images()), default=0)
        if largest > limits.max_image_pixels:
            raise LimitExceededError(
                f"Page {number} shows a picture of {largest:,} pixels, more than {limits.max_image_pixels:,} "
                "(ingest.limits.max_image_pixels)."
            )
    if page.rotation and page.cropbox != page.mediabox:
        with _redrawn(document, page) as target:  # remove_rotation() of PyMuPDF 2.0 loses a cropped page's contents
            yield Page(target, number)
        return
    with page_errors(number):
        page.remove_rotation()
    yield Page(page, number)


@contextmanager
def _redrawn(document: Any, page: Any) -> Iterator[Any]:
    """The displayed page drawn upright on a page of its own; text and drawings stay what they are."""
    rotation, size = page.rotation, page.rect
    with pymupdf.open() as copy:
        target = copy.new_page(width=size.width, height=size.height)
        page.set_rotation(0)
        try:
            target.show_pdf_page(target.rect, document, page.number, rotate=-rotation)
        finally:
            page.set_rotation(rotation)
        yield target


@contextmanager
def _converted_page(document: Any, number: int) -> Iterator[Page]:
    stream = io.BytesIO()
    with page_errors(number):
        source = document.load_page(number - 1)
        writer = pymupdf.DocumentWriter(stream)
        # Page.run() of PyMuPDF 2.0 is broken for this device, and convert_to_pdf() for all pages but the first.
        device = writer.begin_page(source.rect)
        pymupdf.mupdf.fz_run_page(source.this, device.this, pymupdf.mupdf.FzMatrix(), pymupdf.mupdf.FzCookie())
        writer.end_page()
        writer.close()
    with pymupdf.open("pdf", stream.getvalue()) as converted:
        yield Page(converted.load_page(0), number)


@contextmanager
def _image_page(image: ImageFile, number: int) -> Iterator[Page]:
    pixels, dpi = image.frame(number)
    with as_pdf(pixels, dpi) as document:
        yield Page(document.load_page(0), number, pixels)


@contextmanager
def _text_page(pages: list[TypesetPage], number: int) -> Iterator[Page]:
    with draw(pages[number - 1]) as document:
        yield Page(document.load_page(0), number)


@contextmanager
def open_document(
    path: Path, media_type: str, password: str | None, settings: IngestSettings
) -> Iterator[OpenDocument]:
    """Open ``path`` as the type that :func:`ingest.discovery.sniff` gave.

    Args:
        path: the file.
        media_type: one of :data:`ingest.discovery.MEDIA_TYPES`.
        password: user or owner password of an encrypted file.
        settings: the limits count here.

    Raises:
        UnsupportedTypeError: another media type.
        PasswordRequiredError: encrypted, and no password given.
        WrongPasswordError: the password does not open it.
        CorruptFileError: it cannot be parsed.
        LimitExceededError: too many bytes, pages or pixels.
    """
    limits = settings.limits
    if media_type not in MEDIA_TYPES:
        raise UnsupportedTypeError(f"tuwen does not read {media_type}.")
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise LimitExceededError(
            f"The file has {size:,} bytes, more than {limits.max_file_bytes:,} (ingest.limits.max_file_bytes)."
        )
    if media_type in (TEXT, MARKDOWN, CSV):
        yield _open_text(path, media_type, limits)
    elif media_type in (PDF, EPUB, XPS):
        with _open_mupdf(path, media_type, password) as document:
            open_page = (
                partial(_pdf_page, document, limits) if media_type == PDF else partial(_converted_page, document)
            )
            yield _Document(document.page_count, limits, open_page)
    else:
        image = ImageFile(path, limits)
        if image.frames == 1:
            image.frame(1)  # damage shows only when pixels are decoded; better now than as a failed page
        yield _Document(image.frames, limits, partial(_image_page, image))


def _open_text(path: Path, media_type: str, limits: LimitSettings) -> _Document:
    text = decode(path.read_bytes())
    if text is None:
        raise CorruptFileError("The file is no text in UTF-8, UTF-16, GB18030 or Big5.")
    pages = typeset(text, media_type, limits.max_pages)
    return _Document(len(pages), limits, partial(_text_page, pages))


def _open_mupdf(path: Path, media_type: str, password: str | None) -> Any:
    filetype = {PDF: "pdf", EPUB: "epub", XPS: "xps"}[media_type]
    try:
        document = pymupdf.open(path, filetype=filetype)
        if document.needs_pass:
            _unlock(document, password)
        if media_type == EPUB:
            document.layout(**_EPUB_PAGE)
        document.page_count  # noqa: B018  a broken page tree shows here
    except _MUPDF_ERRORS as error:
        raise CorruptFileError(f"The file cannot be opened as {filetype.upper()}: {error}") from error
    return document


def _unlock(document: Any, password: str | None) -> None:
    if not password:
        raise PasswordRequiredError("The file is encrypted; give its password.")
    if not document.authenticate(password):
        raise WrongPasswordError("The password does not open the file.")


@contextmanager
def page_errors(number: int) -> Iterator[None]:
    """MuPDF's errors as :class:`~tuwen.errors.PageFailedError`."""
    try:
        yield
    except _MUPDF_ERRORS as error:
        raise PageFailedError(f"Page {number} cannot be read: {error}") from error


def _shrink(pixels: RGB, width: int, height: int) -> RGB:
    import cv2

    if width >= pixels.shape[1] or height >= pixels.shape[0]:
        return np.ascontiguousarray(pixels)
    small: RGB = cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA)
    return small
