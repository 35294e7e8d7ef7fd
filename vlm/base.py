"""The seam to vision-language models (DESIGN section 4: ``VisionModel``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
"""An image of shape (height, width, 3), RGB."""


class VisionRequest(NamedTuple):
    """One prompt about zero or more images."""

    prompt: str
    images: tuple[RGB, ...] = ()
    system: str | None = None
    max_tokens: int = 1024


class VisionResult(NamedTuple):
    """What the model wrote."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: Literal["stop", "length", "cancelled"]


@runtime_checkable
class VisionModel(Protocol):
    """Images and a prompt in, text out."""

    @property
    def fingerprint(self) -> str:
        """Model id, revision and parameters."""
        ...

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, in order. Raises ModelUnavailableError."""
        ...

    def stream(self, request: VisionRequest) -> Iterator[str]:
        """Pieces of the text as they are written."""
        ...
