"""EPUB and XPS: MuPDF lays them out; each page becomes a one-page PDF when it is asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pymupdf

from ingest.base import OpenDocument
from ingest.formats.base import PagedDocument, Source
from ingest.media import EPUB
from ingest.pages import MUPDF_ERRORS, Page, page_errors
from tuwen.errors import CorruptFileError

_EPUB_PAGE = {"width": 420, "height": 595, "fontsize": 11}


@contextmanager
def open_ebook(source: Source) -> Iterator[OpenDocument]:
    """Open an EPUB or XPS file (:data:`ingest.formats.base.Opener`)."""
    filetype = "epub" if source.media_type == EPUB else "xps"
    try:
        document = pymupdf.open(source.path, filetype=filetype)
        if filetype == "epub":
            document.layout(**_EPUB_PAGE)
        pages = document.page_count
    except MUPDF_ERRORS as error:
        raise CorruptFileError(
            f"The file cannot be opened as {filetype.upper()}; it is damaged or incomplete."
        ) from error
    with document:
        yield PagedDocument(pages, source.limits, partial(converted_page, document))


@contextmanager
def converted_page(document: Any, number: int) -> Iterator[Page]:
    """A page that MuPDF lays out, as a page of a PDF of its own."""
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
