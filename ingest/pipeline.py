"""The reading stage: a file to its number of pages, a page to its record and picture.

:func:`inspect` and :func:`read_page` run in child processes, since MuPDF and the networks are C code that meets
hostile files; all their arguments and results can be pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ingest import ocr
from ingest.base import RGB, OpenDocument, PageResult, PageTask
from ingest.contents import is_contents
from ingest.formats import open_document
from ingest.images import load_picture
from ingest.ink import ink_share
from ingest.pages import free_store
from ingest.readers import build_reader, sure
from ingest.rendered import Rendered
from ingest.scan import text_lines
from ingest.sniffing import sniff
from tuwen.errors import UnsupportedTypeError
from tuwen.settings import IngestSettings
from tuwen.types import PageRecord, Verdict, VerdictCode, Word

READ_VERSION = 3
"""Raise it whenever the same file could be read into other records (opening, mixing, layout, contents)."""

_BLANK_INK = 0.0005
"""Share of the page inside its margins."""
_MARGIN = 0.03
_REOPEN_PAGES = 200
"""MuPDF keeps something of every page it showed; a fresh start bounds that."""


def inspect(path: Path, media_type: str, password: str | None, settings: IngestSettings) -> int:
    """Open a file and count its pages.

    Raises:
        DocumentError: it cannot be taken in (see :func:`ingest.formats.open_document`).
    """
    return _open(PageTask(path, media_type, 1, password, settings)).pages


def read_page(task: PageTask) -> PageResult:
    """Read one page: words, blocks, verdict, and its picture.

    Raises:
        DocumentError: the file cannot be opened any more, or the page cannot be read.
    """
    settings = task.settings
    with _open(task).page(task.page) as opened:
        page = Rendered(opened)
        image = page.render(settings.image_dpi, settings.limits.max_page_pixels)
        words, blocks, _, codes = build_reader(settings).read(page)
        codes = (*codes, *_emptiness(words, image))
        record = PageRecord(
            page=task.page,
            width=round(page.width, 2),
            height=round(page.height, 2),
            blocks=blocks,
            words=words,
            verdict=Verdict(codes=codes),
            is_contents=is_contents(blocks, words),
        )
    free_store()
    return PageResult(record, _jpeg(image, settings.image_quality))


def fingerprint(settings: IngestSettings) -> str:
    """Changes whenever a page could be read differently: engines, models, our code, parameters."""
    parts = {
        "version": READ_VERSION,
        "reader": build_reader(settings).fingerprint,
        "pillow": version("pillow"),
        "image": [settings.image_dpi, settings.image_quality, settings.limits.max_page_pixels],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load_image(path: Path, settings: IngestSettings) -> RGB:
    """A picture file as upright RGB (its first frame), for a query by image.

    Raises:
        UnsupportedTypeError: not a picture.
        CorruptFileError: it cannot be decoded.
        LimitExceededError: too many pixels.
    """
    media_type = sniff(path)
    if not media_type.startswith("image/"):
        raise UnsupportedTypeError(f"{path.name} is {media_type}, not a picture.")
    return load_picture(path, settings.limits)


def read_image_text(image: RGB, settings: IngestSettings) -> str:
    """What is written in a picture, a line of text a line."""
    lines = ocr.shared_engine(settings.ocr.max_side).read(image)
    return "\n".join(line.text for line in sure(text_lines(lines, image.shape, 1.0, 1.0), settings))


def _emptiness(words: Sequence[Word], image: RGB) -> tuple[VerdictCode, ...]:
    if words:
        return ()
    return (VerdictCode.BLANK if ink_share(image, _MARGIN) < _BLANK_INK else VerdictCode.UNREADABLE,)


def _jpeg(image: RGB, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


class _Opened(NamedTuple):
    key: tuple[object, ...]
    document: OpenDocument
    stack: ExitStack


class _Cache:
    """The document that this process read last, left open: a page of a long file must not cost opening it."""

    def __init__(self) -> None:
        self._opened: _Opened | None = None
        self._uses = 0

    def open(self, task: PageTask) -> OpenDocument:
        status = task.path.stat()
        key = (task.path, status.st_mtime_ns, status.st_size, task.media_type, task.password, task.settings.limits)
        if self._opened is not None and self._opened.key == key and self._uses < _REOPEN_PAGES:
            self._uses += 1
            return self._opened.document
        self.close()
        stack = ExitStack()
        document = stack.enter_context(open_document(task.path, task.media_type, task.password, task.settings))
        self._opened = _Opened(key, document, stack)
        self._uses = 1
        return document

    def close(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            opened.stack.close()


_cache = _Cache()


def _open(task: PageTask) -> OpenDocument:
    return _cache.open(task)
