"""What ``tuwen models check`` finds out: whether each model of the preset runs here, and how fast."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from pydantic import Field

from tuwen.errors import TuwenError
from tuwen.settings import ModelSettings
from tuwen.types import Model, Problem
from vlm.base import RGB, VisionModel, VisionRequest
from vlm.models import VisionModels

_QUESTION = "不看图，请从一数到一百，每行一个汉字数字。"
"""Makes a model write for a while, whatever the picture."""
_TOKENS = 256
_ENOUGH = 8
"""Tokens under which no speed is told."""


class ModelCheck(Model):
    """One model of the preset."""

    tasks: tuple[str, ...] = Field(description="what it is used for")
    model: str
    format: str = ""
    revision: str = Field("", description="commit on the hub")
    size_bytes: int = Field(0, description="of its weights")
    dtype: str = ""
    device: str = ""
    free_bytes: int = Field(0, description="memory of the device that is left")
    context_tokens: int = Field(0, description="that one request may have")
    batch: int = Field(0, description="requests written at once")
    load_s: float = 0.0
    first_token_s: float = Field(0.0, description="of a text about an A4 page")
    tokens_per_s: float | None = Field(None, description="after that, of one request alone; null if too few")
    error: Problem | None = Field(None, description="why it does not run")


def check_models(models: VisionModels, settings: ModelSettings) -> Iterator[ModelCheck]:
    """Load and try each model of the preset once, however many tasks it has."""
    by_task = models.by_task()
    while by_task:
        task, model = next(iter(by_task.items()))
        tasks = tuple(name for name, other in by_task.items() if other is model)
        yield _check(model, getattr(settings, task).model, tasks)
        by_task = {name: other for name, other in by_task.items() if other is not model}


def _check(model: VisionModel, name: str, tasks: tuple[str, ...]) -> ModelCheck:
    began = time.perf_counter()
    try:
        facts = model.facts()
        loaded = time.perf_counter() - began
        first, speed = _speed(model)
    except TuwenError as error:
        return ModelCheck(tasks=tasks, model=name, error=error.problem)
    return ModelCheck(
        tasks=tasks,
        model=name,
        load_s=round(loaded, 2),
        first_token_s=round(first, 3),
        tokens_per_s=speed and round(speed, 1),
        **facts._asdict(),
    )


def _speed(model: VisionModel) -> tuple[float, float | None]:
    """Seconds to the first token, and tokens a second after it; a run before that warms up."""
    room = model.facts().context_tokens
    request = VisionRequest.ask(_QUESTION, sample_page())
    request = request._replace(max_tokens=max(2, min(_TOKENS, room - model.count_tokens(request))))
    model.generate([request])
    first, _ = _timed(model, request._replace(max_tokens=1))
    whole, tokens = _timed(model, request)
    return first, (tokens - 1) / (whole - first) if tokens >= _ENOUGH and whole > first else None


def _timed(model: VisionModel, request: VisionRequest) -> tuple[float, int]:
    began = time.perf_counter()
    (result,) = model.generate([request])
    return time.perf_counter() - began, result.completion_tokens


def sample_page() -> RGB:
    """An A4 page at 150 dpi with grey bars for lines."""
    page = np.full((1754, 1240, 3), 255, np.uint8)
    for top in range(140, 1600, 36):
        page[top : top + 16, 120 : 1120 - top % 7 * 60] = 60
    return page
