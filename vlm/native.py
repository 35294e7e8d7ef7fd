"""The ``transformers`` adapter: other image-text-to-text models, such as page-parsing specialists.

Any model that transformers knows runs if it needs nothing but its processor and ``generate``. Requests are batched as
they come, padded on the left; there is no continuous batching and no cache of vision features. Meant for transcription:
texts go through the model's own template, which obeys marks of the template in them, so texts of documents do not
belong here.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections import deque
from collections.abc import Generator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tuwen.errors import InvalidRequestError, ModelUnavailableError, TuwenError
from tuwen.fingerprint import fingerprint
from vlm.base import (
    ModelDescription,
    ModelFacts,
    TextStream,
    VisionRequest,
    VisionResult,
    check,
    check_fits,
)
from vlm.checkpoint import Checkpoint, find
from vlm.loading import choose_device, choose_dtype, load_pretrained
from vlm.processing import conversation, load_processor
from vlm.writing import Detokenizer, Writing

if TYPE_CHECKING:
    import torch

_ROWS = 8

log = logging.getLogger(__name__)


class NativeOptions(NamedTuple):
    """How a checkpoint is loaded and run."""

    model: str
    """Folder or hub id."""
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    context_tokens: int = 0
    """Of one request; 0 means as many as the model was made for."""
    batch: int = 0
    """Requests in one batch; 0 means 8."""


class _Loaded(NamedTuple):
    model: Any
    device: torch.device
    dtype: torch.dtype
    stop_ids: frozenset[int]


class NativeModel:
    """A model of transformers behind ``AutoProcessor`` and ``AutoModelForImageTextToText``.

    Args:
        options: which checkpoint, and how it is run.
    """

    def __init__(self, options: NativeOptions) -> None:
        self._options = options
        self._rows = options.batch or _ROWS
        self._lock = threading.Lock()
        self._running = threading.Lock()
        self._loaded: _Loaded | None = None
        self._waiting: deque[Writing] = deque()
        self._batch: Sequence[Writing] = ()
        self._closed = False

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Where it lies."""
        return find(self._options.model, self._options.revision)

    @cached_property
    def processor(self) -> Any:
        """Its tokenizer, image processor and template. Raises ModelUnavailableError."""
        return load_processor(self.checkpoint)

    @cached_property
    def description(self) -> ModelDescription:
        """Static facts; loads no weights."""
        mark = fingerprint(native=1, content=self.checkpoint.digest(), dtype=self._options.dtype)
        return ModelDescription(self._options.model, mark, self._context)

    @cached_property
    def _context(self) -> int:
        config = self.checkpoint.config
        made_for = int(config.get("text_config", config).get("max_position_embeddings", 4096))
        return min(made_for, self._options.context_tokens or made_for)

    def facts(self) -> ModelFacts:
        """Of the loaded model."""
        loaded = self._load()
        import torch

        free = torch.cuda.mem_get_info(loaded.device)[0] if loaded.device.type == "cuda" else 0
        return ModelFacts(
            format=f"transformers, {self.checkpoint.config.get('model_type')}",
            revision=self.checkpoint.revision,
            size_bytes=self.checkpoint.size(),
            dtype=str(loaded.dtype).removeprefix("torch."),
            device=str(loaded.device),
            free_bytes=free,
            context_tokens=self._context,
            batch=self._rows,
        )

    def count_tokens(self, request: VisionRequest) -> int:
        """Exact; the images are processed for it."""
        check(request)
        return int(self._inputs([request])["input_ids"].shape[1])

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, in order."""
        texts = [self._admit(request) for request in requests]
        try:
            self._run_until(texts)
            return [text.done.result() for text in texts]
        finally:
            for text in texts:
                text.abandon()

    def stream(self, request: VisionRequest) -> TextStream:
        """The text as it is written."""
        return TextStream(self._pieces(self._admit(request, streamed=True)))

    def close(self) -> None:
        """Cancel what runs and free the memory."""
        with self._lock:
            self._closed = True
            for text in (*self._waiting, *self._batch):
                text.fail(ModelUnavailableError("The model was closed while it worked on this."))
            self._waiting.clear()
        with self._running:
            self._loaded = None
        gc.collect()

    def _admit(self, request: VisionRequest, *, streamed: bool = False) -> Writing:
        check(request)
        if request.schema is not None:
            raise InvalidRequestError("This model cannot be bound to a JSON schema; leave out schema, or use a server.")
        loaded = self._load()
        tokens = self.count_tokens(request)
        check_fits(request, tokens, self._context)
        detokenizer = Detokenizer(self.processor.tokenizer.backend_tokenizer)
        return Writing(request, tokens, detokenizer, loaded.stop_ids, streamed)

    def _load(self) -> _Loaded:
        with self._lock:
            if self._closed:
                raise ModelUnavailableError("The model was closed; make a new one.")
            if self._loaded is None:
                self._loaded = self._read()
            return self._loaded

    def _read(self) -> _Loaded:
        device = choose_device(self._options.device)
        dtype = choose_dtype(self._options.dtype, device)
        from transformers import AutoModelForImageTextToText

        tokenizer = self.processor.tokenizer
        model = load_pretrained(
            AutoModelForImageTextToText, self.checkpoint, self.checkpoint.folder, dtype, self._options.device
        )
        ends = model.generation_config.eos_token_id
        stop_ids = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        return _Loaded(model, device, dtype, frozenset(stop_ids))

    def _pieces(self, text: Writing) -> Generator[str, None, VisionResult]:
        thread = threading.Thread(target=self._run_until, args=([text],), name="tuwen-native", daemon=True)
        thread.start()
        try:
            while (piece := text.pieces.get()) is not None:
                yield piece
            return text.done.result()
        finally:
            text.abandon()

    def _run_until(self, texts: Sequence[Writing]) -> None:
        """Write until ``texts`` are done; whoever holds the model writes those of other callers too."""
        with self._lock:
            self._waiting.extend(texts)
        for text in texts:
            while not text.finished:
                with self._running:
                    self._write_next(text)

    def _write_next(self, text: Writing) -> None:
        if text.finished:
            return
        batch = self._take()
        try:
            self._write(batch)
        except TuwenError as error:
            for one in batch:
                one.fail(error)
        except Exception as failure:
            log.exception("the vision model has failed")
            for one in batch:
                one.fail(ModelUnavailableError(f"The vision model has failed: {failure}"))

    def _take(self) -> list[Writing]:
        """Requests that wait and can share a batch: decoded alike, with images or without."""
        with self._lock:
            self._waiting = deque(text for text in self._waiting if not text.end_if_cancelled())
            if not self._waiting:
                return []
            first = self._waiting[0]
            alike = [text for text in self._waiting if _key(text) == _key(first)]
            batch = alike[: 1 if first.request.decoding.temperature else self._rows]
            for text in batch:
                self._waiting.remove(text)
            self._batch = batch
            return batch

    def _write(self, batch: Sequence[Writing]) -> None:
        import torch

        loaded = self._loaded
        if not batch or loaded is None:
            return
        try:
            self._generate(loaded, batch)
        except torch.OutOfMemoryError as error:
            if any(text.written for text in batch):
                raise ModelUnavailableError("The GPU has no memory left to go on writing.") from error
            if len(batch) == 1:
                size = batch[0].prompt_tokens
                raise ModelUnavailableError(
                    f"A request of {size:,} tokens needs more memory than is free, even alone."
                ) from error
            self._rows = max(1, len(batch) // 2)
            with self._lock:
                self._waiting.extendleft(reversed(batch))
            log.warning("out of memory: going on with %d requests at once", self._rows)

    def _generate(self, loaded: _Loaded, batch: Sequence[Writing]) -> None:
        import torch

        decoding = batch[0].request.decoding
        inputs = self._inputs([text.request for text in batch]).to(loaded.device, loaded.dtype)
        options: dict[str, Any] = {"do_sample": False}
        if decoding.temperature:
            options = {"do_sample": True, "temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
        if decoding.no_repeat_ngram:
            options["no_repeat_ngram_size"] = decoding.no_repeat_ngram
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(decoding.seed)
            loaded.model.generate(
                **inputs,
                **options,
                max_new_tokens=max(text.request.max_tokens for text in batch),
                eos_token_id=None,
                pad_token_id=min(loaded.stop_ids),
                stopping_criteria=[_Listener(batch)],
            )

    def _inputs(self, requests: Sequence[VisionRequest]) -> Any:
        """What the model reads, padded on the left."""
        return self.processor.apply_chat_template(
            [conversation(request) for request in requests],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )


class _Listener:
    """Hands each token to its text as it is chosen; a row is done when its text is."""

    def __init__(self, batch: Sequence[Writing]) -> None:
        self._batch = batch

    def __call__(self, ids: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
        import torch

        for text, token in zip(self._batch, ids[:, -1].tolist(), strict=True):
            if not text.end_if_cancelled():
                text.accept(token)
        return torch.tensor([text.finished for text in self._batch], device=ids.device)


def _key(text: Writing) -> object:
    return text.request.decoding, bool(text.request.images)
