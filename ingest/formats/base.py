"""What the format families share: a source to open, and a document whose pages are made when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from ingest.base import OpenDocument
from ingest.pages import Page
from tuwen.errors import CorruptFileError, LimitExceededError, PageFailedError
from tuwen.settings import LimitSettings


class Source(NamedTuple):
    """A file that is to be opened as what its content is."""

    path: Path
    media_type: str
    password: str | None
    limits: LimitSettings


Opener = Callable[[Source], AbstractContextManager[OpenDocument]]
"""The seam of :mod:`ingest.formats`: opens one family of formats.

Raises:
    PasswordRequiredError: encrypted, and no password given.
    WrongPasswordError: the password does not open it.
    CorruptFileError: it cannot be parsed.
    LimitExceededError: too many bytes, pages or pixels.
"""


class PagedDocument:
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
        self._longest = limits.max_page_points
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
            LimitExceededError: it is too large, shows too large a picture, or needs too much memory.
        """
        if not 1 <= number <= self._pages:
            raise PageFailedError(f"There is no page {number}; the file has {self._pages}.")
        with self._open_page(number) as page:
            if page.width <= 0 or page.height <= 0:
                raise PageFailedError(f"Page {number} has no area.")
            if max(page.width, page.height) > self._longest:
                raise LimitExceededError(
                    f"Page {number} has {page.width:,.0f} × {page.height:,.0f} points, more than {self._longest:,.0f} "
                    "(ingest.limits.max_page_points)."
                )
            yield page
