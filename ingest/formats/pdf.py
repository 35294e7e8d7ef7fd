"""PDF files, opened as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pymupdf

from ingest.base import OpenDocument
from ingest.formats.base import PagedDocument, Source
from ingest.pages import MUPDF_ERRORS, Page, page_errors
from tuwen.errors import CorruptFileError, LimitExceededError, PasswordRequiredError, WrongPasswordError
from tuwen.settings import LimitSettings


@contextmanager
def open_pdf(source: Source) -> Iterator[OpenDocument]:
    """Open a PDF; its user or its owner password will do (:data:`ingest.formats.base.Opener`)."""
    try:
        document = pymupdf.open(source.path, filetype="pdf")
        if document.needs_pass:
            _unlock(document, source.password)
        pages = document.page_count  # a broken page tree shows here
    except MUPDF_ERRORS as error:
        raise CorruptFileError("The file cannot be opened as PDF; it is damaged or incomplete.") from error
    with document:
        yield PagedDocument(pages, source.limits, partial(_pdf_page, document, source.limits))


def _unlock(document: Any, password: str | None) -> None:
    if not password:
        raise PasswordRequiredError("The file is encrypted; give its password.")
    if not document.authenticate(password):
        raise WrongPasswordError("The password does not open the file.")


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
