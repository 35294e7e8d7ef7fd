"""Text, Markdown and CSV: laid out by us, each page drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ingest.base import OpenDocument
from ingest.charset import decode
from ingest.formats.base import PagedDocument, Source
from ingest.pages import Page
from ingest.typeset import TypesetPage, draw, typeset
from tuwen.errors import CorruptFileError


@contextmanager
def open_text(source: Source) -> Iterator[OpenDocument]:
    """Open a text file in any of the encodings of :mod:`ingest.charset` (:data:`ingest.formats.base.Opener`)."""
    text = decode(source.path.read_bytes())
    if text is None:
        raise CorruptFileError("The file is no text in UTF-8, UTF-16, GB18030 or Big5.")
    pages = typeset(text, source.media_type, source.limits.max_pages)
    yield PagedDocument(len(pages), source.limits, partial(text_page, pages))


@contextmanager
def text_page(pages: Sequence[TypesetPage], number: int) -> Iterator[Page]:
    """Page ``number`` of a text that was laid out."""
    with draw(pages[number - 1]) as document:
        yield Page(document.load_page(0), number)
