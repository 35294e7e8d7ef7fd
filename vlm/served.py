"""The ``openai`` adapter: any server with ``POST /chat/completions`` of the OpenAI API, such as vLLM, LMDeploy, SGLang.

https://platform.openai.com/docs/api-reference/chat. Every text is streamed from the server, so that detectors, stop
strings and cancellation end it there too. What servers do not agree on is taken as it comes: no ``[DONE]``, usage that
is not told. A server that is busy (429, 5xx) or away is tried again, on another replica if there is one.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError
from tuwen.fingerprint import fingerprint
from vlm.base import (
    FinishReason,
    ModelDescription,
    ModelFacts,
    TextStream,
    VisionRequest,
    VisionResult,
    check,
    check_fits,
)
from vlm.chat import MalformedError, body, chunks, count_tokens
from vlm.replicas import Replicas, TryAgainError
from vlm.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator


_LONGEST_WAIT_S = 30.0
_DEFAULT_CONTEXT = 8192
_POLL_S = 0.1


class ServedOptions(NamedTuple):
    """Which servers, and how they are asked."""

    model: str
    """Name under which it is served."""
    urls: tuple[str, ...]
    """Addresses of replicas, up to and with ``/v1``."""
    revision: str | None = None
    """Anything that changes when another model is served under the name."""
    api_key: str | None = None
    context_tokens: int = 0
    """Of one request; 0 asks the server, and takes 8,192 where it does not say."""
    concurrency: int = 32
    """Requests under way at once, at each replica."""
    timeout_s: float = 120.0
    """For a connection, and between two pieces of a text."""
    attempts: int = 6
    max_image_pixels: int = 4_000_000
    """A larger image is scaled down before it is sent."""
    structured_output: bool = True
    """Whether the server takes ``response_format`` with a JSON schema."""
    send_tiles: bool = False
    """Whether the number of tiles is sent, as vLLM takes it for InternVL."""


class ServedModel:
    """A model behind one or several servers.

    Args:
        options: which, and how.
    """

    def __init__(self, options: ServedOptions) -> None:
        if not options.urls:
            raise ConfigurationError(f"{options.model}: give the address of at least one server in served.urls.")
        self._options = options
        self._replicas = Replicas(options.model, options.urls, options.api_key, options.timeout_s)
        places = options.concurrency * len(options.urls)
        self._places = threading.BoundedSemaphore(places)
        self._threads = ThreadPoolExecutor(places, "tuwen-served")
        self._closed = False

    @cached_property
    def description(self) -> ModelDescription:
        """Static facts; asks the server for the context, unless it is set."""
        options = self._options
        mark = fingerprint(
            openai=1,
            model=options.model,
            revision=options.revision,
            pixels=options.max_image_pixels,
            tiles=options.send_tiles,
        )
        return ModelDescription(options.model, mark, self._context, options.structured_output)

    @cached_property
    def _context(self) -> int:
        return self._options.context_tokens or self._replicas.context() or _DEFAULT_CONTEXT

    def facts(self) -> ModelFacts:
        """Reach every replica; what the server tells of the model."""
        self._replicas.check()
        urls = ", ".join(self._options.urls)
        return ModelFacts("OpenAI API", "", 0, "", urls, 0, self._context, self._options.concurrency)

    def count_tokens(self, request: VisionRequest) -> int:
        """An estimate, rather too many: a token a character, and InternVL's tiles."""
        check(request)
        return count_tokens(request)

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, in order."""
        for request in requests:
            self._admit(request)
        stopped = threading.Event()
        futures = [self._threads.submit(self._whole, request, stopped) for request in requests]
        try:
            return [future.result() for future in futures]
        finally:
            stopped.set()
            for future in futures:
                future.cancel()

    def stream(self, request: VisionRequest) -> TextStream:
        """The text as it is written."""
        self._admit(request)
        return TextStream(self._write(request, threading.Event(), streamed=True))

    def close(self) -> None:
        """Close all connections; what is under way ends with an error."""
        self._closed = True
        self._replicas.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _admit(self, request: VisionRequest) -> None:
        if self._closed:
            raise ModelUnavailableError("The model was closed; make a new one.")
        check(request)
        if request.schema is not None and not self._options.structured_output:
            raise InvalidRequestError("This server takes no JSON schema; leave out schema.")
        check_fits(request, count_tokens(request), self._context)

    def _whole(self, request: VisionRequest, stopped: threading.Event) -> VisionResult:
        stream = TextStream(self._write(request, stopped, streamed=False))
        for _ in stream:
            pass
        return stream.result

    def _write(
        self, request: VisionRequest, stopped: threading.Event, *, streamed: bool
    ) -> Generator[str, None, VisionResult]:
        """Pieces of the text. A text that broke off is begun again unless pieces of it were shown."""
        sent = body(request, self._options.model, self._options.max_image_pixels, self._options.send_tiles)
        for attempt in range(1, self._options.attempts + 1):
            shown = False
            with self._place(request, stopped) as free:
                if not free:
                    return VisionResult("", count_tokens(request), 0, "cancelled")
                try:
                    with TextStream(self._attempt(request, sent, stopped)) as pieces:
                        for piece in pieces:
                            if streamed:
                                shown = True
                                yield piece
                except TryAgainError as error:
                    failure = error
                else:
                    return pieces.result
            if shown or attempt == self._options.attempts or self._closed:
                break
            self._wait(attempt, failure, request, stopped)
        raise ModelUnavailableError(
            f"The server of {self._options.model} {failure}. Check that it runs; it was asked {attempt} times."
        ) from failure

    def _attempt(
        self, request: VisionRequest, sent: dict[str, Any], stopped: threading.Event
    ) -> Generator[str, None, VisionResult]:
        import httpx

        transcript = Transcript(request)
        replica = self._replicas.best()
        prompt, written, told = count_tokens(request), 0, None
        try:
            with self._replicas.using(replica), replica.ask(sent) as response:
                self._replicas.check_status(response)
                for chunk in chunks(response):
                    told = chunk.finish or told
                    written = chunk.completion_tokens or (written + bool(chunk.text))
                    prompt = chunk.prompt_tokens or prompt
                    transcript.feed(chunk.text)
                    if stopped.is_set():
                        transcript.end("cancelled")
                    if piece := transcript.take():
                        yield piece
                    if transcript.finish:
                        return VisionResult(transcript.text, prompt, written, transcript.finish)
        except (httpx.TransportError, RuntimeError) as error:
            replica.failed_at = time.monotonic()
            if told is None:
                reason = f"at {replica.url} cannot be reached: {type(error).__name__}: {error}"
                raise TryAgainError(reason) from error
        except TryAgainError:
            replica.failed_at = time.monotonic()
            raise
        except MalformedError as error:
            raise ModelUnavailableError(f"{replica.url} sent what is no chat completion: {error}") from error
        if told is None:
            raise TryAgainError(f"at {replica.url} broke off in the middle of a text")
        transcript.end(_reason(told))
        if piece := transcript.take():
            yield piece
        assert transcript.finish
        return VisionResult(transcript.text, prompt, written, transcript.finish)

    @contextmanager
    def _place(self, request: VisionRequest, stopped: threading.Event) -> Iterator[bool]:
        """One of the requests under way; False if it is given up before there is room."""
        while not self._places.acquire(timeout=_POLL_S):
            if request.cancelled or stopped.is_set():
                yield False
                return
        try:
            yield not (request.cancelled or stopped.is_set())
        finally:
            self._places.release()

    def _wait(self, attempt: int, failure: TryAgainError, request: VisionRequest, stopped: threading.Event) -> None:
        """As long as the server says; otherwise twice as long each time, with chance so that not all come at once."""
        backoff = 0.25 * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 no secret
        seconds = min(backoff if failure.after_s is None else failure.after_s, _LONGEST_WAIT_S)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (request.cancelled or stopped.is_set() or self._closed):
            time.sleep(min(_POLL_S, seconds))


def _reason(told: str) -> FinishReason:
    return "length" if told == "length" else "stop"
