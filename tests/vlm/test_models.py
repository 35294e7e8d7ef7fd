"""The models of a preset: which are one, and that the embedded preset needs none."""

import subprocess
import sys
from pathlib import Path

from tuwen.settings import ModelSettings, Settings
from vlm.internvl.model import InternVL
from vlm.models import VisionModels
from vlm.native import NativeModel
from vlm.served import ServedModel


def settings(**tasks: dict[str, object]) -> ModelSettings:
    return ModelSettings.model_validate({task: {"adapter": "internvl", **keys} for task, keys in tasks.items()})


def test_the_embedded_preset_has_none(tmp_path: Path) -> None:
    assert VisionModels(Settings().models, tmp_path).by_task() == {}


def test_equal_models_are_one(tmp_path: Path) -> None:
    models = VisionModels(settings(transcribe={"min_tiles": 9}, caption={}, answer={"device": "cpu"}), tmp_path)
    made = models.by_task()
    assert made["transcribe"] is made["caption"]
    assert made["answer"] is not made["caption"]
    assert all(isinstance(model, InternVL) for model in made.values())


def test_a_specialist_may_transcribe_alone(tmp_path: Path) -> None:
    models = VisionModels(settings(transcribe={"adapter": "transformers", "model": "x/y"}, answer={}), tmp_path)
    assert isinstance(models.transcribe, NativeModel)
    assert isinstance(models.answer, InternVL)


def test_a_model_may_be_served(tmp_path: Path) -> None:
    served = {"adapter": "openai", "served": {"urls": ["http://a/v1", "http://b/v1"]}}
    models = VisionModels(settings(transcribe=served, answer=served), tmp_path)
    assert isinstance(models.answer, ServedModel)
    assert models.transcribe is models.answer


def test_nothing_is_looked_for_before_it_is_needed(tmp_path: Path) -> None:
    models = VisionModels(settings(answer={"model": "/nowhere"}), tmp_path)
    assert models.answer is not None
    models.close()


def test_the_embedded_preset_imports_no_torch() -> None:
    code = """
import sys
from pathlib import Path
import tuwen.engine, tuwen.cli.app, vlm.base, vlm.models, vlm.fake
from tuwen.settings import Settings
assert vlm.models.VisionModels(Settings().models, Path(".")).by_task() == {}
sys.exit(", ".join({"torch", "transformers"} & sys.modules.keys()) or None)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
