"""Answer: a question and pages to a few sentences that name their sources. What they are worth is checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuwen.fingerprint import fingerprint
from vlm.base import RGB, CancelToken, Message, Source, TextStream, VisionModel, VisionRequest
from vlm.tasks.asking import TaskOptions, fitted
from vlm.tasks.fencing import FENCING_VERSION, defused, one_line
from vlm.tasks.loops import LOOPS_VERSION, LoopDetector
from vlm.tasks.prompts import prompt

PROMPT, SOURCE, PICTURE, REPAIR = (
    prompt(name, 1) for name in ("answer", "answer_source", "answer_picture", "answer_repair")
)
ANSWER_VERSION = 1
"""Raise it whenever the same question and sources could be put to a model otherwise."""

_TITLE_CHARS = 80
_TURNS, _TURN_CHARS = 6, 400
"""Of the dialogue so far: its last turns, and the beginning of each."""
_LEAST_TOKENS = 48
"""Less room than this is room for no sentence."""


class AnswerWriter:
    """Asks a model for an answer from numbered sources.

    Args:
        model: which answers.
        options: tiles and the token limit.
    """

    def __init__(self, model: VisionModel, options: TaskOptions) -> None:
        self._model, self._options = model, options

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same question and sources could get another answer."""
        return fingerprint(
            version=ANSWER_VERSION,
            loops=LOOPS_VERSION,
            fencing=FENCING_VERSION,
            model=self._model.description.fingerprint,
            prompts=[PROMPT.text, SOURCE.text, PICTURE.text, REPAIR.text],
            tiling=self._options.tiling,
            max_tokens=self._options.max_tokens,
        )

    def ask(
        self,
        question: str,
        sources: Sequence[Source],
        history: Sequence[Message] = (),
        picture: RGB | None = None,
        cancel: CancelToken | None = None,
    ) -> VisionRequest:
        """The question about ``sources``, which the model knows by their number from 1.

        Args:
            question: of the user.
            sources: pages, best first; their texts are fenced as data.
            history: the dialogue so far; only the words of its last turns are taken.
            picture: an image that the user asks about; no source.
            cancel: ends the request.
        """
        asked = PROMPT.fill(question=defused(question))
        shown = [part for number, source in enumerate(sources, 1) for part in _shown(number, source)]
        pictured = PICTURE.parts(picture)[:2] if picture is not None else ()  # nothing follows the image
        message = Message.of("user", *shown, *pictured, asked)
        return VisionRequest(
            (*_turns(history), message),
            self._options.max_tokens,
            new_detector=LoopDetector,
            tiling=self._options.tiling,
            cancel=cancel,
        )

    def ask_again(self, request: VisionRequest, said: str, unsupported: Sequence[str]) -> VisionRequest:
        """The same question after an answer that was not good enough.

        Args:
            request: the question.
            said: what the model answered; may be empty.
            unsupported: the sentences of it that no source supports.
        """
        wrong = "\n".join(defused(sentence) for sentence in unsupported) or "（没有作出回答）"
        reply = Message.of("assistant", defused(said) or "（没有作出回答）")
        again = Message.of("user", REPAIR.fill(unsupported=wrong))
        return request._replace(messages=(*request.messages, reply, again))

    def fits(self, request: VisionRequest) -> bool:
        """Whether the model has room for the request and for a whole answer."""
        return self._room(request) >= request.max_tokens

    def has_room(self, request: VisionRequest) -> bool:
        """Whether the model has room for the request and for a sentence."""
        return self._room(request) >= _LEAST_TOKENS

    def write(self, request: VisionRequest) -> TextStream:
        """The answer as it is written. Raises as :meth:`vlm.base.VisionModel.stream`."""
        return self._model.stream(fitted(self._model, request))

    def _room(self, request: VisionRequest) -> int:
        return self._model.description.context_tokens - self._model.count_tokens(request)


def _shown(number: int, source: Source) -> tuple[str | RGB, ...]:
    values = {
        "number": str(number),
        "title": one_line(source.title, _TITLE_CHARS),
        "text": defused(source.text).strip() or "（没有读出文字）",
    }
    if source.image is not None:
        before, image, after = SOURCE.parts(source.image, **values)
        return before, image, f"{after}\n\n"
    return (SOURCE._replace(text=SOURCE.text.replace("{{image}}\n", "")).fill(**values) + "\n\n",)


def _turns(history: Sequence[Message]) -> Iterator[Message]:
    """The words of the last turns, user and assistant in turn, the assistant's last."""
    spoken: list[tuple[str, str]] = []
    for message in history:
        words = "\n".join(part for part in message.parts if isinstance(part, str)).strip()
        if message.role == "system" or not words:
            continue
        if spoken and spoken[-1][0] == message.role:
            words = f"{spoken.pop()[1]}\n{words}"
        spoken.append((message.role, words))
    if spoken and spoken[-1][0] == "user":
        spoken.pop()  # what follows is the user's turn too
    recent = spoken[-_TURNS:]
    for role, words in recent[1 if recent and recent[0][0] == "assistant" else 0 :]:
        yield Message.of("user" if role == "user" else "assistant", defused(words)[:_TURN_CHARS])
