"""A tiny InternVL that really reads: trained in seconds on pages that are drawn here, saved in original format.

It learns the pages by heart, but it has to look at them: the question is the same for all. Its tokenizer knows each
character of what it was taught, and any other byte by byte, so that any prompt can be put to it.
"""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pymupdf
import torch
from PIL import Image, ImageDraw, ImageFont
from transformers import InternVLConfig, InternVLForConditionalGeneration

from evals.vlm_checkpoint import TINY, original_config, write_tokenizer, write_trained
from vlm.base import RGB, Message, Tiling, VisionRequest
from vlm.checkpoint import Checkpoint
from vlm.internvl.config import SYSTEM, native_config, read_sizes
from vlm.internvl.prompt import Prompter
from vlm.internvl.tiling import cut, pixel_values

TEXTS = (
    "关于调整年假的通知\n自六月起每年十天",
    "采购合同\n质保期为二十四个月",
    "停电公告\n周五九时至十二时",
    "差旅标准\n一类城市每晚五百元",
    "会议纪要\n下次会议定于三日",
    "设备台账\n水泵三台阀门七只",
)
"""What six pages say."""
QUESTION = "请写出图中的文字。"
STEPS = 80


class Lesson(NamedTuple):
    """What the model shall write."""

    messages: tuple[Message, ...]
    answer: str
    tiling: Tiling = Tiling()


@cache
def _letters(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(io.BytesIO(pymupdf.Font("cjk").buffer), size)


def draw(text: str, width: int = 210, height: int = 297, size: int = 18) -> RGB:
    """A page in black on white, one printed line a line of ``text``."""
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(text.splitlines()):
        pen.text((size, (1 + 2 * number) * size), line, "black", _letters(size))
    return np.asarray(image)


def pages() -> list[RGB]:
    """The six pages: upright, wide and square ones, so that their numbers of tiles differ."""
    shapes = [(210, 297), (320, 160), (200, 200)]
    return [draw(text, *shapes[number % 3]) for number, text in enumerate(TEXTS)]


def reading_lessons() -> list[Lesson]:
    """Read each of the six pages."""
    made = zip(pages(), TEXTS, strict=True)
    return [Lesson((Message.of("user", page, QUESTION),), text) for page, text in made]


def train(folder: Path, lessons: Sequence[Lesson], steps: int = STEPS, seed: int = 7) -> list[float]:
    """Teach a new model ``lessons`` and save it in ``folder``, in original format; the losses.

    The six reading lessons take about 100 ms a step on one core.
    """
    words = [part for lesson in lessons for m in lesson.messages for part in m.parts if isinstance(part, str)]
    words += [SYSTEM, *(lesson.answer for lesson in lessons)]
    write_tokenizer(folder, TINY.vocabulary, words)
    sizes = read_sizes(original_config(TINY), "tiny")
    prompter = Prompter(Checkpoint("tiny", folder, ""), sizes)
    torch.manual_seed(seed)
    config = InternVLConfig(**native_config(original_config(TINY), prompter.image_id))
    for part in (config, config.vision_config, config.text_config):
        part.initializer_range = 0.1  # about 1 / sqrt(hidden): with 0.02 it takes long to notice the image
    model = InternVLForConditionalGeneration(config)
    batch = _batch(lessons, prompter, sizes.tile)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.2)
    losses = []
    for _ in range(steps):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    write_trained(folder, TINY, model.state_dict(), words)
    return losses


def _batch(lessons: Sequence[Lesson], prompter: Prompter, side: int) -> dict[str, torch.Tensor]:
    """All lessons at once, padded on the right; only answers count."""
    ids, labels, tiles = [], [], []
    for lesson in lessons:
        images = VisionRequest(lesson.messages).images
        cuts = [cut(image, side, lesson.tiling) for image in images]
        prompt = prompter.encode(lesson.messages, [len(one) for one in cuts])
        answer = [*prompter._text(lesson.answer), prompter._end]
        ids.append(torch.tensor(prompt + answer))
        labels.append(torch.tensor([-100] * len(prompt) + answer))
        tiles += cuts
    pad = torch.nn.utils.rnn.pad_sequence
    padded = pad(ids, batch_first=True, padding_value=-1)
    batch = {
        "input_ids": padded.clamp(min=0),
        "attention_mask": (padded >= 0).long(),
        "labels": pad(labels, batch_first=True, padding_value=-100),
    }
    if tiles:
        batch["pixel_values"] = pixel_values(tiles, torch.device("cpu"), torch.float32)
    return batch
