"""``tuwen models check``: what runs is measured, what does not says why."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.vlm_checkpoint import TINY, write_random
from tests.vlm.golden import CHECKPOINT
from tuwen.cli.app import app


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUWEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUWEN_LANG", "en")
    return tmp_path / "preset.yaml"


def preset(file: Path, **tasks: str) -> list[str]:
    lines = [f"  {task}: {{adapter: internvl, model: {model!r}}}" for task, model in tasks.items()]
    file.write_text("models:\n" + "\n".join(lines), "utf-8")
    return ["models", "check", "--config", str(file)]


def test_a_model_is_loaded_and_measured(config: Path) -> None:
    arguments = preset(config, transcribe=str(CHECKPOINT), answer=str(CHECKPOINT))
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0
    (check,) = json.loads(result.stdout)["models"]
    assert check["tasks"] == ["transcribe", "answer"]
    assert (check["format"], check["dtype"], check["device"]) == ("InternVL, original", "float32", "cpu")
    assert check["size_bytes"] == (CHECKPOINT / "model.safetensors").stat().st_size
    assert check["context_tokens"] == 32768
    assert min(check[key] for key in ("first_token_s", "free_bytes", "batch")) > 0
    assert check["tokens_per_s"] is None  # it has nothing to say to this question
    assert check["error"] is None


def test_the_speed_is_that_of_a_longer_text(config: Path) -> None:
    write_random(config.parent / "talkative", TINY)
    arguments = preset(config, caption=str(config.parent / "talkative"))
    result = CliRunner().invoke(app, [*arguments, "--json"])
    (check,) = json.loads(result.stdout)["models"]
    assert 10 < check["tokens_per_s"] < 20_000


def test_people_see_a_list(config: Path) -> None:
    result = CliRunner().invoke(app, preset(config, caption=str(CHECKPOINT)))
    assert result.exit_code == 0
    assert "InternVL, original" in result.stdout


def test_what_is_missing_is_named_and_the_others_are_tried(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(config.parent))
    arguments = preset(config, transcribe="Yougen/InternVL3Fangwusha2B", answer=str(CHECKPOINT))
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 3
    missing, fine = json.loads(result.stdout)["models"]
    assert missing["error"]["code"] == "model_unavailable"
    assert "config.json" in missing["error"]["message"]
    assert fine["error"] is None


def test_a_preset_without_models_says_so(config: Path) -> None:
    result = CliRunner().invoke(app, ["models", "check"])
    assert result.exit_code == 0
    assert "embedded" in result.stdout
