"""A page whose pictures are kept while it is read: several readers look at the same ones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ingest.base import RGB, OpenPage


class Rendered:
    """An :class:`~ingest.base.OpenPage` that renders each resolution once; its pictures must not be written to."""

    def __init__(self, page: OpenPage) -> None:
        self._page = page
        self._pictures: dict[tuple[int, int], RGB] = {}

    @property
    def pdf_page(self) -> Any:
        """The ``pymupdf.Page``."""
        return self._page.pdf_page

    @property
    def number(self) -> int:
        """From 1."""
        return self._page.number

    @property
    def width(self) -> float:
        """Points."""
        return self._page.width

    @property
    def height(self) -> float:
        """Points."""
        return self._page.height

    def render(self, dpi: int, max_pixels: int) -> RGB:
        """The displayed page at ``dpi``, less where that would exceed ``max_pixels``."""
        picture = self._pictures.get((dpi, max_pixels))
        if picture is None:
            picture = self._pictures[dpi, max_pixels] = self._page.render(dpi, max_pixels)
            picture.flags.writeable = False
        return picture

    def turned(self, degrees: int) -> AbstractContextManager[OpenPage]:
        """The same page turned clockwise by 90, 180 or 270 degrees."""
        return self._page.turned(degrees)
