"""One document on its way through the stages: what is to be done next, and what is recorded when it is done."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from ingest.media import OFFICE
from retrieval.base import Filter, PageIndex
from tuwen import stages
from tuwen.artefacts import Artefacts, Fingerprints
from tuwen.catalog import Catalog, LeasedDocument
from tuwen.errors import (
    CorruptFileError,
    InvalidRequestError,
    LeaseLostError,
    LimitExceededError,
    NotFoundError,
    PageFailedError,
    TuwenError,
    UnavailableError,
    error_of,
)
from tuwen.points import point_ids, points_of
from tuwen.settings import Settings
from tuwen.types import DocumentStatus, VerdictCode

_ENCODE_BATCH = 12
_STAGE_TIMEOUT_S = 1800.0
_MARGIN_S = 30.0
"""Between the time limit that a converter has and the one that its process has."""
_DAMAGE = (CorruptFileError, NotFoundError)
_FOR_GOOD = (LimitExceededError, InvalidRequestError)
"""No limit gives way, and no model takes tomorrow what is too long for it today."""


class Stage(StrEnum):
    """Stages as the ledger names them."""

    CONVERT = "convert"
    INSPECT = "inspect"
    READ = "read"
    TRANSCRIBE = "transcribe"
    ALIGN = "align"
    PASSAGES = "passages"
    ENCODE = "encode"
    INDEX = "index"


_OF_THE_WHOLE = (Stage.CONVERT, Stage.INSPECT, Stage.PASSAGES)
"""Stages that concern no single page."""
_FROM_ARTEFACTS = (Stage.TRANSCRIBE, Stage.ALIGN, Stage.PASSAGES, Stage.ENCODE)
"""Stages that read what earlier ones left behind."""
_BY_PAGE = (Stage.READ, Stage.TRANSCRIBE, Stage.ALIGN, Stage.ENCODE)


class IngestEvent(NamedTuple):
    """Progress of one document, for people who wait."""

    document_id: str
    name: str
    stage: Stage
    done: int
    total: int
    status: DocumentStatus


OnEvent = Callable[[IngestEvent], None]
Look = Callable[[str, int], str]
"""Shows a page of a document to vision models; the key of what they see (:func:`tuwen.transcription.look_at_page`)."""


@dataclass(frozen=True)
class Stores:
    """What a worker writes to."""

    catalog: Catalog
    artefacts: Artefacts
    fingerprints: Fingerprints
    index: PageIndex


class Task(NamedTuple):
    """One call in a child process; of stage *transcribe*, in a thread of this one, which has the models."""

    stage: Stage
    pages: tuple[int, ...]
    call: Callable[..., Any]
    args: tuple[Any, ...]
    timeout: float


class Job:
    """One leased document on its way through the phases."""

    def __init__(
        self,
        document: LeasedDocument,
        stores: Stores,
        settings: Settings,
        children: int,
        password: str | None,
        on_event: OnEvent,
        look: Look | None,
    ) -> None:
        self.document = document
        self.pending: deque[Task] = deque()
        self.pending_looks: deque[Task] = deque()
        self.flying = 0
        self._catalog, self._artefacts = stores.catalog, stores.artefacts
        self._fingerprints, self._index = stores.fingerprints, stores.index
        self._limits = settings.ingest.limits
        self._children = children
        self._password = password
        self._on_event = on_event
        self._look = look
        self._pages = document.pages or 0
        self._phases = self._run()
        self._is_second_run = False
        self._done = Counter[Stage]()

    @property
    def is_waiting(self) -> bool:
        """Whether its next step waits for child processes, or for models."""
        return bool(self.pending or self.pending_looks or self.flying)

    def advance(self) -> bool:
        """Take the next step once the last is through; False when the document is finished.

        A step in this process is short, and may leave nothing to wait for: then the next can be taken at once.
        """
        if not self.is_waiting:
            tasks = next(self._phases, None)
            if tasks is None:
                return False
            self.pending.extend(tasks)
        return True

    def fail(self, error: TuwenError) -> None:
        """End the document with ``error``, unless it was taken over or deleted meanwhile."""
        with suppress(LeaseLostError, NotFoundError):
            self._catalog.fail(self.document.document_id, error.problem, owner=self.document.owner)
            self._emit(Stage.READ, DocumentStatus.FAILED)

    def sweep(self) -> None:
        """Remove what was written after the document was deleted; nothing where it lives."""
        document_id = self.document.document_id
        try:
            self._catalog.document(document_id, tenant=self.document.tenant)
        except NotFoundError:
            self._index.delete(Filter(documents=(document_id,)))
            self._artefacts.remove(document_id)

    def succeeded(self, task: Task, result: Any, seconds: float) -> None:
        """Record a finished task."""
        if task.stage is Stage.INSPECT:
            self._pages = result
            self._catalog.set_pages(self.document.document_id, result)
            return
        if task.stage is Stage.CONVERT:  # what was read before came from another conversion
            self._pages = 0
            self._catalog.ledger.forget(self.document.document_id)
            self._record(task.stage, task.pages, seconds, result)
            return
        if task.stage is Stage.PASSAGES:
            self._catalog.ledger.forget(self.document.document_id, [Stage.ENCODE, Stage.INDEX], result)
        self._record(task.stage, task.pages, seconds / len(task.pages), _artefact(task, result))
        if task.stage is Stage.READ:
            self._catalog.clear_warnings(self.document.document_id, task.pages)  # of an earlier reading
            self._warn_of(task.pages[0], result.codes)
            self._look_at(task.pages)
        elif task.stage is Stage.TRANSCRIBE:
            later = [Stage.ALIGN, Stage.ENCODE, Stage.INDEX]  # of an earlier failure to transcribe
            self._catalog.ledger.forget(self.document.document_id, later, task.pages)
            self.pending.append(self._align(task.pages[0], has_seen=True))
        elif task.stage is Stage.ALIGN:
            self._warn_of(task.pages[0], result.codes)
        self._done[task.stage] += len(task.pages)
        self._emit(task.stage, DocumentStatus.PROCESSING)

    def failed(self, task: Task, error: TuwenError) -> None:
        """Try again what failed, page by page, until the ledger quarantines it.

        Raises:
            UnavailableError: a store is gone; no page is to blame.
            TuwenError: the document as a whole cannot be processed.
        """
        if isinstance(error, _DAMAGE) and task.stage in _FROM_ARTEFACTS:
            self._begin_again(error)
            return
        is_original_gone = isinstance(error, NotFoundError)
        if is_original_gone or isinstance(error, UnavailableError) or task.stage in _OF_THE_WHOLE:
            raise error
        if len(task.pages) > 1:
            self.pending.extend(self._encode(page) for page in task.pages)
            return
        page = task.pages[0]
        if task.stage is Stage.ALIGN and task.args[-1]:  # at worst the plain reading is left
            self._catalog.warn(self.document.document_id, page, error.code, error.message)
            self.pending.append(self._align(page, has_seen=False))
            return
        quarantined = self._catalog.ledger.failed(
            self.document.document_id,
            page,
            task.stage,
            self._fingerprint(task.stage),
            error.problem,
            1 if isinstance(error, _FOR_GOOD) else self._limits.max_attempts,
        )
        if quarantined:
            self._done[task.stage] += 1
            self._catalog.warn(self.document.document_id, page, error.code, error.message)
            self._emit(task.stage, DocumentStatus.PROCESSING)
            if task.stage is Stage.TRANSCRIBE:
                self.pending.append(self._align(page, has_seen=False))
        else:
            (self.pending_looks if task.stage is Stage.TRANSCRIBE else self.pending).append(task)

    def _run(self) -> Iterator[list[Task]]:
        """One list of tasks a phase; each phase begins when the one before is through."""
        if self._must_convert():
            self._emit(Stage.CONVERT, DocumentStatus.PROCESSING)
            yield [self._convert()]
        if not self._pages:
            yield [self._task(Stage.INSPECT, (), stages.inspect, self._limits.open_timeout_s)]
        self._resume_looks()
        yield self._phase(Stage.READ, [self._read(page) for page in self._open(Stage.READ, self._all_pages())])
        readable = self._finished(Stage.ALIGN if self._look else Stage.READ)
        if not readable:
            raise self._unreadable()
        if not self._catalog.ledger.done_pages(
            self.document.document_id, Stage.PASSAGES, self._fingerprint(Stage.PASSAGES)
        ):
            yield self._phase(Stage.PASSAGES, [self._make_passages(tuple(readable))])
        todo = self._open(Stage.ENCODE, readable)
        size = min(_ENCODE_BATCH, math.ceil(len(todo) / self._children))  # no child idles while another encodes it all
        yield self._phase(Stage.ENCODE, [self._encode(*batch) for batch in _batches(todo, size)])
        yield from self._apply(self._finished(Stage.ENCODE))
        self._finish()

    def _must_convert(self) -> bool:
        """Whether pages are to be read of a document that is not converted, or by another LibreOffice only."""
        if self.document.media_type not in OFFICE or self._artefacts.has_converted(self.document.document_id):
            return False
        return not self._pages or bool(self._open(Stage.READ, self._all_pages()))

    def _look_at(self, pages: Iterable[int]) -> None:
        """Queue pages for the models, as soon as each has been read: these must not wait for the whole document."""
        if self._look:
            arguments = (self.document.document_id,)
            self.pending_looks.extend(
                Task(Stage.TRANSCRIBE, (page,), self._look, (*arguments, page), math.inf) for page in pages
            )

    def _resume_looks(self) -> None:
        """Queue what an earlier run has read, and has not shown to the models or not aligned."""
        if self._look:
            read = self._finished(Stage.READ)
            unseen, unaligned = self._open(Stage.TRANSCRIBE, read), self._open(Stage.ALIGN, read)
            self._look_at(unseen)
            self._done[Stage.TRANSCRIBE] = len(read) - len(unseen)
            seen = set(self._finished(Stage.TRANSCRIBE))
            self.pending.extend(self._align(page, has_seen=page in seen) for page in unaligned if page not in unseen)

    def _unreadable(self) -> TuwenError:
        """Why no page could be read: the one reason that all have, if they have one."""
        entries = self._catalog.ledger.state(self.document.document_id, Stage.READ, self._fingerprint(Stage.READ))
        problems = [entry.error for entry in entries.values() if entry.error is not None]
        message = f"None of the {self._pages} pages of {self.document.name} could be read."
        codes = {problem.code for problem in problems}
        if len(codes) == 1:
            return error_of(codes.pop(), f"{message} {problems[0].message}")
        return PageFailedError(message)

    def _begin_again(self, error: TuwenError) -> None:
        """Read the whole document again, once, since an artefact that the ledger vouches for is damaged or gone."""
        if self._is_second_run:
            raise error
        self.pending.clear()
        self.pending_looks.clear()
        self._phases = self._run_again()  # begins when nothing is in flight, so nothing of the first run is recorded

    def _run_again(self) -> Iterator[list[Task]]:
        self._is_second_run = True
        self._catalog.ledger.forget(self.document.document_id)
        yield from self._run()

    def _phase(self, stage: Stage, tasks: list[Task]) -> list[Task]:
        self._done[stage] = self._total(stage) - sum(len(task.pages) for task in tasks)
        if tasks:
            self._emit(stage, DocumentStatus.PROCESSING)
        return tasks

    def _total(self, stage: Stage) -> int:
        return self._pages if stage in _BY_PAGE else 1

    def _apply(self, pages: list[int]) -> Iterator[list[Task]]:
        """Write the points of ``pages`` that are not in the index yet, a batch a step: leases must be renewed.

        Points of an earlier reading answer until the new ones are in; then those that have no successor leave.
        """
        todo = self._open(Stage.INDEX, pages)
        before = set(self._index.ids(Filter(documents=(self.document.document_id,))))
        if before and len(todo) == len(pages):  # of another fingerprint: none may be vouched for once overwritten
            self._catalog.ledger.forget(self.document.document_id, [Stage.INDEX])
        self._phase(Stage.INDEX, [])
        try:
            for batch in _batches(todo, _ENCODE_BATCH):
                self._write_points(batch)
                yield []
            if before:
                self._remove(before - self._expected(pages))
        except _DAMAGE as error:
            self._begin_again(error)
            yield []

    def _write_points(self, pages: list[int]) -> None:
        began = time.perf_counter()
        self._index.upsert([point for page in pages for point in points_of(self.document, page, self._artefacts)])
        self._record(Stage.INDEX, tuple(pages), (time.perf_counter() - began) / len(pages), None)

    def _remove(self, obsolete: set[UUID]) -> None:
        if obsolete:
            self._index.delete(Filter(documents=(self.document.document_id,), points=tuple(obsolete)))

    def _expected(self, pages: list[int]) -> set[UUID]:
        document_id = self.document.document_id
        return {identity for page in pages for identity in point_ids(document_id, page, self._artefacts)}

    def _finish(self) -> None:
        finished = self._catalog.finish(self.document.document_id, owner=self.document.owner)
        if finished.replaced:
            self._index.delete(Filter(documents=finished.replaced))
            for document_id in finished.replaced:  # it may become current again
                self._catalog.ledger.forget(document_id, [Stage.INDEX])
        self._emit(Stage.INDEX, finished.document.status)

    def _read(self, page: int) -> Task:
        arguments = (self.document.media_type, page, self._password)
        return self._task(Stage.READ, (page,), stages.read_page, self._limits.page_timeout_s, *arguments)

    def _convert(self) -> Task:
        arguments = (self.document.media_type, self._password)
        patience = self._limits.convert_timeout_s * 2 + _MARGIN_S  # a first start that restarts counts twice
        return self._task(Stage.CONVERT, (0,), stages.convert_original, patience, *arguments)

    def _align(self, page: int, *, has_seen: bool) -> Task:
        return self._task(Stage.ALIGN, (page,), stages.align_page, self._limits.page_timeout_s, page, has_seen)

    def _make_passages(self, pages: tuple[int, ...]) -> Task:
        return self._task(Stage.PASSAGES, (0,), stages.make_passages, _STAGE_TIMEOUT_S, pages)

    def _encode(self, *pages: int) -> Task:
        return self._task(Stage.ENCODE, pages, stages.encode_pages, _STAGE_TIMEOUT_S, self.document.name, pages)

    def _task(self, stage: Stage, pages: tuple[int, ...], call: Callable[..., Any], timeout: float, *args: Any) -> Task:
        if stage is Stage.INSPECT:
            args = (self.document.media_type, self._password)
        return Task(stage, pages, call, (self.document.document_id, *args), timeout)

    def _all_pages(self) -> list[int]:
        return list(range(1, self._pages + 1))

    def _fingerprint(self, stage: Stage) -> str:
        return self._fingerprints.of(stage)

    def _finished(self, stage: Stage) -> list[int]:
        return sorted(self._catalog.ledger.done_pages(self.document.document_id, stage, self._fingerprint(stage)))

    def _open(self, stage: Stage, pages: list[int]) -> list[int]:
        closed = self._catalog.ledger.closed_pages(self.document.document_id, stage, self._fingerprint(stage))
        return [page for page in pages if page not in closed]

    def _record(self, stage: Stage, pages: tuple[int, ...], seconds: float, artefact: str | None) -> None:
        self._catalog.ledger.done(self.document.document_id, pages, stage, self._fingerprint(stage), artefact, seconds)

    def _warn_of(self, page: int, codes: tuple[VerdictCode, ...]) -> None:
        for code in codes:
            if code is not VerdictCode.BLANK:  # an empty page is nothing to worry about
                self._catalog.warn(self.document.document_id, page, code, _VERDICTS[code])

    def _emit(self, stage: Stage, status: DocumentStatus) -> None:
        self._on_event(
            IngestEvent(
                self.document.document_id, self.document.name, stage, self._done[stage], self._total(stage), status
            )
        )


def _batches(pages: list[int], size: int) -> Iterator[list[int]]:
    while pages:
        yield pages[:size]
        pages = pages[size:]


def _artefact(task: Task, result: Any) -> str | None:
    """Blob key of what a task has made of one page, where there is one."""
    if task.stage in (Stage.READ, Stage.ALIGN):
        return str(result.artefact)
    return str(result) if task.stage is Stage.TRANSCRIBE else None


_VERDICTS = {
    VerdictCode.GARBLED_TEXT_LAYER: "The text layer is garbled; the page was read by OCR.",
    VerdictCode.LOW_OCR_CONFIDENCE: "OCR is unsure of this page; check its wording against the picture.",
    VerdictCode.READER_DISAGREEMENT: "Two readers disagree on this page; check its wording against the picture.",
    VerdictCode.REPETITION: "The model repeated itself on this page; the plain reading is used.",
    VerdictCode.INVENTED_TEXT: "The model wrote text that is not on this page; it is left out.",
    VerdictCode.HIDDEN_TEXT: "The page holds text that cannot be seen; it is left out.",
    VerdictCode.UNREADABLE: "There is something on this page, but nothing could be read.",
}
