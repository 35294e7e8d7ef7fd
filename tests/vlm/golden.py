"""The golden data of ``tests/data/internvl-golden``: a tiny original checkpoint, and what the reference computes."""

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from vlm.base import Message, Tiling, VisionRequest
from vlm.internvl.jobs import Job
from vlm.internvl.prompt import Prompter
from vlm.internvl.tiling import Tiles, content_key, cut
from vlm.internvl.vision import Picture

FOLDER = Path(__file__).parent.parent / "data" / "internvl-golden"
CHECKPOINT = FOLDER / "checkpoint"
TILE = 56
EOS = frozenset({297})
"""The reference stops at ``<|im_end|>`` only."""


class Case(NamedTuple):
    """One dialogue of the reference."""

    id: str
    facts: dict[str, Any]

    def expected(self, name: str) -> np.ndarray:
        with np.load(FOLDER / "expected.npz") as arrays:
            return arrays[f"{self.id}.{name}"]

    @property
    def images(self) -> list[np.ndarray]:
        return [np.asarray(Image.open(FOLDER / i["file"]).convert("RGB")) for i in self.facts["images"]]

    @property
    def tilings(self) -> list[Tiling]:
        return [Tiling(1, image["max_num"]) for image in self.facts["images"]]

    @property
    def tiles(self) -> list[Tiles]:
        return [cut(image, TILE, tiling) for image, tiling in zip(self.images, self.tilings, strict=True)]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The images stand before the first question; the template numbers them."""
        facts = self.facts
        turns = [turn for question, answer in facts["history"] for turn in (("user", question), ("assistant", answer))]
        turns.append(("user", facts["question"]))
        messages = [Message.of(role, _words(text)) for role, text in turns]
        messages[0] = Message.of("user", *self.images, _words(turns[0][1]))
        if not facts["system_message_is_template_default"]:
            messages.insert(0, Message.of("system", facts["system_message"]))
        return tuple(messages)

    def job(self, prompter: Prompter) -> Job:
        """As the adapter makes it, but with tiles of each image's own number."""
        prompt = prompter.encode(self.messages, [len(tiles) for tiles in self.tiles])
        job = Job(VisionRequest(self.messages, 16), prompt, Tiling(), prompter.detokenizer(), EOS)
        job.pictures = Future()
        keys = [content_key(image, tiling) for image, tiling in zip(self.images, self.tilings, strict=True)]
        job.pictures.set_result([Picture(key, tiles) for key, tiles in zip(keys, self.tiles, strict=True)])
        return job


def _words(question: str) -> str:
    for mark in ("Image-1: <image>\n", "Image-2: <image>\n", "<image>\n"):
        question = question.replace(mark, "")
    return question


CASES = [
    Case(facts["id"], facts) for facts in map(json.loads, (FOLDER / "cases.jsonl").read_text("utf-8").splitlines())
]
