"""The doctor: what one store holds and another does not know of, and how it is mended.

The ledger is what the stores are held against: a page that is through a stage has that stage's artefacts,
undamaged, and its points in the index, and nothing else is there. Documents that wait or are in work are
left alone: their stages overwrite what they left behind.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple
from uuid import UUID

from PIL import Image
from pydantic import Field

from retrieval.base import Filter
from retrieval.index import set_aside
from tuwen.artefacts import Stored
from tuwen.errors import CorruptFileError, IndexLockedError, NotFoundError, StorageUnavailableError
from tuwen.jobs import Stage
from tuwen.parts import Parts
from tuwen.points import point_ids
from tuwen.removal import purge
from tuwen.types import Document, DocumentStatus, Model

_READY = (DocumentStatus.READY, DocumentStatus.READY_WITH_WARNINGS)
_ARTEFACT_STAGES = (Stage.READ, Stage.TRANSCRIBE, Stage.ALIGN, Stage.PASSAGES, Stage.ENCODE)
_ROUNDS = 3
"""What was mended is looked at again; a page that was read again may need its points written again."""
_WHOLE = 0
_DAMAGE = (CorruptFileError, NotFoundError)


class Finding(Model):
    """Something that does not fit together."""

    code: str
    store: str = Field(description="catalog, blobs, artefacts or index")
    document_id: str | None
    count: int = Field(description="of what the message speaks of")
    message: str
    fixed: bool = False


class Checkup(Model):
    """Outcome of ``tuwen doctor``."""

    documents: int = Field(description="documents examined")
    pages: int = Field(description="pages of these")
    findings: tuple[Finding, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to mend."""
        return all(finding.fixed for finding in self.findings)


class Complaint(NamedTuple):
    """A finding and its remedy."""

    finding: Finding
    mend: Callable[[], object] | None
    """None where only a person can help; a document whose stages must run again is queued."""


def check_up(parts: Parts, run: Callable[[list[str]], None], *, fix: bool) -> Checkup:
    """Examine every store; with ``fix``, mend what can be mended, and look again whether that helped.

    Args:
        parts: the stores.
        run: lets documents that were queued again go through their stages.
        fix: else nothing is changed.

    Raises:
        IndexLockedError: another process holds the index: nothing can be said about it.
        StorageUnavailableError: a store cannot be read, or must be set aside and ``fix`` is not given.
    """
    seen: dict[tuple[str, str | None], Finding] = {}
    damaged = _open_index(parts, fix=fix)
    for _ in range(_ROUNDS):
        complaints = list(examine(parts))
        left = {(one.finding.code, one.finding.document_id): one.finding for one in complaints}
        seen = left | seen
        remedies = [one for one in complaints if one.mend is not None]
        if not fix or not remedies:
            break
        for one in remedies:
            assert one.mend is not None
            one.mend()
        run([one.finding.document_id for one in remedies if one.finding.document_id])
    findings = [finding.model_copy(update={"fixed": key not in left}) for key, finding in seen.items()]
    documents = parts.catalog.documents(tenant=None, include_replaced=True).documents
    return Checkup(
        documents=len(documents),
        pages=sum(document.pages or 0 for document in documents),
        findings=(*damaged, *findings),
    )


def _open_index(parts: Parts, *, fix: bool) -> tuple[Finding, ...]:
    """Open the index; a damaged one is set aside, so that another is built in its place."""
    try:
        parts.index  # noqa: B018  opened at the first look
    except IndexLockedError:
        raise
    except StorageUnavailableError:
        if not fix:
            raise
        aside = set_aside(parts.settings.index, parts.index_path)
        if aside is None:
            raise
        parts.index  # noqa: B018
        return (_finding("damaged_index", "index", f"The index was damaged; it is kept as {aside}.", fixed=True),)
    return ()


def examine(parts: Parts) -> Iterator[Complaint]:
    """Everything that does not fit together; needs the index. Mending while this runs is not safe."""
    documents = {d.document_id: d for d in parts.catalog.documents(tenant=None, include_replaced=True).documents}
    deleting = parts.catalog.tombstones()
    for document_id in deleting:
        yield _unfinished_delete(document_id, parts)
    yield from _strangers(parts, {*documents, *deleting})
    stale = set(parts.catalog.stale(Stage.INDEX, parts.fingerprints.encode))
    for document in documents.values():
        if document.document_id in stale:
            yield _stale(document.document_id, parts)
        elif document.status in _READY:
            yield from _Patient(document, parts).complaints()
    if not stale:
        yield from _older_indexes(parts)
    leftovers = parts.blobs.sweep(dry_run=True)
    if leftovers:
        message = "Files that interrupted writes left behind."
        yield Complaint(_finding("leftovers", "blobs", message, leftovers), lambda: parts.blobs.sweep())


class _Patient:
    """One document that is ready under the settings as they are."""

    def __init__(self, document: Document, parts: Parts) -> None:
        self.id = document.document_id
        self._document = document
        self._parts = parts
        self._ledger = parts.catalog.ledger
        self._pages = range(1, (document.pages or 0) + 1)

    def complaints(self) -> Iterator[Complaint]:
        """In the order in which they are mended."""
        artefacts = self._parts.artefacts
        stored = artefacts.stored(self.id)
        if not self._answers():
            yield from self._points(set())
            return
        yield from self._original()
        yield from self._unfinished()
        yield from self._orphans(stored)
        damaged = {stage: self._damaged(stage, stored) for stage in _ARTEFACT_STAGES}
        for stage, pages in damaged.items():
            if pages:
                message = f"What stage {stage} left behind of these pages is missing or damaged."
                finding = _finding("damaged_artefacts", "artefacts", message, len(pages), self.id)
                yield Complaint(finding, partial(self._redo, stage, pages))
        if not any(damaged.values()):
            yield from self._points(set(self._done(Stage.INDEX)))

    def _answers(self) -> bool:
        return bool(self._done(Stage.INDEX))

    def _original(self) -> Iterator[Complaint]:
        try:
            digest = self._parts.artefacts.original_digest(self.id)
        except NotFoundError:
            message = f"The file of {self._document.path} is gone from the store; ingest it again to put it back."
            yield Complaint(_finding("missing_original", "blobs", message, 1, self.id), None)
            return
        if digest != self._document.sha256:
            message = f"The stored file of {self._document.path} is damaged; delete the document and ingest it again."
            yield Complaint(_finding("damaged_original", "blobs", message, 1, self.id), None)

    def _unfinished(self) -> Iterator[Complaint]:
        read = self._done(Stage.READ)
        open_pages = set(self._pages) - self._closed(Stage.READ)
        open_pages |= read - self._closed(Stage.ENCODE)
        if self._parts.fingerprints.align:
            open_pages |= read - self._closed(Stage.TRANSCRIBE) | read - self._closed(Stage.ALIGN)
        open_pages |= self._done(Stage.ENCODE) - self._closed(Stage.INDEX)
        if open_pages:
            message = "The document is said to be ready, and these pages are not through all stages."
            finding = _finding("unfinished_pages", "catalog", message, len(open_pages), self.id)
            yield Complaint(finding, self._requeue)

    def _orphans(self, stored: Stored) -> Iterator[Complaint]:
        artefacts = self._parts.artefacts
        converted = artefacts.keys(self.id, Stage.CONVERT, [_WHOLE])  # kept for reading pages again, and not missed
        orphans = stored.current.difference(converted, *map(self._expected, _ARTEFACT_STAGES))
        if orphans:
            message = "Artefacts of pages that are not through their stage."
            finding = _finding("orphan_artefacts", "artefacts", message, len(orphans), self.id)
            yield Complaint(finding, partial(artefacts.delete, orphans))
        if stored.old:
            message = "Artefacts of other settings or models; should those come back, the pages are read again."
            finding = _finding("old_artefacts", "artefacts", message, len(stored.old), self.id)
            yield Complaint(finding, partial(self._forget_old, stored.old))

    def _damaged(self, stage: Stage, stored: Stored) -> set[int]:
        """Pages that are through ``stage`` and whose artefacts are not there, or cannot be read."""
        return {page for page in self._made(stage) if not self._is_whole(stage, page, stored)}

    def _is_whole(self, stage: Stage, page: int, stored: Stored) -> bool:
        artefacts = self._parts.artefacts
        if not artefacts.keys(self.id, stage, [page]) <= stored.current:
            return False
        try:
            match stage:
                case Stage.READ:
                    artefacts.plain_page(self.id, page)
                    return _is_whole_jpeg(artefacts.page_image(self.id, page))
                case Stage.TRANSCRIBE:
                    artefacts.seen(self.id, page)
                case Stage.ALIGN:
                    artefacts.page(self.id, page)
                case Stage.PASSAGES:
                    artefacts.passages(self.id, page)
                case _:
                    artefacts.vectors(self.id, page)
        except _DAMAGE:
            return False
        return True

    def _points(self, pages: set[int]) -> Iterator[Complaint]:
        found = set(self._parts.index.ids(Filter(documents=(self.id,))))
        expected = {point for page in pages for point in point_ids(self.id, page, self._parts.artefacts)}
        if found - expected:
            message = "Points in the index that no page of the document has."
            finding = _finding("orphan_points", "index", message, len(found - expected), self.id)
            yield Complaint(finding, partial(self._remove_points, found - expected))
        if expected - found:
            message = "Points of the document that are missing in the index."
            finding = _finding("missing_points", "index", message, len(expected - found), self.id)
            yield Complaint(finding, partial(self._redo, Stage.INDEX, pages))

    def _remove_points(self, ids: set[UUID]) -> None:
        self._parts.index.delete(Filter(documents=(self.id,), points=tuple(ids)))

    def _redo(self, stage: Stage, pages: Iterable[int]) -> None:
        """Let ``pages`` go through ``stage`` again, and through those that build on it."""
        later = list(Stage)[list(Stage).index(stage) :]
        self._ledger.forget(self.id, later, list(pages))
        if stage in (Stage.READ, Stage.TRANSCRIBE, Stage.ALIGN, Stage.PASSAGES):
            self._ledger.forget(self.id, [Stage.PASSAGES])
        self._requeue()

    def _requeue(self) -> None:
        self._parts.catalog.requeue(self.id)

    def _forget_old(self, keys: set[str]) -> None:
        self._ledger.forget(self.id, except_fingerprints=self._parts.fingerprints)
        self._parts.artefacts.delete(keys)

    def _expected(self, stage: Stage) -> set[str]:
        return self._parts.artefacts.keys(self.id, stage, self._made(stage))

    def _made(self, stage: Stage) -> set[int]:
        """Pages that have artefacts of ``stage``; passages are cut of the whole document at once."""
        if stage is Stage.PASSAGES:
            pages = self._done(Stage.ALIGN if self._parts.fingerprints.align else Stage.READ)
            return pages if _WHOLE in self._done(stage) else set()
        return self._done(stage)

    def _done(self, stage: Stage) -> set[int]:
        return self._ledger.done_pages(self.id, stage, self._parts.fingerprints.of(stage))

    def _closed(self, stage: Stage) -> set[int]:
        return self._ledger.closed_pages(self.id, stage, self._parts.fingerprints.of(stage))


def _unfinished_delete(document_id: str, parts: Parts) -> Complaint:
    finding = _finding("unfinished_delete", "catalog", "A delete that was interrupted.", 1, document_id)
    return Complaint(finding, lambda: purge(document_id, parts))


def _stale(document_id: str, parts: Parts) -> Complaint:
    message = "The document was not read under these settings and models, so that it does not answer."
    finding = _finding("stale_document", "index", message, 1, document_id)
    return Complaint(finding, lambda: parts.catalog.requeue(document_id))


def _strangers(parts: Parts, known: set[str]) -> Iterator[Complaint]:
    """What is stored of documents that the catalog has never heard of."""
    for document_id, blobs in parts.artefacts.document_ids().items():
        if document_id not in known:
            message = "Stored files of a document that is not in the catalog."
            finding = _finding("orphan_blobs", "blobs", message, blobs, document_id)
            yield Complaint(finding, partial(parts.artefacts.remove, document_id))
    for document_id, points in parts.index.facet("document_id").items():
        if document_id not in known:
            message = "Points of a document that is not in the catalog."
            finding = _finding("orphan_points", "index", message, points, document_id)
            yield Complaint(finding, partial(parts.index.delete, Filter(documents=(document_id,))))


def _older_indexes(parts: Parts) -> Iterator[Complaint]:
    points = sum(index.count() for index in parts.index.older())
    if points:
        message = "Points in indexes of other settings or models; should those come back, they are made again."
        yield Complaint(_finding("old_index", "index", message, points), partial(_drop_older, parts))


def _drop_older(parts: Parts) -> None:
    for index in parts.index.older():
        index.drop()


def _is_whole_jpeg(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (64, 64))  # decodes an eighth of the size: every byte is still looked at
            image.load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _finding(
    code: str, store: str, message: str, count: int = 1, document_id: str | None = None, *, fixed: bool = False
) -> Finding:
    return Finding(code=code, store=store, document_id=document_id, count=count, message=message, fixed=fixed)
