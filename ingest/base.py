"""The seam between pages and readers (DESIGN section 4: ``PageReader``)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tuwen.settings import IngestSettings
from tuwen.types import Block, Box, PageRecord, Source, VerdictCode, Word, is_cjk

RGB = NDArray[np.uint8]
"""An image of shape (height, width, 3), RGB, origin top left."""


class Ink(NamedTuple):
    """How a text layer says that a word is painted."""

    font: str
    color: tuple[int, int, int]
    """RGB, 0..255."""
    painted: bool
    """False for text that is only there to be searched (render mode 3), and for text of no opacity."""
    order: int
    """Paint operation of the page that draws it, from 0; later ones may cover it."""


class TextLine(NamedTuple):
    """One printed line as a reader sees it, before layout orders lines into blocks."""

    words: tuple[Word, ...]
    """In reading order; their ``line`` is set by layout."""
    spaces: tuple[bool, ...]
    """As many as ``words``: whether a space stands before word ``i``; the first is False."""
    box: Box
    source: Source
    confidence: float | None
    """0..1, mean over the line's characters; None from the text layer."""
    size: float
    """Font size in points; of OCR lines, estimated from the line's height."""
    bold: bool
    inks: tuple[Ink, ...] = ()
    """As many as ``words``; of the text layer only."""

    @property
    def text(self) -> str:
        """The words, spaces in their places."""
        return "".join(
            " " + word.text if space else word.text for word, space in zip(self.words, self.spaces, strict=True)
        )

    def only(self, kept: Sequence[int]) -> TextLine:
        """The line with the words of these indices (ascending, at least one) and no others."""
        words = tuple(self.words[i] for i in kept)
        spaces = (False, *(self.spaces[i] for i in kept[1:]))
        inks = tuple(self.inks[i] for i in kept) if self.inks else ()
        return self._replace(words=words, spaces=spaces, inks=inks, box=Box.union(word.box for word in words))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Cut ``text`` into words, as :class:`tuwen.types.Word` defines them: half-open index ranges, spaces left out."""
    spans: list[tuple[int, int]] = []
    joins = False
    for i, char in enumerate(text):
        alone = is_cjk(char)
        if not char.isspace():
            if joins and not alone:
                spans[-1] = (spans[-1][0], i + 1)
            else:
                spans.append((i, i + 1))
        joins = not alone and not char.isspace()
    return spans


class Reading(NamedTuple):
    """What one reader sees on a page: words in reading order, and the blocks that own them."""

    words: tuple[Word, ...]
    blocks: tuple[Block, ...]
    confidence: float | None = None
    """0..1, mean over characters; None from the text layer."""
    codes: tuple[VerdictCode, ...] = ()
    """What the reader found suspect."""


@runtime_checkable
class OpenPage(Protocol):
    """One displayed page of an open document."""

    @property
    def pdf_page(self) -> Any:
        """The page as a ``pymupdf.Page`` of a PDF, /Rotate already applied: its coordinates are displayed points."""
        ...

    @property
    def number(self) -> int:
        """From 1."""
        ...

    @property
    def width(self) -> float:
        """Points, displayed orientation."""
        ...

    @property
    def height(self) -> float:
        """Points, displayed orientation."""
        ...

    def render(self, dpi: int, max_pixels: int) -> RGB:
        """The displayed page at ``dpi``, less where that would exceed ``max_pixels``."""
        ...

    def turned(self, degrees: int) -> AbstractContextManager[OpenPage]:
        """The same page turned clockwise by 90, 180 or 270 degrees, for scans that lie on their side."""
        ...


@runtime_checkable
class PageReader(Protocol):
    """Reads one page into words and blocks; stateless between pages, safe to reuse in one process."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same page could be read differently (engine, models, parameters)."""
        ...

    def read(self, page: OpenPage) -> Reading:
        """Read ``page``.

        Raises:
            DocumentError: the page cannot be read.
        """
        ...


class OpenDocument(Protocol):
    """An opened file; a context manager."""

    @property
    def pages(self) -> int:
        """Number of pages."""
        ...

    def page(self, number: int) -> AbstractContextManager[OpenPage]:
        """Page ``number`` from 1."""
        ...


class PageTask(NamedTuple):
    """All that a child process needs to read one page; picklable."""

    path: Path
    media_type: str
    page: int
    password: str | None
    settings: IngestSettings


class PageResult(NamedTuple):
    """What a child process returns for one page; picklable."""

    record: PageRecord
    image: bytes
    """JPEG of the displayed page at ``settings.image_dpi``."""


class Found(NamedTuple):
    """A file that discovery accepts."""

    file: Path
    path: str
    """Relative to what was ingested, with forward slashes."""
    media_type: str
