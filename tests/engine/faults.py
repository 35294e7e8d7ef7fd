"""Stages that fail on purpose; they run in real child processes in place of the real ones."""

import os
import time

import numpy as np

from tuwen import stages
from tuwen.errors import CorruptFileError, NotFoundError, StorageUnavailableError

real_read_page = stages.read_page
real_encode_pages = stages.encode_pages
real_align_page = stages.align_page
BAD_PAGE = 2


def crash(document_id: str, media_type: str, page: int, password: str | None) -> stages.PageOutcome:
    if page == BAD_PAGE:
        os.abort()
    return real_read_page(document_id, media_type, page, password)


def hang(document_id: str, media_type: str, page: int, password: str | None) -> stages.PageOutcome:
    if page == BAD_PAGE:
        time.sleep(3600)
    return real_read_page(document_id, media_type, page, password)


def eat_memory(document_id: str, media_type: str, page: int, password: str | None) -> stages.PageOutcome:
    if page == BAD_PAGE:
        np.ones(20 << 30, np.uint8)
    return real_read_page(document_id, media_type, page, password)


def bug(document_id: str, media_type: str, page: int, password: str | None) -> stages.PageOutcome:
    if page == BAD_PAGE:
        raise ZeroDivisionError("the page has no width")
    return real_read_page(document_id, media_type, page, password)


def always_bug(_document_id: str, _media_type: str, _page: int, _password: str | None) -> stages.PageOutcome:
    raise ZeroDivisionError("no page has a width")


def disk_full(document_id: str, media_type: str, page: int, password: str | None) -> stages.PageOutcome:
    if page == BAD_PAGE:
        raise StorageUnavailableError("No space left on the device.")
    return real_read_page(document_id, media_type, page, password)


def crash_encoding(document_id: str, document_name: str, pages: tuple[int, ...]) -> None:
    if BAD_PAGE in pages:
        os.abort()
    real_encode_pages(document_id, document_name, pages)


def damaged_page(_document_id: str, _document_name: str, _pages: tuple[int, ...]) -> None:
    raise CorruptFileError("The stored artefact is damaged.")


def original_gone(_document_id: str, _media_type: str, _page: int, _password: str | None) -> stages.PageOutcome:
    raise NotFoundError("There is no original.")


def bad_output(document_id: str, media_type: str, page: int, password: str | None) -> stages.PageOutcome:
    """Says that all is well, and leaves half a record behind, every time."""
    outcome = real_read_page(document_id, media_type, page, password)
    if page == BAD_PAGE:
        blobs = stages._this().artefacts._blobs
        blobs.put(outcome.artefact, blobs.get(outcome.artefact)[:20])
    return outcome


def crash_aligning(document_id: str, page: int, has_seen: bool) -> stages.PageOutcome:
    if has_seen and page == BAD_PAGE:
        os.abort()
    return real_align_page(document_id, page, has_seen)
