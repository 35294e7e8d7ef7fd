"""A vision model that says what its owner wants: public, for tests of anything that uses one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterable, Sequence

from tuwen.errors import ModelUnavailableError
from tuwen.fingerprint import fingerprint
from vlm.base import ModelDescription, ModelFacts, TextStream, VisionRequest, VisionResult, check, check_fits
from vlm.transcript import Transcript

Respond = Callable[[VisionRequest], str]

_TOKENS_PER_IMAGE = 256


def describe(request: VisionRequest) -> str:
    """Text that depends on every word and on every pixel, so that mixed-up requests are noticed."""
    digest = hashlib.sha256()
    for message in request.messages:
        digest.update(message.role.encode())
        for part in message.parts:
            digest.update(part.encode() if isinstance(part, str) else repr(part.shape).encode() + part.tobytes())
    return f"{len(request.images)} 张图，{digest.hexdigest()[:8]}"


def script(answers: Iterable[str | Exception]) -> Respond:
    """Answers to be given one after the other; an exception is raised. Raises IndexError when none is left."""
    left, lock = list(answers), threading.Lock()

    def respond(_request: VisionRequest) -> str:
        with lock:
            answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return respond


class FakeVisionModel:
    """Answers with ``respond(request)``, as a model would: token by token, heeding limits, stops and cancellation.

    A token is one character. ``requests`` holds every request that was made, in order.

    Args:
        respond: what to write; it may look at the request, or be a :func:`script`, or raise.
        name: enters the fingerprint.
        context_tokens: longer requests are refused.
    """

    def __init__(self, respond: Respond = describe, name: str = "fake", context_tokens: int = 1_000_000) -> None:
        self._respond = respond
        self._name = name
        self._context_tokens = context_tokens
        self._closed = False
        self.requests: list[VisionRequest] = []

    @property
    def description(self) -> ModelDescription:
        """Its name, as a fingerprint too."""
        return ModelDescription(self._name, fingerprint(fake=self._name), self._context_tokens, structured_output=True)

    def count_tokens(self, request: VisionRequest) -> int:
        """A token a character, 256 an image."""
        parts = [part for message in request.messages for part in message.parts]
        return sum(len(part) if isinstance(part, str) else _TOKENS_PER_IMAGE for part in parts)

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, in order."""
        for request in requests:
            self._admit(request)
        return [_exhaust(self._write(request)) for request in requests]

    def stream(self, request: VisionRequest) -> TextStream:
        """The text, a character at a time."""
        self._admit(request)
        return TextStream(self._write(request))

    def facts(self) -> ModelFacts:
        """There is nothing behind it."""
        return ModelFacts("fake", "", 0, "", "", 0, self._context_tokens, 1)

    def close(self) -> None:
        """Refuse all further requests."""
        self._closed = True

    def _admit(self, request: VisionRequest) -> None:
        if self._closed:
            raise ModelUnavailableError("The model was closed; make a new one.")
        check(request)
        check_fits(request, self.count_tokens(request), self._context_tokens)
        self.requests.append(request)

    def _write(self, request: VisionRequest) -> Generator[str, None, VisionResult]:
        transcript, written = Transcript(request), 0
        transcript.feed("")  # it may have been cancelled already
        text = "" if transcript.finish else self._respond(request)
        while not transcript.finish:
            if written == request.max_tokens:
                transcript.end("length")
            elif written == len(text):
                transcript.end("stop")
            else:
                transcript.feed(text[written])
                written += 1
            if piece := transcript.take():
                yield piece
        return VisionResult(transcript.text, self.count_tokens(request), written, transcript.finish)


def _exhaust(pieces: Generator[str, None, VisionResult]) -> VisionResult:
    stream = TextStream(pieces)
    for _ in stream:
        pass
    return stream.result
