"""Picture files: a frame is a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from ingest.base import OpenDocument
from ingest.formats.base import PagedDocument, Source
from ingest.images import ImageFile, as_pdf
from ingest.pages import Page


@contextmanager
def open_picture(source: Source) -> Iterator[OpenDocument]:
    """Open a picture file (:data:`ingest.formats.base.Opener`)."""
    image = ImageFile(source.path, source.limits)
    if image.frames == 1:
        image.frame(1)  # damage shows only when pixels are decoded; better now than as a failed page
    yield PagedDocument(image.frames, source.limits, partial(_image_page, image))


@contextmanager
def _image_page(image: ImageFile, number: int) -> Iterator[Page]:
    pixels, dpi = image.frame(number)
    with as_pdf(pixels, dpi) as document:
        yield Page(document.load_page(0), number, pixels)
