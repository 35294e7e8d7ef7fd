"""Dialogues to token ids and back: the ``internvl2_5`` template, and text as it is written.

The text of a message never yields a token of the template: a document that holds ``<|im_end|>`` or ``<img>`` is
spelled out, not obeyed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer

from tuwen.errors import ModelUnavailableError
from vlm.base import Message
from vlm.checkpoint import Checkpoint, needs_extra
from vlm.internvl.config import Sizes
from vlm.writing import Detokenizer


class Prompter:
    """Tokenizer and template of one checkpoint.

    Attributes:
        image_id: id of the token whose place a vision feature takes.
        stop_ids: tokens that end a text.

    Raises:
        ModelUnavailableError: the tokenizer cannot be read, or is not that of the model.
    """

    def __init__(self, checkpoint: Checkpoint, sizes: Sizes) -> None:
        self._sizes = sizes
        self._tokenizer = _load_tokenizer(checkpoint)
        self._literal = Tokenizer.from_str(self._tokenizer.to_str())
        self._literal.encode_special_tokens = True  # reads them as plain text
        ids = {token: self._id(token, checkpoint) for token in ("<|im_start|>", "<img>", "</img>")}
        self._start, self._open, self._close = ids.values()
        self._end = self._id("<|im_end|>", checkpoint)
        self.image_id = self._id("<IMG_CONTEXT>", checkpoint)
        self.stop_ids = frozenset({self._end, self._id("<|endoftext|>", checkpoint)})
        self._check(checkpoint)

    def encode(self, messages: Sequence[Message], tiles: Sequence[int]) -> list[int]:
        """Ids of the prompt, up to the point where the assistant speaks.

        Args:
            messages: checked by :func:`vlm.base.check`.
            tiles: number of tiles of each image, in order.
        """
        turns = list(messages)
        if turns[0].role != "system":
            turns.insert(0, Message.of("system", self._sizes.system))
        counts = iter(enumerate(tiles, 1))
        ids = [token for turn in turns for token in self._turn(turn, counts, len(tiles))]
        return [*ids, self._start, *self._text("assistant\n")]

    def _turn(self, turn: Message, counts: Iterator[tuple[int, int]], images: int) -> Iterator[int]:
        yield self._start
        text = f"{turn.role}\n"
        for part in turn.parts:
            if isinstance(part, str):
                text += part
                continue
            number, count = next(counts)
            yield from self._text(text + (f"Image-{number}: " if images > 1 else ""))
            yield self._open
            yield from [self.image_id] * (self._sizes.tokens_per_tile * count)
            yield self._close
            text = "\n"
        yield from self._text(text)
        yield self._end
        yield from self._text("\n")

    def _text(self, text: str) -> list[int]:
        ids: list[int] = self._literal.encode(text, add_special_tokens=False).ids
        return ids

    def detokenizer(self) -> Detokenizer:
        """For one text."""
        return Detokenizer(self._tokenizer)

    def _id(self, token: str, checkpoint: Checkpoint) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelUnavailableError(f"{checkpoint.name}: the tokenizer has no {token}; it is not one of InternVL.")
        return found

    def _check(self, checkpoint: Checkpoint) -> None:
        if self._sizes.image_token_id not in (None, self.image_id):
            raise ModelUnavailableError(
                f"{checkpoint.name}: image_token_id is {self._sizes.image_token_id} in config.json, but the tokenizer "
                f"says {self.image_id}."
            )
        if self._tokenizer.get_vocab_size() > self._sizes.vocabulary:
            raise ModelUnavailableError(f"{checkpoint.name}: the tokenizer has more tokens than the model.")


def _load_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """From ``tokenizer.json``, or ``vocab.json`` and ``merges.txt``; no code of the checkpoint is run.

    AutoTokenizer would ask on stdin whether to run it.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # requests are prepared in threads of our own
    try:
        from transformers import Qwen2Tokenizer
    except ImportError as error:
        raise needs_extra() from error
    if not any((checkpoint.folder / file).exists() for file in ("tokenizer.json", "vocab.json")):
        raise ModelUnavailableError(
            f"{checkpoint.name}: there is neither tokenizer.json nor vocab.json with merges.txt."
        )
    try:
        loaded: Tokenizer = Qwen2Tokenizer.from_pretrained(
            checkpoint.folder, trust_remote_code=False, local_files_only=True
        ).backend_tokenizer
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(f"{checkpoint.name}: the tokenizer cannot be read: {error}") from error
    return loaded
