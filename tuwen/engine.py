"""The engine: the verbs of tuwen, each over the parts that :mod:`tuwen.parts` puts together.

``ingest`` and ``retrieval`` do not know each other: what one reads, the engine carries to the other.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest.discovery import Opening
from ingest.isolation import Children
from ingest.pipeline import load_image, read_image_text
from ingest.workspace import SPOOL, sweep
from retrieval.base import PageIndex
from retrieval.search import SearchQuery
from tuwen.answering import Found, Inquiry, answer
from tuwen.catalog import Catalog
from tuwen.doctor import Checkup, check_up
from tuwen.errors import ModelUnavailableError, NotFoundError
from tuwen.intake import take_in_all
from tuwen.jobs import IngestEvent, OnEvent, Stage, Stores
from tuwen.lookup import Lookup, PageImage, check_page
from tuwen.parts import TENANT, Parts
from tuwen.removal import delete, finish_deletes
from tuwen.settings import Settings, default_home, load_settings
from tuwen.stages import initialise
from tuwen.status import EngineStatus, status_of
from tuwen.types import (
    Answer,
    Document,
    DocumentStatus,
    IngestReport,
    PageRecord,
    Receipt,
    SearchResult,
)
from tuwen.worker import Worker
from vlm.base import CancelToken, Message, TextStream
from vlm.models import task_options
from vlm.tasks.look import look


def _ignore(_event: IngestEvent) -> None:
    """For callers that do not wait for progress."""


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
        self.parts = Parts(settings, home)
        self._lookup = Lookup(self.parts)

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
        self.parts.close()

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
        spool = self.home / SPOOL
        sweep(spool)
        with self._children() as children:
            children.start()  # while this process opens its stores
            stores = self.parts.stores  # the index is held from here on
            finish_deletes(self.parts)
            into = self.catalog.collection(TENANT, collection, create=True)
            opening = Opening(children, self.settings.ingest.limits, spool, password)
            outcomes, skipped = take_in_all(paths, opening, into, self.catalog, self.parts.artefacts)
            self._requeue_stale()
            passwords = {document.document_id: password for document in outcomes} if password else {}
            self._drain(stores, children, on_event, passwords)
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
        pages = self._lookup.find(SearchQuery(words, picture, self._lookup.where(collection), top_k))
        return SearchResult(query=query, hits=tuple(self._lookup.hit(words, page) for page in pages))

    def ask(self, question: str | Inquiry, top_k: int | None = None, collection: str = "default") -> Answer:
        """Answer from the best pages, every claim with its quote located again by code; or refuse.

        Args:
            question: in natural language; as an inquiry, with a dialogue or a picture that it is about.
            top_k: pages taken as evidence; the settings' number when None.
            collection: where to look.

        Raises:
            NotFoundError: no such collection.
            InvalidRequestError: an empty question.
            IndexLockedError: another process holds the index.
            ModelUnavailableError: the model that answers cannot be loaded or reached.
        """
        inquiry = question if isinstance(question, Inquiry) else Inquiry(question, collection, top_k)
        steps = self.ask_stream(inquiry)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                whole: Answer = end.value
                return whole

    def ask_stream(self, inquiry: Inquiry) -> Generator[Found | str, None, Answer]:
        """The same in steps: the evidence, each sentence as soon as it is known to stand, then the answer.

        Closing it cancels the answer. Raises as :meth:`ask`.
        """
        return answer(self.parts, self._lookup, inquiry)

    def look(
        self, images: Sequence[Path], messages: Sequence[Message] = (), cancel: CancelToken | None = None
    ) -> TextStream:
        """Talk with the model about images, without documents; the model's words, which nothing checks.

        Args:
            images: picture files that the dialogue is about; they stand before the user's first words.
            messages: an optional system turn, then user and assistant in turn, a user's last; they may hold
                images of their own. None at all asks what the images show.
            cancel: ends the reply.

        Returns:
            The reply as it is written; ``"".join(reply)`` is all of it.

        Raises:
            InvalidRequestError: turns out of order, nothing to talk about, or too much to fit.
            DocumentError: a file is no picture, damaged or too large.
            ModelUnavailableError: the preset has no such model, or it cannot be loaded or reached.
        """
        model = self.parts.vision_models.answer
        if model is None:
            raise ModelUnavailableError("No model here looks at pictures: set models.answer.adapter.")
        pictures = [load_image(image, self.settings.ingest) for image in images]
        return look(model, pictures, messages, task_options(self.settings.models.answer), cancel)

    def page(self, document_id: str, page: int) -> PageRecord:
        """What was read from a page. Raises NotFoundError."""
        return self._lookup.page(document_id, page)

    def page_image(self, document_id: str, page: int) -> PageImage:
        """The picture of a page, and its record. Raises NotFoundError."""
        return self._lookup.page_image(document_id, page)

    def delete(self, references: Sequence[str]) -> tuple[Receipt, ...]:
        """Remove documents from every store, each with the versions that it replaced; one receipt a version.

        Args:
            references: ids, or beginnings of ids; all are looked up before anything is removed.

        Raises:
            NotFoundError: one is not there; nothing was removed.
            UnavailableError: a store cannot be reached: all are hidden, and giving the command again goes on.
        """
        try:
            return delete(references, self.parts)
        finally:
            self._lookup.forget()

    def retry(
        self,
        references: Sequence[str] = (),
        collection: str | None = None,
        password: str | None = None,
        on_event: OnEvent = _ignore,
    ) -> tuple[Document, ...]:
        """Try again documents that failed, and pages that were given up.

        Args:
            references: ids, or beginnings of ids; all that failed when there is none.
            collection: where to look; everywhere when None.
            password: for encrypted files among them.
            on_event: called with progress.

        Returns:
            The documents that there was something to try again of, as they are now.

        Raises:
            NotFoundError: no such document or collection.
            UnavailableError: a store is full, read-only or gone.
        """
        self._hold_index()
        where = self.catalog.collection(TENANT, collection) if collection else None
        ids = [self.catalog.document(one, collection=where).document_id for one in references] or None
        again = [document.document_id for document in self.catalog.retry_failed(where, tenant=TENANT, ids=ids)]
        self._drain_only(again, on_event, password)
        return tuple(map(self.catalog.document, again))

    def reread(
        self, reference: str, pages: Sequence[int] = (), password: str | None = None, on_event: OnEvent = _ignore
    ) -> Document:
        """Read pages again; the document answers as before meanwhile.

        Args:
            reference: id, or the beginning of one.
            pages: numbers from 1; all when there is none.
            password: for an encrypted file.
            on_event: called with progress.

        Raises:
            NotFoundError: no such document or page.
            UnavailableError: a store is full, read-only or gone.
        """
        self._hold_index()
        document = self.catalog.document(reference)
        for page in pages:
            check_page(document, page)
        self.catalog.ledger.forget(document.document_id, pages=[0, *pages] if pages else None)
        self.catalog.requeue(document.document_id)
        self._drain_only([document.document_id], on_event, password)
        return self.catalog.document(document.document_id)

    def doctor(self, *, fix: bool = False, on_event: OnEvent = _ignore) -> Checkup:
        """Find what one store holds and another does not know of; with ``fix``, mend it.

        Args:
            fix: else nothing is changed.
            on_event: called with progress, where documents must go through stages again.

        Raises:
            IndexLockedError: another process holds the index.
            UnavailableError: a store cannot be read or written.
        """
        try:
            return check_up(self.parts, lambda ids: self._drain_only(ids, on_event), fix=fix)
        finally:
            self._lookup.forget()

    def documents(self, collection: str = "default") -> list[Document]:
        """The documents of a collection, in the order in which they were added; ``default`` is always there.

        Raises:
            NotFoundError: no such collection.
        """
        found = self.catalog.collection(TENANT, collection, create=collection == "default")
        return list(self.catalog.documents(found).documents)

    def status(self) -> EngineStatus:
        """What is stored and in work; does not touch the index."""
        return status_of(self.parts)

    @property
    def catalog(self) -> Catalog:
        """Documents and the ledger."""
        return self.parts.catalog

    @property
    def index(self) -> PageIndex:
        """The vector index; held until :meth:`close`."""
        return self.parts.index

    def _hold_index(self) -> PageIndex:
        """Raises IndexLockedError before anything is queued that this process could not finish."""
        return self.parts.index

    def _children(self) -> Children:
        return Children(self.settings.ingest.workers or os.cpu_count() or 1, initialise, (self.parts.setup,))

    def _drain_only(self, ids: Sequence[str], on_event: OnEvent, password: str | None = None) -> None:
        with self._children() as children:
            self._drain(self.parts.stores, children, on_event, dict.fromkeys(ids, password) if password else {}, ids)

    def _drain(
        self,
        stores: Stores,
        children: Children,
        on_event: OnEvent,
        passwords: Mapping[str, str],
        only: Sequence[str] | None = None,
    ) -> None:
        try:
            Worker(stores, self.settings, children, on_event, self.parts.transcriber).drain(passwords, only)
        finally:
            self._lookup.forget()

    def _outcome(self, added: Document) -> Document:
        if added.status is DocumentStatus.DUPLICATE:
            return added
        try:
            return self.catalog.document(added.document_id)
        except NotFoundError:  # someone deleted it meanwhile
            return added.model_copy(update={"status": DocumentStatus.CANCELLED})

    def _requeue_stale(self) -> None:
        """Queue again what is not in this index: settings or models have changed, or the index was moved away."""
        if self.index.count() == 0:
            for document in self.catalog.documents(tenant=TENANT).documents:
                self.catalog.ledger.forget(document.document_id, [Stage.INDEX])
        for document_id in self.catalog.stale(Stage.INDEX, self.parts.fingerprints.encode):
            self.catalog.requeue(document_id)
