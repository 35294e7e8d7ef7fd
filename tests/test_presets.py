"""Every preset file loads, and what it names can be put together without a network; models load later."""

from pathlib import Path

import pytest

import configs
from retrieval.answerers.extractive import ExtractiveAnswerer
from retrieval.answerers.vlm import VisionAnswerer
from retrieval.encoders.openai import OpenAIEncoder
from retrieval.encoders.sentence_transformers import DenseSentenceTransformer
from retrieval.rerankers import build_reranker
from retrieval.rerankers.cross_encoder import CrossEncoderReranker
from retrieval.rerankers.none import NoReranker
from tests.retrieval.test_answerers import CANTEEN
from tuwen.parts import Parts
from tuwen.settings import Settings, load_settings
from vlm.internvl.model import InternVL
from vlm.served import ServedModel

FOLDER = Path(configs.__file__).parent
FANGWUSHA = "Yougen/InternVL3Fangwusha2B"


def settings_of(name: str) -> Settings:
    return load_settings(FOLDER / f"{name}.yaml", {})


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.yaml")])
def test_it_loads_and_its_parts_are_made(name: str, tmp_path: Path) -> None:
    settings = settings_of(name)
    assert settings.preset == name
    parts = Parts(settings, tmp_path)
    assert parts.answerer
    models = parts.vision_models.by_task()
    assert set(models) == (set() if name == "embedded" else {"transcribe", "caption", "answer"})
    parts.close()
    assert not list((tmp_path / "cache").glob("*")) or name == "embedded"


@pytest.mark.parametrize(
    ("name", "encoder", "reranker", "model"),
    [
        ("gpu", DenseSentenceTransformer, CrossEncoderReranker, InternVL),
        ("cluster", OpenAIEncoder, NoReranker, ServedModel),
    ],
)
def test_what_the_larger_presets_are_made_of(
    name: str, encoder: type, reranker: type, model: type, tmp_path: Path
) -> None:
    settings = settings_of(name)
    parts = Parts(settings, tmp_path)
    assert isinstance(parts.encoders.dense, encoder)
    assert isinstance(parts.encoders.image, encoder)
    assert isinstance(build_reranker(settings.search.reranker, parts.encoders, object()), reranker)
    assert isinstance(parts.answerer, VisionAnswerer)
    assert all(isinstance(made, model) for made in parts.vision_models.by_task().values())
    tasks = settings.models.transcribe, settings.models.caption, settings.models.answer
    assert {task.model for task in tasks} == {FANGWUSHA}
    parts.close()


def test_tasks_of_the_gpu_preset_share_one_model_in_memory(tmp_path: Path) -> None:
    models = Parts(settings_of("gpu"), tmp_path).vision_models
    assert models.transcribe is models.caption is models.answer


def test_the_embedded_preset_answers_without_a_model(tmp_path: Path) -> None:
    parts = Parts(settings_of("embedded"), tmp_path)
    assert isinstance(parts.answerer, ExtractiveAnswerer)
    assert parts.answerer.answer("早餐由谁负责？", [CANTEEN]).claims
    parts.close()
