"""The stages of ingestion as pure functions that run in child processes.

Each reads its inputs from the blob store and writes its artefacts there; only small results go back to
the worker. A child is set up once (:func:`initialise`) and loads engines when a stage first needs them.
Running a stage again writes the same artefacts again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ingest import pipeline
from ingest.base import PageTask
from ingest.isolation import enter_child
from ingest.media import OFFICE, PDF
from ingest.office import convert
from ingest.passages import PASSAGES_VERSION, build_passages
from ingest.transcription import TRANSCRIPTION_VERSION
from ingest.workspace import SPOOL
from retrieval.base import Encoders
from retrieval.encoders import build_encoders
from retrieval.search import encode_page, encode_passages
from tuwen.artefacts import Artefacts, Fingerprints, PageVectors
from tuwen.blobs import open_blobs
from tuwen.errors import CorruptFileError, NotFoundError
from tuwen.fingerprint import fingerprint
from tuwen.settings import Settings
from tuwen.transcription import aligned
from tuwen.types import PageRecord, Passage, VerdictCode

T = TypeVar("T")


class Setup(NamedTuple):
    """What a child process is told at its start; picklable."""

    settings: Settings
    home: Path
    transcriber: str = ""
    """Fingerprint of what reads pages in the parent, where the models are; empty without any."""


class PageOutcome(NamedTuple):
    """Of reading one page."""

    artefact: str
    codes: tuple[VerdictCode, ...]


def stage_fingerprints(settings: Settings, encoders: Encoders, transcriber: str) -> Fingerprints:
    """Fingerprints of the stages under ``settings``; each covers the stages before it.

    Args:
        settings: of this process.
        encoders: what vectors are made with.
        transcriber: fingerprint of the models that read pages; empty where none does, and then so are its stages'.

    Conversion stands apart: another LibreOffice makes no page that was read before stale, and counts once a document is
    read again (:mod:`tuwen.jobs`).
    """
    read = pipeline.fingerprint(settings.ingest)
    transcribe = fingerprint(read=read, transcriber=transcriber) if transcriber else ""
    align = fingerprint(transcribe=transcribe, version=TRANSCRIPTION_VERSION) if transcriber else ""
    cut = settings.ingest.passages.model_dump()
    tokens = encoders.dense.description.name
    passages = fingerprint(read=align or read, version=PASSAGES_VERSION, parameters=cut, tokens=tokens)
    encode = fingerprint(passages=passages, encoders=encoders.fingerprint)
    return Fingerprints(convert.fingerprint(), read, passages, encode, transcribe, align)


class Child:
    """The engines of one child process, loaded when first used."""

    def __init__(self, setup: Setup) -> None:
        self.settings = setup.settings
        self.home = setup.home
        self._transcriber = setup.transcriber

    @cached_property
    def encoders(self) -> Encoders:
        """Single-threaded: parallelism comes from the pool."""
        encoders = self.settings.encoders
        dense = encoders.dense.model_copy(update={"threads": 1})
        return build_encoders(encoders.model_copy(update={"dense": dense}), self.home)

    @cached_property
    def artefacts(self) -> Artefacts:
        """The same store as the parent's."""
        fingerprints = stage_fingerprints(self.settings, self.encoders, self._transcriber)
        return Artefacts(open_blobs(self.settings.blobs, self.home), fingerprints)


_child: Child | None = None


def initialise(setup: Setup) -> None:
    """Set up this child process: within its bounds, one thread an engine."""
    global _child
    enter_child(setup.settings.ingest.limits.max_memory_mb)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    _child = Child(setup)


def _this() -> Child:
    assert _child is not None, "initialise() runs first"
    return _child


def convert_original(document_id: str, media_type: str, password: str | None) -> str:
    """Convert the original of an office document to PDF and store that; its key. Raises DocumentError."""
    child = _this()
    timeout, spool = child.settings.ingest.limits.convert_timeout_s, child.home / SPOOL
    with (
        child.artefacts.original(document_id) as path,
        convert.converted(path, media_type, password, timeout, spool) as pdf,
        pdf.open("rb") as source,
    ):
        return child.artefacts.put_converted(document_id, source)


def inspect(document_id: str, media_type: str, password: str | None) -> int:
    """Open a document and count its pages. Raises DocumentError."""
    child = _this()
    with _readable(child, document_id, media_type) as (path, kind):
        return pipeline.inspect(path, kind, password, child.settings.ingest)


def read_page(document_id: str, media_type: str, page: int, password: str | None) -> PageOutcome:
    """Read one page and store its record and image. Raises DocumentError."""
    child = _this()
    with _readable(child, document_id, media_type) as (path, kind):
        result = pipeline.read_page(PageTask(path, kind, page, password, child.settings.ingest))
    key = child.artefacts.put_page(document_id, result.record, result.image)
    return PageOutcome(key, result.record.verdict.codes)


@contextmanager
def _readable(child: Child, document_id: str, media_type: str) -> Iterator[tuple[Path, str]]:
    """The file whose pages are read, and what it is: the original, or what it was converted to."""
    if media_type in OFFICE:
        with child.artefacts.converted(document_id) as path:
            yield path, PDF
    else:
        with child.artefacts.original(document_id) as path:
            yield path, media_type


def align_page(document_id: str, page: int, has_seen: bool) -> PageOutcome:
    """Put what the models see on a page on the words of its plain reading, and store the record.

    Args:
        document_id: whose page.
        page: its number.
        has_seen: False where the models failed: the plain reading stays as it is.
    """
    artefacts = _this().artefacts
    record = artefacts.plain_page(document_id, page)
    if has_seen:
        record = aligned(record, artefacts.seen(document_id, page), artefacts.page_pixels(document_id, page))
    return PageOutcome(artefacts.put_aligned(document_id, record), record.verdict.codes)


def make_passages(document_id: str, pages: Sequence[int]) -> tuple[int, ...]:
    """Cut a document into passages and store them by the page they start on.

    Args:
        document_id: whose pages have all been read, quarantined ones apart.
        pages: the pages that have a record, ascending.

    Returns:
        The pages whose passages differ from those stored before: what was made of these is to be made again.
    """
    child = _this()
    passages = build_passages(
        _records(child.artefacts, document_id, pages),
        child.settings.ingest.passages,
        child.encoders.dense.count_tokens,
    )
    changed = []
    for page, group in _by_page(passages, pages):
        if group != _stored_passages(child, document_id, page):
            child.artefacts.put_passages(document_id, page, group)
            changed.append(page)
    return tuple(changed)


def _by_page(passages: Iterable[Passage], pages: Sequence[int]) -> Iterator[tuple[int, tuple[Passage, ...]]]:
    """The passages that start on each page; both come in the order of pages, and only one page's are held."""
    groups = groupby(passages, key=lambda passage: passage.page)
    page_of_next, following = next(groups, (None, iter(())))
    for page in pages:
        if page == page_of_next:
            yield page, tuple(following)
            page_of_next, following = next(groups, (None, iter(())))
        else:
            yield page, ()
    assert page_of_next is None, "passages come in the order of pages"


def _stored_passages(child: Child, document_id: str, page: int) -> tuple[Passage, ...] | None:
    try:
        return child.artefacts.passages(document_id, page)
    except (NotFoundError, CorruptFileError):  # not cut yet, or to be cut again because of this
        return None


def _records(artefacts: Artefacts, document_id: str, pages: Sequence[int]) -> Iterator[PageRecord]:
    return (artefacts.page(document_id, page) for page in pages)


def encode_pages(document_id: str, document_name: str, pages: Sequence[int]) -> None:
    """Encode the passages and the image of each page, batched over the pages, and store the vectors."""
    child = _this()
    by_page = {page: child.artefacts.passages(document_id, page) for page in pages}
    everything = [passage for group in by_page.values() for passage in group]
    vectors = iter(encode_passages(everything, document_name, child.encoders))
    for page, group in by_page.items():
        of_passages = tuple(islice(vectors, len(group)))
        record, image = child.artefacts.page(document_id, page), child.artefacts.page_pixels(document_id, page)
        of_page = encode_page(record, image, document_name, child.encoders)
        child.artefacts.put_vectors(document_id, page, PageVectors(of_passages, of_page))


def timed(call: Callable[..., T], *args: Any) -> tuple[T, float]:
    """``call(*args)`` and the seconds it took."""
    began = time.perf_counter()
    return call(*args), time.perf_counter() - began
