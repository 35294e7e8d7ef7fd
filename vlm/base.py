"""The seam to vision-language models (DESIGN section 4: ``VisionModel``).

``ingest`` and ``retrieval`` import this module and no other of ``vlm``. It imports no model code.

    request = VisionRequest.ask("这一页写了什么？", page, max_tokens=2048)
    (result,) = model.generate([request])
    with model.stream(request) as stream:
        for piece in stream:
            print(piece, end="")
    stream.result.finish_reason
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tuwen.errors import InvalidRequestError
from tuwen.fingerprint import Json

RGB = NDArray[np.uint8]
"""An image of shape (height, width, 3), RGB."""

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "loop", "cancelled"]
"""Why a text ended: the model or a stop string ended it; the token limit; the detector; the caller."""

Detector = Callable[[str], bool]
"""Is given each new piece of one text, in order; True ends the text with finish reason ``loop``."""


class CancelToken:
    """Lets any thread end the requests that carry it; they finish as ``cancelled`` with the text so far."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """End them. May be called again, from any thread."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._event.is_set()


class Message(NamedTuple):
    """One turn of a dialogue: texts and images in the order in which the model shall see them."""

    role: Role
    parts: tuple[str | RGB, ...]

    @classmethod
    def of(cls, role: Role, *parts: str | RGB) -> Self:
        """``Message.of("user", page, "这一页写了什么？")``."""
        return cls(role, parts)


class Decoding(NamedTuple):
    """How the next token is chosen."""

    temperature: float = 0.0
    """0 takes the likeliest token; above, a random one."""
    top_p: float = 1.0
    """With a temperature: only the likeliest tokens that together have this probability."""
    seed: int = 0
    """With a temperature: the same seed gives the same text on the same machine."""
    no_repeat_ngram: int = 0
    """No run of so many tokens is written twice; 0 allows any. Wrecks real repetition: for retries only."""


class Tiling(NamedTuple):
    """Into how many tiles an image may be cut before the model sees it; more show smaller print and cost more.

    The number follows from the aspect ratio: an A4 page gives 2 x 3 tiles with the defaults and 3 x 4 with
    ``min_tiles=9``, twice the pixels.
    """

    min_tiles: int = 1
    max_tiles: int = 12


class VisionRequest(NamedTuple):
    """One dialogue about zero or more images, and how to go on with it."""

    messages: tuple[Message, ...]
    """An optional system turn, then user and assistant in turn, a user's last. Texts are data: marks of the
    model's template in them are read as plain text. Without a system turn the model's own default is used."""
    max_tokens: int = 1024
    """At most so many tokens are written."""
    stop: tuple[str, ...] = ()
    """Strings that end the text; they are no part of it."""
    new_detector: Callable[[], Detector] | None = None
    """Makes a detector for this text, such as one that notices loops."""
    decoding: Decoding = Decoding()
    tiling: Tiling | None = None
    """None: as the model is configured. Models that cut no tiles take no notice."""
    schema: Mapping[str, Json] | None = None
    """A JSON schema that the text must follow; only where ``description.structured_output``."""
    cancel: CancelToken | None = None

    @classmethod
    def ask(cls, text: str, *images: RGB, system: str | None = None, max_tokens: int = 1024) -> Self:
        """One question about ``images``, which stand before it."""
        first = () if system is None else (Message.of("system", system),)
        return cls((*first, Message.of("user", *images, text)), max_tokens)

    @property
    def images(self) -> tuple[RGB, ...]:
        """All images, in order."""
        return tuple(part for message in self.messages for part in message.parts if not isinstance(part, str))

    @property
    def cancelled(self) -> bool:
        """Whether the caller has given it up."""
        return self.cancel is not None and self.cancel.cancelled


class VisionResult(NamedTuple):
    """What the model wrote."""

    text: str
    prompt_tokens: int
    """Tokens of the prompt, those of images included."""
    completion_tokens: int
    """Tokens written, the one that ended the text included."""
    finish_reason: FinishReason


class TextStream(Iterator[str]):
    """The pieces of one text as they are written; together they are ``result.text``.

    Closing it (or leaving its ``with`` block) before the end cancels the request.
    """

    def __init__(self, pieces: Generator[str, None, VisionResult]) -> None:
        self._pieces = pieces
        self._result: VisionResult | None = None

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except StopIteration as end:
            self._result = self._result or end.value
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what is not written yet."""
        self._pieces.close()

    @property
    def result(self) -> VisionResult:
        """The whole, once the last piece was taken. Raises ValueError before."""
        if self._result is None:
            raise ValueError("the stream has not been read to its end")
        return self._result


class Source(NamedTuple):
    """A page that a model is to answer from."""

    title: str
    """Document and page, as people name them."""
    text: str
    """What is printed there, or the parts of it that matter."""
    image: RGB | None = None


class ModelDescription(NamedTuple):
    """What is known about a model without running it."""

    name: str
    """Hub id, folder or served name."""
    fingerprint: str
    """Changes whenever the same request could give another text: model, revision, parameters."""
    context_tokens: int
    """A request's prompt and ``max_tokens`` must fit together."""
    structured_output: bool = False
    """Whether requests may carry a schema."""


class ModelFacts(NamedTuple):
    """What is known about a model once it is ready to run."""

    format: str
    """Of the checkpoint, or of the service."""
    revision: str
    """Commit on the hub; empty where there is none."""
    size_bytes: int
    """Of the weights; 0 where unknown."""
    dtype: str
    device: str
    free_bytes: int
    """Memory of the device that nobody uses; 0 where unknown."""
    context_tokens: int
    """That a request may have, as memory allows."""
    batch: int
    """Requests that are written at once."""


@runtime_checkable
class VisionModel(Protocol):
    """Dialogues about images in, text out.

    Thread-safe: requests of calls from several threads share the model's batch. Cheap to make: the model
    is loaded by the first call that needs it.
    """

    @property
    def description(self) -> ModelDescription:
        """Static facts. Raises ModelUnavailableError where they cannot be had."""
        ...

    def count_tokens(self, request: VisionRequest) -> int:
        """Tokens of the prompt, images included; never fewer than the result's ``prompt_tokens``."""
        ...

    def generate(self, requests: Sequence[VisionRequest]) -> list[VisionResult]:
        """One result a request, in order.

        Raises:
            InvalidRequestError: a request makes no sense, or cannot fit (its size is named); none was run.
            ModelUnavailableError: the model cannot be loaded or reached.
        """
        ...

    def stream(self, request: VisionRequest) -> TextStream:
        """The text as it is written. Raises as :meth:`generate`, at once or with the first piece."""
        ...

    def facts(self) -> ModelFacts:
        """Load or reach the model, and say what it is. Raises ModelUnavailableError."""
        ...

    def close(self) -> None:
        """Cancel what runs and free the model's memory. Later calls raise ModelUnavailableError."""
        ...


def check(request: VisionRequest) -> None:
    """Refuse a request that no model can serve.

    Raises:
        InvalidRequestError: turns out of order, no image where one is promised, limits out of range.
    """
    turns = [message.role for message in request.messages]
    dialogue = turns[1:] if turns[:1] == ["system"] else turns
    expected = ["user" if number % 2 == 0 else "assistant" for number in range(len(dialogue))]
    if not dialogue or dialogue != expected or dialogue[-1] != "user":
        raise InvalidRequestError(
            "The messages must be an optional system turn, then user and assistant in turn, a user's last; "
            f"they are: {', '.join(turns) or 'none'}."
        )
    for image in request.images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InvalidRequestError(
                f"An image must be an array of bytes of shape (height, width, 3), not {image.dtype} {image.shape}."
            )
    _check_limits(request)


def _check_limits(request: VisionRequest) -> None:
    decoding, tiling = request.decoding, request.tiling or Tiling()
    wrong = [
        name
        for name, fine in (
            ("max_tokens", request.max_tokens >= 1),
            ("stop", all(request.stop)),
            ("temperature", decoding.temperature >= 0),
            ("top_p", 0 < decoding.top_p <= 1),
            ("no_repeat_ngram", decoding.no_repeat_ngram >= 0),
            ("tiling", 1 <= tiling.min_tiles <= tiling.max_tiles),
        )
        if not fine
    ]
    if wrong:
        raise InvalidRequestError(f"The request to the vision model is out of range in: {', '.join(wrong)}.")


def check_fits(request: VisionRequest, prompt_tokens: int, context_tokens: int) -> None:
    """Refuse a request that is too long. Raises InvalidRequestError, with its size."""
    if prompt_tokens + request.max_tokens > context_tokens:
        raise InvalidRequestError(
            f"The request takes {prompt_tokens:,} tokens ({len(request.images)} images) and asks for up to "
            f"{request.max_tokens:,} more; the model has room for {context_tokens:,}. "
            "Send fewer or smaller images, less text, or a lower limit."
        )
