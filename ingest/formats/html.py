"""HTML, laid out by MuPDF.

Nothing that a page refers to is fetched: MuPDF knows no network, and it is given the bytes alone, without a folder in
which it could look for pictures and style sheets. Style rules inside the page count, so what they hide stays hidden.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pymupdf

from ingest.base import OpenDocument
from ingest.charset import decode, decoded_as
from ingest.formats.base import PagedDocument, Source
from ingest.formats.ebook import converted_page
from ingest.pages import MUPDF_ERRORS
from tuwen.errors import CorruptFileError
from tuwen.settings import LimitSettings

_PAGE = {"width": 595, "height": 842, "fontsize": 11}
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_HEAD_BYTES = 4096
_PICTURE = re.compile(r"<img\b(?![^>]*\bsrc\s*=\s*[\"']?data:)[^>]*>", re.IGNORECASE)
"""A picture that would have to be fetched; MuPDF prints ``[image]`` in its place."""


@contextmanager
def open_html(source: Source) -> Iterator[OpenDocument]:
    """Open an HTML file in the encoding that it names, or seems to be in (:data:`ingest.formats.base.Opener`)."""
    with laid_out(decode_html(source.path.read_bytes()), source.limits) as document:
        yield document


@contextmanager
def laid_out(html: str, limits: LimitSettings) -> Iterator[OpenDocument]:
    """HTML as A4 pages. Raises CorruptFileError."""
    try:
        document = pymupdf.open("html", ("\ufeff" + _PICTURE.sub("", html)).encode("utf-8", "replace"))
        document.layout(**_PAGE)
        pages = document.page_count
    except MUPDF_ERRORS as error:
        raise CorruptFileError("The file cannot be opened as HTML; it is damaged or incomplete.") from error
    with document:
        yield PagedDocument(pages, limits, partial(converted_page, document))


def decode_html(data: bytes) -> str:
    """The text of an HTML file. Raises CorruptFileError where it is none."""
    named = _CHARSET.search(data[:_HEAD_BYTES])
    text = decode(data)
    if text is not None and named and not data.startswith(codecs.BOM_UTF8):
        return decoded_as(data, named[1].decode("ascii", "replace"))
    if text is None:
        raise CorruptFileError("The file is no text in an encoding that is known.")
    return text
