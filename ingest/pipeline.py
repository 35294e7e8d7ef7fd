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

import numpy as np
from PIL import Image

from ingest import ocr, text_layer
from ingest.base import RGB, OpenDocument, OpenPage, PageResult, PageTask, TextLine
from ingest.contents import is_contents
from ingest.formats import open_document
from ingest.images import load_picture
from ingest.mixing import garbled_lines, is_visible, unread_pictures, without_known
from ingest.readers import arrange_upright, mean_confidence, sure
from ingest.sniffing import sniff
from tuwen.errors import UnsupportedTypeError
from tuwen.settings import IngestSettings
from tuwen.types import PageRecord, Verdict, VerdictCode, Word

READ_VERSION = 1
"""Raise it whenever the same file could be read into other records (opening, mixing, layout, contents)."""

_HIDDEN_CHARACTERS = 4
"""Fewer invisible characters are leftovers, not hidden text."""
_MOSTLY_GARBLED = 0.3
"""Share of a text layer's characters from which none of it is believed."""
_INK = 40
"""Grey levels from the background that count as ink."""
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
    with _open(task).page(task.page) as page:
        image = page.render(settings.image_dpi, settings.limits.max_page_pixels)
        read = _read(page, image, settings)
        words, blocks = arrange_upright(page, read.lines, read.turned)
        codes = (*read.codes, *_emptiness(words, image))
        record = PageRecord(
            page=task.page,
            width=round(page.width, 2),
            height=round(page.height, 2),
            blocks=blocks,
            words=words,
            verdict=Verdict(codes=codes),
            is_contents=is_contents(blocks, words),
        )
    return PageResult(record, _jpeg(image, settings.image_quality))


def fingerprint(settings: IngestSettings) -> str:
    """Changes whenever a page could be read differently: engines, models, our code, parameters."""
    parts = {
        "version": READ_VERSION,
        "pymupdf": version("pymupdf"),
        "layout": version("pymupdf_layout"),
        "pillow": version("pillow"),
        "ocr": ocr.fingerprint(settings.ocr),
        "confidence": [settings.ocr.min_confidence, settings.ocr.suspect_confidence],
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
    return "\n".join(line.text for line in sure(ocr.text_lines(lines, image.shape, 1.0, 1.0), settings))


class _Read(NamedTuple):
    lines: Sequence[TextLine]
    codes: tuple[VerdictCode, ...] = ()
    turned: int = 0
    """Degrees by which the page must be turned clockwise to be upright."""


def _read(page: OpenPage, image: RGB, settings: IngestSettings) -> _Read:
    """Choose between the readers, part by part."""
    lines, codes = _trusted_text(page, image)
    if VerdictCode.GARBLED_TEXT_LAYER in codes or not lines:
        if _ink(image, 0.0) == 0:
            return _Read(lines, codes)
        scanned = ocr.read_lines(page, settings)
    elif pictures := unread_pictures(page, lines):
        scanned = ocr.read_lines(page, settings, pictures)
    else:
        return _Read(lines, codes)
    legible = sure(scanned, settings)
    if lines:
        return _Read([*lines, *without_known(legible, lines)], codes)
    confidence = mean_confidence(scanned)
    if confidence is not None and confidence < settings.ocr.suspect_confidence:
        codes = (*codes, VerdictCode.LOW_OCR_CONFIDENCE)
    return _Read(legible, codes, ocr.page_turn(page, legible, settings))


def _trusted_text(page: OpenPage, image: RGB) -> tuple[list[TextLine], tuple[VerdictCode, ...]]:
    """The text layer's lines that are printed and legible, and what is wrong with the others."""
    codes = []
    every = text_layer.read_lines(page)
    visible = [line for line in every if is_visible(line, image)]
    if _length(every) - _length(visible) >= _HIDDEN_CHARACTERS:
        codes.append(VerdictCode.HIDDEN_TEXT)
    garbled = garbled_lines(visible)
    lines = [line for i, line in enumerate(visible) if i not in garbled]
    if garbled:
        codes.append(VerdictCode.GARBLED_TEXT_LAYER)
        if _length(visible) - _length(lines) > _MOSTLY_GARBLED * _length(visible):
            lines = []
    return lines, tuple(codes)


def _emptiness(words: Sequence[Word], image: RGB) -> tuple[VerdictCode, ...]:
    if words:
        return ()
    return (VerdictCode.BLANK if _ink(image, _MARGIN) < _BLANK_INK else VerdictCode.UNREADABLE,)


def _ink(image: RGB, margin: float) -> float:
    """Share of pixels that differ from the background; scanners leave shadows in the margins."""
    height, width = image.shape[:2]
    dy, dx = int(height * margin), int(width * margin)
    grey = image[dy : height - dy, dx : width - dx].mean(axis=2)
    return float((np.abs(grey - np.median(grey)) > _INK).mean())


def _length(lines: Sequence[TextLine]) -> int:
    return sum(len(word.text) for line in lines for word in line.words)


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
