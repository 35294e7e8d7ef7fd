"""The ingestion loop: leases documents from the catalog and drives their pages through the stages.

One worker process owns the index; CPU work runs in a pool of child processes, so that pages of one
document are read in parallel with those of others. Every finished page and stage is in the ledger before
the next depends on it: after ``kill -9`` the next worker repeats at most what was in flight.

A document goes through six phases: *convert* (office files, to PDF), *inspect* (count pages), *read* (each page),
*passages* (the whole document), *encode* (batches of pages) and *index* (in this process). Where models read pages
too, each page is shown to them as soon as it has been read (*transcribe*, in threads of this process, so that pages of
all documents share the models' batches), and both readings become one (*align*). A page that fails is tried again
until the ledger quarantines it, and then costs a warning; a failure of the document's own ends only that
document; a failure of the stores (disk full) ends the run, and the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, NamedTuple

from pebble import ProcessPool

from ingest.isolation import Children, as_tuwen_error
from tuwen import stages
from tuwen.catalog import this_owner
from tuwen.errors import LeaseLostError, TuwenError, UnavailableError
from tuwen.jobs import Job, Look, OnEvent, Stage, Stores, Task
from tuwen.settings import Settings
from tuwen.transcription import Transcriber, look_at_page
from vlm.base import CancelToken

_LEASE_S = 60.0
_RENEW_S = 15.0
_ACTIVE_DOCUMENTS = 4
_LOOKS = 64
"""Pages that are with the models at once: as many as fill their batch well. Each holds its picture in memory."""


class _Queue(NamedTuple):
    """Which documents a worker takes, and the passwords of encrypted ones by id."""

    only: Sequence[str] | None
    passwords: Mapping[str, str]


class _Pools(NamedTuple):
    """Where tasks run."""

    children: ProcessPool
    looks: ThreadPoolExecutor
    """Threads that wait for models."""


class Worker:
    """Drives leased documents to their end.

    Args:
        stores: what it writes to.
        settings: of the limits.
        children: set up by :func:`tuwen.stages.initialise`; started when there is something to do.
        on_event: called with progress.
        transcriber: looks at pages with models; None leaves the plain readings as they are.
    """

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        children: Children,
        on_event: OnEvent,
        transcriber: Transcriber | None = None,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._children = children
        self._on_event = on_event
        self._owner = this_owner()
        self._dropped: list[Job] = []
        self._transcriber = transcriber
        self._cancel = CancelToken()

    def drain(self, passwords: Mapping[str, str] | None = None, only: Sequence[str] | None = None) -> None:
        """Process documents until none is left to lease; the children are stopped then.

        Args:
            passwords: by document id, for encrypted files.
            only: ids of documents; all that wait when None.

        Raises:
            UnavailableError: a store failed; leases are given back and the next run goes on.
        """
        self._stores.catalog.release_dead()
        queue = _Queue(only, passwords or {})
        first = self._lease([], queue)
        if first is None:
            return
        jobs = [first]
        looks = ThreadPoolExecutor(_LOOKS, "look")
        try:
            self._loop(_Pools(self._children.pool, looks), jobs, queue)
        finally:
            self._cancel.cancel()
            looks.shutdown(cancel_futures=True)
            self._children.stop()
            for job in jobs:
                self._stores.catalog.release(job.document.document_id, self._owner)
            self._sweep(at_rest=True)

    def _lease(self, jobs: list[Job], queue: _Queue) -> Job | None:
        document = self._stores.catalog.lease(self._owner, _LEASE_S, queue.only)
        if document is None or any(job.document.document_id == document.document_id for job in jobs):
            return None  # or its lease had run out while this machine slept: it is ours again, and its job goes on
        password = queue.passwords.get(document.document_id)
        return Job(document, self._stores, self._settings, self._children.size, password, self._on_event, self._look)

    @property
    def _look(self) -> Look | None:
        if self._transcriber is None:
            return None
        return partial(look_at_page, self._stores.artefacts, self._transcriber, self._cancel)

    def _loop(self, pools: _Pools, jobs: list[Job], queue: _Queue) -> None:
        flying: dict[Future[Any], tuple[Job, Task]] = {}
        renewed = time.monotonic()
        while jobs:
            if time.monotonic() - renewed > _RENEW_S:
                renewed = time.monotonic()
                for job in [job for job in jobs if not self._renew(job)]:
                    self._drop(job, jobs)
                self._sweep()
            for job in list(jobs):
                self._guard(job, jobs, job.advance)
            while len(jobs) < _ACTIVE_DOCUMENTS and (leased := self._lease(jobs, queue)):
                jobs.append(leased)
                self._guard(leased, jobs, leased.advance)
            self._submit(pools, jobs, flying)
            if flying:
                patience = 1.0 if all(job.is_waiting for job in jobs) else 0.0
                for future in wait(flying, timeout=patience, return_when=FIRST_COMPLETED).done:
                    self._settle(future, *flying.pop(future), jobs)

    def _renew(self, job: Job) -> bool:
        """Keep the document; False when it is no longer ours: taken over, cancelled or deleted."""
        return self._stores.catalog.renew(job.document.document_id, self._owner, _LEASE_S)

    def _submit(self, pools: _Pools, jobs: list[Job], flying: dict[Future[Any], tuple[Job, Task]]) -> None:
        """Keep two tasks a child in flight, and pages enough to fill a model's batch, oldest document first.

        More would only wait in memory.
        """
        looks = sum(task.stage is Stage.TRANSCRIBE for _, task in flying.values())
        for job in jobs:
            while job.pending and len(flying) - looks < 2 * self._children.size:
                task = job.pending.popleft()
                job.flying += 1
                call = pools.children.schedule(stages.timed, args=(task.call, *task.args), timeout=task.timeout)
                flying[call] = job, task
            while job.pending_looks and looks < _LOOKS:
                task = job.pending_looks.popleft()
                job.flying += 1
                looks += 1
                flying[pools.looks.submit(stages.timed, task.call, *task.args)] = job, task

    def _settle(self, future: Future[Any], job: Job, task: Task, jobs: list[Job]) -> None:
        job.flying -= 1
        if job not in jobs:  # its document has failed meanwhile
            return
        error = future.exception()
        if error is None:
            result, seconds = future.result()
            self._guard(job, jobs, lambda: job.succeeded(task, result, seconds))
        else:
            self._guard(job, jobs, lambda: job.failed(task, as_tuwen_error(error, _what(task), task.timeout)))

    def _guard(self, job: Job, jobs: list[Job], step: Callable[[], bool | None]) -> None:
        """Run ``step`` of ``job``; end the job when it is through or its document fails."""
        try:
            going_on = step() is not False
        except LeaseLostError:
            going_on = False
        except UnavailableError:
            raise
        except TuwenError as error:
            if self._renew(job):  # else it was deleted, which is an error of no document
                job.fail(error)
            going_on = False
        if not going_on:
            self._drop(job, jobs)

    def _drop(self, job: Job, jobs: list[Job]) -> None:
        jobs.remove(job)
        self._dropped.append(job)

    def _sweep(self, *, at_rest: bool = False) -> None:
        """Take away what children wrote for documents that were deleted while they were in work."""
        over = [job for job in self._dropped if at_rest or not job.flying]
        self._dropped = [job for job in self._dropped if job not in over]
        for job in over:
            job.sweep()


def _what(task: Task) -> str:
    of_a_page = task.stage in (Stage.READ, Stage.TRANSCRIBE, Stage.ALIGN)
    return f"Stage {task.stage}" + (f" of page {task.pages[0]}" if of_a_page else "")
