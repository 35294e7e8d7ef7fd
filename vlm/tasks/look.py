"""Look: a free dialogue about given images, with no documents behind it. The model's words, checked by nobody."""

from __future__ import annotations

from collections.abc import Sequence

from tuwen.errors import InvalidRequestError
from vlm.base import RGB, CancelToken, Message, TextStream, VisionModel, VisionRequest
from vlm.tasks.asking import TaskOptions, fitted
from vlm.tasks.loops import LoopDetector
from vlm.tasks.prompts import prompt

PROMPT = prompt("look", 1)
"""What is asked where the user only shows an image."""


def look(
    model: VisionModel,
    images: Sequence[RGB],
    messages: Sequence[Message],
    options: TaskOptions,
    cancel: CancelToken | None = None,
) -> TextStream:
    """What the model says to the last of ``messages``, as it is written.

    Args:
        model: which looks.
        images: what the dialogue is about; they stand before the user's first words.
        messages: an optional system turn, then user and assistant in turn, a user's last; they may hold images too.
            None at all asks what the images show.
        options: tiles and the token limit.
        cancel: ends the request.

    Raises:
        InvalidRequestError: turns out of order, nothing to talk about, or too much to fit.
        ModelUnavailableError: the model cannot be loaded or reached.
    """
    turns = list(messages) or [Message.of("user")]
    first = next((place for place, turn in enumerate(turns) if turn.role == "user"), None)
    if first is None:
        raise InvalidRequestError("A dialogue about images needs a turn of the user's.")
    turns[first] = Message.of("user", *images, *turns[first].parts)
    turns[-1] = _worded(turns[-1])
    request = VisionRequest(tuple(turns), options.max_tokens, tiling=options.tiling, cancel=cancel)
    return model.stream(fitted(model, request._replace(new_detector=LoopDetector)))


def _worded(turn: Message) -> Message:
    """A turn that shows something and says nothing asks what it is. Raises InvalidRequestError for an empty one."""
    if not turn.parts:
        raise InvalidRequestError("The last turn of the dialogue is empty: give an image or words.")
    has_words = any(isinstance(part, str) and part.strip() for part in turn.parts)
    return turn if has_words else Message.of(turn.role, *turn.parts, PROMPT.text)
