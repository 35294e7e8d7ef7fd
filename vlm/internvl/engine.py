"""Continuous batching: requests of all callers share one model; rows join and leave at every step.

One thread owns the model. Images are cut into tiles by other threads meanwhile, a bounded number of requests ahead.
A round of the owning thread reads the prompts of some requests that are ready (so that those already writing do not
wait long), then writes one token for every row. On a GPU the next step is launched before the tokens of the last one
are looked at: the text runs one step behind, and a row that has ended wastes one.

Memory is planned once, from what is free: see :func:`vlm.internvl.memory.plan`. If it runs out nevertheless, the batch
is halved, rows without a slot wait and go on where they were, and only a request that does not fit alone fails.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch

from tuwen.errors import InvalidRequestError, ModelUnavailableError
from vlm.internvl.batch import Batch, Launched
from vlm.internvl.jobs import Job
from vlm.internvl.load import Loaded
from vlm.internvl.memory import KeyValueShape, default_rows, free_bytes, plan
from vlm.internvl.slots import SlotPool
from vlm.internvl.vision import Vision

_PREFILL_TOKENS = 8192
"""Prompt tokens read between two steps, about: a step more delay for rows that write."""
_WAIT_S = 0.05

log = logging.getLogger(__name__)


class EngineLimits(NamedTuple):
    """Bounds of an engine."""

    context_tokens: int
    """Of one request, prompt and text."""
    batch: int = 0
    """Rows at once in each pool of slots, if memory allows; 0 means 128 on a GPU and 8 on a CPU."""
    memory_share: float = 0.8
    """Of the memory that is free once the model is loaded: for keys and values. The rest is for activations."""
    graphs: bool = True
    """Whether steps are captured as CUDA graphs (on one GPU)."""
    threads: int = 0
    """That cut images; 0 means one a core, at most 16."""


class Engine:
    """Runs jobs on one loaded model.

    Args:
        loaded: the model.
        image_id: token in whose place vision features stand.
        side: of a tile, in pixels.
        limits: bounds.

    Attributes:
        vision: the vision tower and its cache.
        room: tokens that a request may come to, as memory allows.

    Raises:
        ModelUnavailableError: too little memory for even one request.
    """

    def __init__(self, loaded: Loaded, image_id: int, side: int, limits: EngineLimits) -> None:
        self._loaded = loaded
        self._image_id = image_id
        self._side = side
        self._limits = limits
        budget = int(free_bytes(loaded) * limits.memory_share)
        rows = limits.batch or default_rows(loaded.device)
        pools = plan(budget, KeyValueShape.of(loaded), limits.context_tokens, rows)
        if not pools:
            raise ModelUnavailableError(
                f"The model is loaded, but {budget / 1e9:.1f} GB on {loaded.device} are too little for one request."
            )
        self._plan = pools
        self.room = pools[-1][1]
        self.vision = Vision(loaded, limit_bytes=budget // 16)
        self._batches: list[Batch] = []
        self._launched: deque[Launched] = deque()
        self._waiting: deque[Job] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._behind = loaded.device.type == "cuda"
        """Whether a step is launched before the tokens of the last one are looked at."""
        threads = limits.threads or min(16, len(os.sched_getaffinity(0)))
        self._ahead = 2 * threads + 8
        self._cutters = ThreadPoolExecutor(threads, "tuwen-tiles")
        self._thread = threading.Thread(target=self._run, name="tuwen-internvl", daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take ``jobs``, each with at most ``room`` tokens. Raises ModelUnavailableError once closed or broken."""
        with self._lock:
            if self._closed:
                raise ModelUnavailableError("The model was closed, or has failed; make a new one.")
            for job in jobs:
                place = sum(other.streamed for other in self._waiting) if job.streamed else len(self._waiting)
                self._waiting.insert(place, job)
        self._wake.set()

    def close(self) -> None:
        """Fail all jobs, and free the model's memory once nothing runs."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._thread.join()
        self._cutters.shutdown(cancel_futures=True)

    @property
    def device(self) -> str:
        """Where the model lies."""
        return f"{self._loaded.device} and others" if self._loaded.split else str(self._loaded.device)

    @property
    def dtype(self) -> str:
        """Of its weights."""
        return str(self._loaded.dtype).removeprefix("torch.")

    def free_bytes(self) -> int:
        """Memory of the device that nobody uses."""
        return free_bytes(self._loaded)

    @property
    def pools(self) -> Sequence[tuple[int, int]]:
        """Slots and length of each pool."""
        return [(batch.pool.slots, batch.pool.length) for batch in self._batches] or self._plan

    def _run(self) -> None:
        error: Exception = ModelUnavailableError("The model was closed while it worked on this.")
        try:
            with torch.inference_mode(), _stream(self._loaded.device):
                self._make_pools()
                while not self._closed:
                    self._round()
        except ModelUnavailableError as failure:
            error = failure
        except Exception as failure:
            log.exception("the vision model has failed")
            error = ModelUnavailableError(f"The vision model has failed: {failure}")
            error.__cause__ = failure
        self._end(error)

    def _end(self, error: Exception) -> None:
        with self._lock:
            self._closed = True
            jobs = [*self._waiting, *(job for batch in self._batches for job in batch.rows.values())]
            self._waiting.clear()
        self._batches.clear()
        self._launched.clear()
        self.vision.clear()
        for job in jobs:
            job.fail(error)

    def _make_pools(self) -> None:
        graphs = _graphs(self._loaded, self._limits)
        for slots, length in self._plan:
            while True:
                try:
                    self._batches.append(Batch(SlotPool(self._loaded, slots, length, graphs)))
                    break
                except torch.OutOfMemoryError:
                    if slots == 1:
                        raise
                    slots //= 2

    def _round(self) -> None:
        try:
            for batch in self._batches:
                batch.drop_finished()
            self._admit(self._ready())
            self._step()
        except torch.OutOfMemoryError:
            self._relieve([job for batch in self._batches for job in batch.rows.values()])
        if not any(batch.rows for batch in self._batches):
            self._wake.wait(_WAIT_S if self._waiting else None)
            self._wake.clear()

    def _ready(self) -> list[Job]:
        """Jobs that may join now, in the order in which they wait; has images cut a bounded number of jobs ahead."""
        with self._lock:
            self._waiting = deque(job for job in self._waiting if not job.end_if_cancelled())
            near = [job for _, job in zip(range(self._ahead), self._waiting, strict=False)]
        for job in near:
            if job.pictures is None:
                job.pictures = self._cutters.submit(job.cut, self._side)
                job.pictures.add_done_callback(lambda _: self._wake.set())
        return [job for job in near if job.pictures and job.pictures.done()]

    def _admit(self, ready: Sequence[Job]) -> None:
        """Let jobs join while slots are free and the others have not waited too long."""
        tokens = 0
        for job in ready:
            if not _was_cut(job):
                continue
            batch = next(batch for batch in self._batches if job.room <= batch.pool.length)
            slot = batch.free_slot()
            if slot is None:
                continue
            tokens += len(job.prompt) + len(job.written)
            with self._lock:
                self._waiting.remove(job)
            self._join(job, batch, slot)
            if tokens > _PREFILL_TOKENS:
                return

    def _join(self, job: Job, batch: Batch, slot: int) -> None:
        try:
            self._prefill(job, batch.pool, slot)
        except torch.OutOfMemoryError:
            batch.pool.release(slot)
            with self._lock:
                self._waiting.appendleft(job)
            if not self._relieve([job]):
                return
        else:
            batch.join(slot, job)
            job.pictures = None  # cut again should it lose its slot

    def _prefill(self, job: Job, pool: SlotPool, slot: int) -> None:
        """Read the prompt, and what was written before the job lost an earlier slot."""
        assert job.pictures
        ids = torch.tensor([*job.prompt, *job.written])
        embeddings = self._loaded.model.model.language_model.embed_tokens(ids.to(self._loaded.device))
        if pictures := job.pictures.result():
            places = (ids == self._image_id).nonzero()[:, 0].to(embeddings.device)
            embeddings.index_copy_(0, places, torch.cat(self.vision.features(pictures)).to(embeddings))
        logits = pool.prefill(slot, embeddings)
        first = self._choose(job, logits) if job.chooser else logits.argmax(-1)
        pool.start(slot, first)
        self._launched.append(self._fetch([(0, job)], pool.tokens[slot : slot + 1]))

    def _step(self) -> None:
        launched = 0
        for batch in self._batches:
            chosen = [(slot, job) for slot, job in batch.rows.items() if job.chooser]
            if chosen or not batch.rows:
                self._hand_out(0)
            batch.drop_finished()
            if not batch.rows:
                continue
            logits = batch.step()
            for slot, job in chosen:
                if slot in batch.rows:
                    batch.pool.tokens[slot] = self._choose(job, logits[slot])
            rows = max(batch.rows) + 1
            self._launched.append(self._fetch(list(batch.rows.items()), batch.pool.tokens[:rows]))
            launched += 1
        self._hand_out(launched if self._behind else 0)

    def _choose(self, job: Job, logits: torch.Tensor) -> int:
        assert job.chooser
        return job.chooser(logits, job.written)

    def _fetch(self, jobs: list[tuple[int, Job]], tokens: torch.Tensor) -> Launched:
        """Ask for ``tokens`` without waiting for them."""
        if tokens.device.type != "cuda":
            return Launched(jobs, tokens.clone(), None)
        host = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
        host.copy_(tokens, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return Launched(jobs, host, event)

    def _hand_out(self, keep: int) -> None:
        """Give tokens to their jobs, all but the last ``keep`` that were asked for."""
        while len(self._launched) > keep:
            self._launched.popleft().hand_out()

    def _relieve(self, failed: Sequence[Job]) -> bool:
        """Memory has run out: keep half of the rows. If there is but one, ``failed`` fails; whether it may go on."""
        self._hand_out(0)
        self.vision.clear()
        lost, smaller = [], False
        for batch in self._batches:
            batch.drop_finished()
            smaller |= batch.pool.slots > 1
            lost += batch.halve()
        if self._loaded.device.type == "cuda":
            torch.cuda.empty_cache()
        with self._lock:
            self._waiting.extendleft(reversed(lost))
        if smaller:
            log.warning("out of memory: going on with %s", self.pools)
            return True
        self._give_up(failed)
        return False

    def _give_up(self, failed: Sequence[Job]) -> None:
        for job in failed:
            images = len(job.request.images)
            job.fail(
                ModelUnavailableError(
                    f"A request of {len(job.prompt):,} tokens ({images} images) needs more memory than "
                    f"{self._loaded.device} has free, even alone."
                )
            )
        with self._lock:
            self._waiting = deque(job for job in self._waiting if not job.finished)


def _was_cut(job: Job) -> bool:
    """Whether its images could be cut into tiles; if not, it has failed."""
    assert job.pictures
    if error := job.pictures.exception():
        job.fail(InvalidRequestError(f"An image of the request cannot be used: {error}"))
    return error is None


def _graphs(loaded: Loaded, limits: EngineLimits) -> bool:
    return limits.graphs and loaded.device.type == "cuda" and not loaded.split


def _stream(device: torch.device) -> AbstractContextManager[object]:
    """A stream of the engine's own, on a GPU: graphs cannot be captured on the default one."""
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()
