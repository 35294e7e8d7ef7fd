"""The ``internvl`` adapter: InternVL in process, loaded when it is first needed."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tuwen.errors import InvalidRequestError, ModelUnavailableError
from tuwen.fingerprint import fingerprint
from vlm.base import ModelDescription, ModelFacts, TextStream, Tiling, VisionRequest, VisionResult, check, check_fits
from vlm.checkpoint import Checkpoint, find
from vlm.internvl.config import Sizes, read_sizes

if TYPE_CHECKING:
    from vlm.internvl.engine import Engine
    from vlm.internvl.jobs import Job
    from vlm.internvl.prompt import Prompter


class InternVLOptions(NamedTuple):
    """How a checkpoint is loaded and run."""

    model: str
    """Folder or hub id."""
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    context_tokens: int = 0
    """Of one request; 0 means as many as the model was made for."""
    batch: int = 0
    """Rows at once; 0 means 128 on a GPU and 8 on a CPU."""
    memory_share: float = 0.8
    graphs: bool = True


class InternVL:
    """InternVL3 and its descendants with a Qwen2 language model, original or native format.

    Args:
        options: which checkpoint, and how it is run.
        cache: folder in which converted checkpoints are kept.
    """

    def __init__(self, options: InternVLOptions, cache: Path) -> None:
        self._options = options
        self._cache = cache
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._closed = False

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Where it lies."""
        return find(self._options.model, self._options.revision)

    @cached_property
    def sizes(self) -> Sizes:
        """What its configuration says."""
        return read_sizes(self.checkpoint.config, self.checkpoint.name)

    @cached_property
    def prompter(self) -> Prompter:
        """Its tokenizer and template."""
        from vlm.internvl.prompt import Prompter

        return Prompter(self.checkpoint, self.sizes)

    @cached_property
    def description(self) -> ModelDescription:
        """Static facts; looks at the checkpoint, but loads no weights."""
        mark = fingerprint(internvl=1, content=self.checkpoint.digest(), dtype=self._options.dtype)
        return ModelDescription(self._options.model, mark, self._context)

    @property
    def _context(self) -> int:
        return min(self.sizes.context, self._options.context_tokens or self.sizes.context)

    def load(self) -> Engine:
        """The engine, with the model in memory. Raises ModelUnavailableError."""
        with self._lock:
            if self._closed:
                raise ModelUnavailableError("The model was closed; make a new one.")
            if self._engine is None:
                self._engine = self._load()
            return self._engine

    def _load(self) -> Engine:
        sizes, prompter = self.sizes, self.prompter
        from vlm.internvl.engine import Engine, EngineLimits
        from vlm.internvl.load import load

        options = self._options
        loaded = load(self.checkpoint, sizes, prompter.image_id, self._cache, options.dtype, options.device)
        limits = EngineLimits(self._context, options.batch, options.memory_share, options.graphs)
        return Engine(loaded, prompter.image_id, sizes.tile, limits)

    def count_tokens(self, request: VisionRequest) -> int:
        """Exact; needs the tokenizer only."""
        check(request)
        return len(self._encode(request))

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, in order; requests of other callers share the batch."""
        if not requests:
            return []
        engine = self.load()
        jobs = [self._job(request, engine, streamed=False) for request in requests]
        try:
            engine.submit(jobs)
            return [job.done.result() for job in jobs]
        finally:
            for job in jobs:
                job.abandon()

    def stream(self, request: VisionRequest) -> TextStream:
        """The text as it is written."""
        engine = self.load()
        return TextStream(_pieces(engine, self._job(request, engine, streamed=True)))

    def facts(self) -> ModelFacts:
        """Of the loaded model."""
        engine, checkpoint = self.load(), self.checkpoint
        return ModelFacts(
            format=f"InternVL, {self.sizes.format}",
            revision=checkpoint.revision,
            size_bytes=checkpoint.size(),
            dtype=engine.dtype,
            device=engine.device,
            free_bytes=engine.free_bytes(),
            context_tokens=min(self._context, engine.room),
            batch=sum(slots for slots, _ in engine.pools),
        )

    def close(self) -> None:
        """Cancel what runs and free the memory."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine:
            engine.close()
            del engine
            gc.collect()

    def _job(self, request: VisionRequest, engine: Engine, *, streamed: bool) -> Job:
        from vlm.internvl.jobs import Job

        check(request)
        if request.schema is not None:
            raise InvalidRequestError("This model cannot be bound to a JSON schema; leave out schema, or use a server.")
        prompt = self._encode(request)
        check_fits(request, len(prompt), min(self._context, engine.room))
        prompter = self.prompter
        tiling = self._tiling(request)
        return Job(request, prompt, tiling, prompter.detokenizer(), prompter.stop_ids, streamed)

    def _tiling(self, request: VisionRequest) -> Tiling:
        return request.tiling or Tiling(*self.sizes.tiles)

    def _encode(self, request: VisionRequest) -> list[int]:
        from vlm.internvl.tiling import count_tiles

        tiling = self._tiling(request)
        return self.prompter.encode(
            request.messages, [count_tiles(image, self.sizes.tile, tiling) for image in request.images]
        )


def _pieces(engine: Engine, job: Job) -> Generator[str, None, VisionResult]:
    try:
        engine.submit([job])
        while (piece := job.pieces.get()) is not None:
            yield piece
        return job.done.result()
    finally:
        job.abandon()
