"""A vision model that says what its owner wants: public, for tests of anything that uses one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from vlm.base import VisionRequest, VisionResult


def describe(request: VisionRequest) -> str:
    """Text that depends on the prompt and on every pixel, so that mixed-up requests are noticed."""
    digest = hashlib.sha256(request.prompt.encode())
    for image in request.images:
        digest.update(repr(image.shape).encode() + image.tobytes())
    return f"{len(request.images)} images, {digest.hexdigest()[:8]}"


class FakeVisionModel:
    """Answers with ``respond(request)``; a token is one character.

    Args:
        respond: what to write; :func:`describe` unless given.
    """

    def __init__(self, respond: Callable[[VisionRequest], str] = describe) -> None:
        self._respond = respond

    @property
    def fingerprint(self) -> str:
        """Names the function that answers."""
        return f"fake:{self._respond.__module__}.{self._respond.__qualname__}"

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, cut at ``max_tokens`` characters."""
        return [self._generate(request) for request in requests]

    def stream(self, request: VisionRequest) -> Iterator[str]:
        """The same text, a character at a time."""
        yield from self._generate(request).text

    def _generate(self, request: VisionRequest) -> VisionResult:
        full = self._respond(request)
        text = full[: request.max_tokens]
        return VisionResult(text, len(request.prompt), len(text), "stop" if text == full else "length")
