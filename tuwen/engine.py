"""The engine: puts the rooms together as the settings say, and offers the verbs.

This is the only module that knows which adapter is which. ``ingest`` and ``retrieval`` do not know each
other: what one reads, the engine carries to the other.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, lru_cache
from io import BufferedReader
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple, Self

from pydantic import Field

from ingest.base import Found
from ingest.discovery import discover
from ingest.pipeline import load_image, read_image_text
from retrieval.answerers import build_answerer
from retrieval.base import Answerer, Encoders, Evidence, Filter, PageCandidate, PageIndex
from retrieval.encoders import build_encoders
from retrieval.grounding import verify
from retrieval.index import index_owner, open_index
from retrieval.matching import matched_boxes
from retrieval.search import SearchQuery, search, vector_fields
from tuwen import __version__
from tuwen.artefacts import Artefacts, Fingerprints
from tuwen.blobs import open_blobs
from tuwen.catalog import Catalog, Collection, PageState, document_id_for, sqlite_url
from tuwen.errors import (
    CorruptFileError,
    DocumentError,
    IndexStaleError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    StorageUnavailableError,
)
from tuwen.jobs import IngestEvent, OnEvent, Stage, Stores
from tuwen.settings import Settings, default_home, load_settings
from tuwen.stages import Setup, stage_fingerprints
from tuwen.types import (
    Answer,
    Box,
    Document,
    DocumentStatus,
    Hit,
    HitKind,
    IngestReport,
    Model,
    PageRecord,
    Passage,
    RefusalReason,
    SearchResult,
    Skipped,
    Timings,
)
from tuwen.worker import Worker

TENANT = "default"
_REFUSALS = {
    RefusalReason.NO_EVIDENCE: "资料中没有找到能回答这个问题的内容。",
    RefusalReason.UNREADABLE_SOURCE: "最相关的页面无法可靠识别，因此不作回答。",
}


def _ignore(_event: IngestEvent) -> None:
    """For callers that do not wait for progress."""


class EngineStatus(Model):
    """Outcome of ``tuwen status``."""

    version: str
    preset: str
    home: str
    documents: dict[str, int] = Field(description="number by status")
    pages: int = Field(description="pages in the index")
    stages: dict[str, dict[str, int]] = Field(description="ledger entries by stage and state")
    warnings: dict[str, int] = Field(description="page warnings by code")
    index_owner: str | None = Field(description="the process that holds the index, if any")


class PageImage(NamedTuple):
    """A stored page image."""

    jpeg: bytes
    record: PageRecord


class Tuwen:
    """Documents in, cited answers out; a context manager.

    Parts are opened when a verb first needs them: listing documents does not touch the index, which only
    one process may hold.

    Ingestion spawns child processes, so a script that calls it needs the usual ``__main__`` guard::

        if __name__ == "__main__":
            with Tuwen.open() as engine:
                engine.ingest([Path.home() / "documents"])
                print(engine.ask("年假有几天？").answer)
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.home = home
        self._exit = ExitStack()

    @classmethod
    def open(cls, settings: Settings | None = None, home: Path | None = None) -> Self:
        """An engine over ``home`` (``TUWEN_HOME`` when None). Raises ConfigurationError."""
        return cls(settings or load_settings(), home or default_home())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the index and the catalog."""
        self._exit.close()

    def ingest(
        self,
        paths: Sequence[Path],
        collection: str = "default",
        password: str | None = None,
        on_event: OnEvent = _ignore,
    ) -> IngestReport:
        """Take in files and folders and process everything that is queued.

        A bad file is its own failed entry and costs no other. An interrupted call goes on where it was when
        it is made again.

        Args:
            paths: files, or folders that are searched recursively.
            collection: made when it does not exist.
            password: for encrypted files among ``paths``.
            on_event: called with progress.

        Raises:
            IndexLockedError: another process holds the index.
            UnavailableError: a store is full, read-only or gone.
        """
        stores = self._stores
        into = self.catalog.collection(TENANT, collection, create=True)
        skipped: list[Skipped] = []
        outcomes: list[Document] = []
        for found in discover(paths):
            if isinstance(found, Skipped):
                skipped.append(found)
                continue
            try:
                outcomes.append(self._add(into, found))
            except DocumentError as error:
                skipped.append(Skipped(path=found.path, code=error.code, message=error.message))
        self._requeue_stale()
        passwords = {document.document_id: password for document in outcomes} if password else {}
        Worker(stores, Setup(self.settings, self.home), on_event).drain(passwords)
        return IngestReport(documents=tuple(map(self._outcome, outcomes)), skipped=tuple(skipped))

    def search(
        self, query: str, top_k: int = 10, collection: str = "default", image: Path | None = None
    ) -> SearchResult:
        """The pages that match best, one hit a page.

        Args:
            query: words; may be empty when ``image`` is given.
            top_k: pages wanted.
            collection: where to look.
            image: a picture, such as a screenshot of a page; its text is read and searched for too.

        Raises:
            NotFoundError: no such collection.
            InvalidRequestError: neither words nor an image.
            IndexLockedError: another process holds the index.
        """
        picture = load_image(image, self.settings.ingest) if image else None
        words = query
        if picture is not None:
            words = f"{query}\n{read_image_text(picture, self.settings.ingest)}".strip()
        where = self._where(collection)
        request = SearchQuery(words, picture, where, top_k)
        pages = search(request, self.encoders, self.index, self.settings.search)
        return SearchResult(query=query, hits=tuple(self._hit(words, page) for page in pages))

    def ask(self, question: str, top_k: int | None = None, collection: str = "default") -> Answer:
        """Answer from the best pages, every claim with its quote located again by code; or refuse.

        Args:
            question: in natural language.
            top_k: pages taken as evidence; the settings' number when None.
            collection: where to look.

        Raises:
            NotFoundError: no such collection.
            InvalidRequestError: an empty question.
            IndexLockedError: another process holds the index.
        """
        if not question.strip():
            raise InvalidRequestError("The question is empty.")
        began = time.perf_counter()
        request = SearchQuery(question, None, self._where(collection), top_k or self.settings.answer.top_k)
        pages = search(request, self.encoders, self.index, self.settings.search)
        evidence = [self._evidence(page) for page in pages]
        retrieved = time.perf_counter()
        draft = self.answerer.answer(question, evidence)
        grounded = verify(draft, evidence)
        timings = Timings(retrieve_ms=_ms(began, retrieved), answer_ms=_ms(retrieved, time.perf_counter()))
        if draft.reason or not grounded.citations:
            reason = draft.reason or RefusalReason.NO_EVIDENCE
            return Answer(question=question, answer=_REFUSALS[reason], refused=True, reason=reason, timings=timings)
        return Answer(
            question=question,
            answer=grounded.text,
            conflict=draft.conflict,
            citations=grounded.citations,
            timings=timings,
        )

    def page(self, document_id: str, page: int) -> PageRecord:
        """What was read from a page. Raises NotFoundError."""
        document = self.catalog.document(document_id)
        if not document.pages or not 1 <= page <= document.pages:
            raise NotFoundError(f"{document.name} has {document.pages or 0} pages; there is no page {page}.")
        return self._record(document.document_id, page)

    def page_image(self, document_id: str, page: int) -> PageImage:
        """The picture of a page, and its record. Raises NotFoundError."""
        record = self.page(document_id, page)
        return PageImage(self._artefacts.page_image(self.catalog.document(document_id).document_id, page), record)

    def documents(self, collection: str = "default") -> list[Document]:
        """The documents of a collection, in the order in which they were added; ``default`` is always there.

        Raises:
            NotFoundError: no such collection.
        """
        found = self.catalog.collection(TENANT, collection, create=collection == "default")
        return list(self.catalog.documents(found).documents)

    def status(self) -> EngineStatus:
        """What is stored and in work; does not touch the index."""
        stats = self.catalog.stats(tenant=TENANT)
        return EngineStatus(
            version=__version__,
            preset=self.settings.preset,
            home=str(self.home),
            documents=dict(stats.documents),
            pages=stats.pages.get(Stage.INDEX, {}).get(PageState.DONE, 0),
            stages={stage: dict(states) for stage, states in stats.pages.items()},
            warnings=dict(stats.warnings),
            index_owner=index_owner(self._index_path),
        )

    @cached_property
    def catalog(self) -> Catalog:
        """Documents and the ledger."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailableError(f"TUWEN_HOME {self.home} cannot be made: {error.strerror}.") from error
        url = self.settings.catalog.url or sqlite_url(self.home / "catalog.db")
        return self._exit.enter_context(Catalog.open(url))

    @cached_property
    def encoders(self) -> Encoders:
        """All vectors of the preset."""
        return build_encoders(self.settings.encoders, self.home)

    @cached_property
    def index(self) -> PageIndex:
        """The vector index of these encoders; held until :meth:`close`."""
        index = open_index(self.settings.index, self._index_path, vector_fields(self.encoders))
        self._exit.callback(index.close)
        return index

    @cached_property
    def answerer(self) -> Answerer:
        """From evidence to drafts."""
        return build_answerer(self.settings.answer, self.encoders)

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """Of the stages under these settings."""
        return stage_fingerprints(self.settings, self.encoders)

    @cached_property
    def _artefacts(self) -> Artefacts:
        return Artefacts(open_blobs(self.settings.blobs, self.home), self.fingerprints)

    @property
    def _index_path(self) -> Path:
        return self.home / "index" / self.encoders.fingerprint

    @property
    def _stores(self) -> Stores:
        return Stores(self.catalog, self._artefacts, self.fingerprints, self.index)

    def _add(self, into: Collection, found: Found) -> Document:
        """Keep a file's bytes, then record it: what is in the queue can always be read.

        Raises:
            LimitExceededError: too large, seen before anything is copied.
            CorruptFileError: gone, or written to meanwhile.
        """
        digest, size = self._digest(found)
        document_id = document_id_for(TENANT, into.name, found.path, digest)
        stored = self._artefacts.has_original(document_id)
        if not stored:
            with _opened(found) as source:
                self._artefacts.put_original(document_id, source)
            if self._digest(found) != (digest, size):
                self._artefacts.remove(document_id)
                raise CorruptFileError(f"{found.path} was written to while it was taken in; ingest it again.")
        document = self.catalog.add(
            into,
            name=PurePosixPath(found.path).name,
            path=found.path,
            sha256=digest,
            size=size,
            media_type=found.media_type,
        ).document
        if not stored and document.document_id != document_id:  # the same bytes are there under another path
            self._artefacts.remove(document_id)
        return document

    def _digest(self, found: Found) -> tuple[str, int]:
        limit = self.settings.ingest.limits.max_file_bytes
        with _opened(found) as source:
            size = os.fstat(source.fileno()).st_size
            if size > limit:
                raise LimitExceededError(f"{found.path} has {size:,} bytes; the limit is {limit:,}.")
            return hashlib.file_digest(source, "sha256").hexdigest(), size

    def _outcome(self, added: Document) -> Document:
        return added if added.status is DocumentStatus.DUPLICATE else self.catalog.document(added.document_id)

    def _where(self, collection: str) -> Filter:
        found = self.catalog.collection(TENANT, collection, create=collection == "default")
        if self._never_indexed():
            raise IndexStaleError(
                "The documents are not in this index: settings or models have changed, or the index was moved away. "
                "Run `tuwen ingest` once more, on any path: it indexes all of them again."
            )
        return Filter(tenant=TENANT, collection=found.name, exclude_documents=tuple(self.catalog.hidden(found)))

    def _requeue_stale(self) -> None:
        """Queue again what is not in this index: settings or models have changed, or the index was moved away."""
        if self.index.count() == 0:
            for document in self.catalog.documents(tenant=TENANT).documents:
                self.catalog.ledger.forget(document.document_id, [Stage.INDEX])
        for document_id in self.catalog.stale(Stage.INDEX, self.fingerprints.encode):
            self.catalog.requeue(document_id)

    def _never_indexed(self) -> bool:
        """Whether there are documents, and none is in this index."""
        stale = len(self.catalog.stale(Stage.INDEX, self.fingerprints.encode))
        stats = self.catalog.stats(tenant=TENANT).documents
        ready = stats.get(DocumentStatus.READY, 0) + stats.get(DocumentStatus.READY_WITH_WARNINGS, 0)
        return ready > 0 and (ready <= stale or self.index.count() == 0)

    def _hit(self, words: str, found: PageCandidate) -> Hit:
        document = self.catalog.document(found.document_id)
        record = self._record(found.document_id, found.page)
        kind, text = HitKind.IMAGE, ""
        boxes: tuple[Box, ...] = (Box(0, 0, 1, 1),)
        passages = self._passages(found)
        if passages:
            kind, text = passages[0].kind, passages[0].text
            boxes = matched_boxes(words, record, passages[0])
        return Hit(
            document_id=found.document_id,
            document_name=document.name,
            page=found.page,
            score=round(found.score, 6),
            kind=kind,
            text=text,
            boxes=boxes,
        )

    def _evidence(self, found: PageCandidate) -> Evidence:
        name = self.catalog.document(found.document_id).name
        record = self._record(found.document_id, found.page)
        return Evidence(found.document_id, name, record, self._passages(found), found.score, found.scores)

    def _passages(self, found: PageCandidate) -> tuple[Passage, ...]:
        return tuple(self._passage(one.document_id, one.start_page, one.ordinal) for one in found.passages)

    def _passage(self, document_id: str, page: int, ordinal: int) -> Passage:
        return next(p for p in self._page_passages(document_id, page) if p.ordinal == ordinal)

    @cached_property
    def _page_passages(self) -> Callable[[str, int], tuple[Passage, ...]]:
        return lru_cache(maxsize=512)(self._artefacts.passages)

    @cached_property
    def _record(self) -> Callable[[str, int], PageRecord]:
        return lru_cache(maxsize=256)(self._artefacts.page)


@contextmanager
def _opened(found: Found) -> Iterator[BufferedReader]:
    try:
        source = found.file.open("rb")
    except OSError as error:
        raise CorruptFileError(f"{found.path} cannot be opened any more: {error.strerror}.") from error
    with source:
        yield source


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 1)
