"""The engine: puts the rooms together as the settings say, and offers the verbs.

This is the only module that knows which adapter is which. ``ingest`` and ``retrieval`` do not know each
other: what one reads, the engine carries to the other.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ingest.discovery import discover
from ingest.pipeline import load_image, read_image_text
from retrieval.index import open_index

from retrieval.answerers import build_answerer
from retrieval.base import Answerer, Encoders, Evidence, Filter, PageCandidate, PageIndex
from retrieval.encoders import build_encoders
from retrieval.grounding import verify
from retrieval.matching import matched_boxes
from retrieval.search import SearchQuery, search, vector_fields
from tuwen.artefacts import Artefacts
from tuwen.blobs import open_blobs
from tuwen.catalog import Catalog
from tuwen.errors import InvalidRequestError, NotFoundError
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
    PageRecord,
    Passage,
    RefusalReason,
    SearchResult,
    Skipped,
    Timings,
)
from tuwen.worker import IngestEvent, OnEvent, Stores, Worker

TENANT = "default"
_REFUSALS = {
    RefusalReason.NO_EVIDENCE: "资料中没有找到能回答这个问题的内容。",
    RefusalReason.UNREADABLE_SOURCE: "最相关的页面无法可靠识别，因此不作回答。",
}


def _ignore(_event: IngestEvent) -> None:
    """For callers that do not wait for progress."""


class PageImage(NamedTuple):
    """A stored page image."""

    jpeg: bytes
    record: PageRecord


class Tuwen:
    """Documents in, cited answers out; a context manager.

    Parts are opened when a verb first needs them: listing documents does not touch the index, which only
    one process may hold.

    Example:
        >>> with Tuwen.open() as engine:                       # doctest: +SKIP
        ...     engine.ingest([Path("~/documents").expanduser()])
        ...     print(engine.ask("年假有几天？").answer)
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
        self.catalog.collection(TENANT, collection, create=True)
        skipped: list[Skipped] = []
        outcomes: list[Document] = []
        for found in discover(paths):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                outcomes.append(self._add(collection, found.file, found.path, found.media_type))
        passwords = {document.document_id: password for document in outcomes} if password else {}
        Worker(stores, Setup(self.settings, self.home), on_event).drain(passwords)
        documents = tuple(
            outcome if outcome.status is DocumentStatus.DUPLICATE else self.catalog.document(outcome.document_id)
            for outcome in outcomes
        )
        return IngestReport(documents=documents, skipped=tuple(skipped))

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
        """The documents of a collection, newest last. Raises NotFoundError."""
        self.catalog.collection(TENANT, collection)
        return list(self.catalog.iter_documents(TENANT, collection))

    @cached_property
    def catalog(self) -> Catalog:
        """Documents and the ledger."""
        self.home.mkdir(parents=True, exist_ok=True)
        url = self.settings.catalog.url or f"sqlite:///{self.home / 'catalog.db'}"
        return self._exit.enter_context(Catalog.open(url))

    @cached_property
    def encoders(self) -> Encoders:
        """All vectors of the preset."""
        return build_encoders(self.settings.encoders, self.home)

    @cached_property
    def index(self) -> PageIndex:
        """The vector index of these encoders; held until :meth:`close`."""
        path = self.home / "index" / self.encoders.fingerprint
        index = open_index(self.settings.index, path, vector_fields(self.encoders))
        self._exit.callback(index.close)
        return index

    @cached_property
    def answerer(self) -> Answerer:
        """From evidence to drafts."""
        return build_answerer(self.settings.answer, self.encoders)

    @cached_property
    def _artefacts(self) -> Artefacts:
        fingerprints = stage_fingerprints(self.settings, self.encoders)
        return Artefacts(open_blobs(self.settings.blobs, self.home), fingerprints)

    @property
    def _stores(self) -> Stores:
        return Stores(self.catalog, self._artefacts, stage_fingerprints(self.settings, self.encoders), self.index)

    def _add(self, collection: str, file: Path, path: str, media_type: str) -> Document:
        """Record a file and keep its bytes."""
        with file.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            added = self.catalog.add(
                TENANT,
                collection,
                name=Path(path).name,
                path=path,
                sha256=digest,
                size=source.tell(),
                media_type=media_type,
            )
            document = added.document
            if document.status is not DocumentStatus.DUPLICATE and not self._artefacts.has_original(
                document.document_id
            ):
                source.seek(0)
                self._artefacts.put_original(document.document_id, source)
        return document

    def _where(self, collection: str) -> Filter:
        self.catalog.collection(TENANT, collection)
        return Filter(
            tenant=TENANT,
            collection=collection,
            exclude_documents=tuple(self.catalog.hidden_documents(TENANT, collection)),
        )

    def _hit(self, words: str, found: PageCandidate) -> Hit:
        document = self.catalog.document(found.document_id)
        record = self._record(found.document_id, found.page)
        kind, text, boxes = HitKind.IMAGE, "", (Box(0, 0, 1, 1),)
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
    def _page_passages(self):
        return lru_cache(maxsize=512)(self._artefacts.passages)

    @cached_property
    def _record(self):
        return lru_cache(maxsize=256)(self._artefacts.page)


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 1)
