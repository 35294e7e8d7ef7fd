"""The vision-language models that the settings name, one for each task; equal ones are one in memory."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from tuwen.settings import ModelSettings, VisionModelSettings
from vlm.base import Tiling, VisionModel
from vlm.tasks.asking import TaskOptions

_OF_THE_TASK = {"min_tiles", "max_tiles", "max_tokens"}
"""Settings that requests carry, so that they make no other model."""


class VisionModels:
    """Makes models when they are first asked for; each loads with its first request.

    Args:
        settings: which model does which task.
        home: data directory; what is made once of a checkpoint is kept in ``home/cache``.
    """

    def __init__(self, settings: ModelSettings, home: Path) -> None:
        self._settings = settings
        self._cache = home / "cache"
        self._made: dict[str, VisionModel] = {}

    @cached_property
    def transcribe(self) -> VisionModel | None:
        """Reads pages; None where the preset has none."""
        return self._model(self._settings.transcribe)

    @cached_property
    def caption(self) -> VisionModel | None:
        """Says what pages and figures show; None where the preset has none."""
        return self._model(self._settings.caption)

    @cached_property
    def answer(self) -> VisionModel | None:
        """Answers from pages; None where the preset has none."""
        return self._model(self._settings.answer)

    def by_task(self) -> dict[str, VisionModel]:
        """The models of the preset by the name of their task."""
        tasks = {"transcribe": self.transcribe, "caption": self.caption, "answer": self.answer}
        return {task: model for task, model in tasks.items() if model is not None}

    def close(self) -> None:
        """Free their memory."""
        for model in self._made.values():
            model.close()

    def _model(self, settings: VisionModelSettings) -> VisionModel | None:
        if settings.adapter == "none":
            return None
        key = settings.model_dump_json(exclude=_OF_THE_TASK)
        if key not in self._made:
            self._made[key] = build_vision_model(settings, self._cache)
        return self._made[key]


def build_vision_model(settings: VisionModelSettings, cache: Path) -> VisionModel:
    """The model that ``settings`` name; its adapter is not ``none``. Cheap: nothing is loaded yet."""
    if settings.adapter == "openai":
        from vlm.served import ServedModel, ServedOptions

        return ServedModel(
            ServedOptions(
                model=settings.model,
                revision=settings.revision,
                context_tokens=settings.context_tokens,
                **settings.served.model_dump(),
            )
        )
    if settings.adapter == "transformers":
        from vlm.native import NativeModel, NativeOptions

        return NativeModel(
            NativeOptions(
                settings.model,
                settings.revision,
                settings.dtype,
                settings.device,
                settings.context_tokens,
                settings.batch,
            )
        )
    assert settings.adapter == "internvl"
    from vlm.internvl.model import InternVL, InternVLOptions

    options = InternVLOptions(
        settings.model,
        settings.revision,
        settings.dtype,
        settings.device,
        settings.context_tokens,
        settings.batch,
        settings.memory_share,
        settings.graphs,
    )
    return InternVL(options, cache)


def task_options(settings: VisionModelSettings) -> TaskOptions:
    """How the model of a task is used."""
    return TaskOptions(tiling(settings), settings.max_tokens)


def tiling(settings: VisionModelSettings) -> Tiling:
    """How the images of a task are cut."""
    return Tiling(settings.min_tiles, settings.max_tiles)
