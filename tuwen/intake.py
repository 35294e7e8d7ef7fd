"""Taking in files: their bytes are kept first, so that what is in the queue can always be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath

from ingest.base import Found
from ingest.discovery import Opening, discover
from tuwen.artefacts import Artefacts
from tuwen.catalog import Catalog, Collection, document_id_for
from tuwen.errors import CorruptFileError, DocumentError, LimitExceededError
from tuwen.types import Document, Skipped


def take_in_all(
    paths: Sequence[Path], opening: Opening, into: Collection, catalog: Catalog, artefacts: Artefacts
) -> tuple[list[Document], list[Skipped]]:
    """Take in files, folders and archives; what became of each file, and what was left out and why.

    Raises:
        UnavailableError: a store is full, read-only or gone.
    """
    outcomes: list[Document] = []
    skipped: list[Skipped] = []
    for found in discover(paths, opening):
        if isinstance(found, Skipped):
            skipped.append(found)
            continue
        try:
            outcomes.append(take_in(found, into, catalog, artefacts, opening.limits.max_file_bytes))
        except DocumentError as error:
            skipped.append(Skipped(path=found.path, code=error.code, message=error.message))
    return outcomes, skipped


def take_in(found: Found, into: Collection, catalog: Catalog, artefacts: Artefacts, max_bytes: int) -> Document:
    """Keep a file's bytes, then record it; what to report is a duplicate where its content is there already.

    Raises:
        LimitExceededError: more than ``max_bytes``, seen before anything is copied.
        CorruptFileError: gone, or written to meanwhile.
    """
    digest, size = _digest(found, max_bytes)
    document_id = document_id_for(into.tenant, into.name, found.path, digest)
    stored = artefacts.has_original(document_id)
    if not stored:
        with _opened(found) as source:
            artefacts.put_original(document_id, source)
        if _digest(found, max_bytes) != (digest, size):
            artefacts.remove(document_id)
            raise CorruptFileError(f"{found.path} was written to while it was taken in; ingest it again.")
    document = catalog.add(
        into,
        name=PurePosixPath(found.path).name,
        path=found.path,
        sha256=digest,
        size=size,
        media_type=found.media_type,
    ).document
    if not stored and document.document_id != document_id:  # the same bytes are there under another path
        artefacts.remove(document_id)
    return document


def _digest(found: Found, max_bytes: int) -> tuple[str, int]:
    with _opened(found) as source:
        size = os.fstat(source.fileno()).st_size
        if size > max_bytes:
            raise LimitExceededError(f"{found.path} has {size:,} bytes; the limit is {max_bytes:,}.")
        return hashlib.file_digest(source, "sha256").hexdigest(), size


@contextmanager
def _opened(found: Found) -> Iterator[BufferedReader]:
    try:
        source = found.file.open("rb")
    except OSError as error:
        raise CorruptFileError(f"{found.path} cannot be opened any more: {error.strerror}.") from error
    with source:
        yield source
