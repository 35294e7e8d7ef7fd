"""Prompts are packaged, versioned, and filled without being read as anything else."""

from importlib.resources import files

import pytest

from vlm.tasks import prompts
from vlm.tasks.prompts import Prompt, prompt


def test_every_packaged_prompt_loads() -> None:
    names = [path.name for path in files(prompts).iterdir() if path.name.endswith(".txt")]
    assert names
    for name in names:
        stem, version = name.removesuffix(".txt").rsplit("-", 1)
        loaded = prompt(stem, int(version))
        assert (loaded.name, loaded.version) == (stem, int(version))
        assert any("\u4e00" <= char <= "\u9fff" for char in loaded.text)


def test_values_are_filled_once_and_as_they_are() -> None:
    asked = Prompt("x", 1, "问：{{question}} 文：{{text}} {literal} $1")
    assert asked.fill(question="{{text}}", text="\\1 {{question}}") == "问：{{text}} 文：\\1 {{question}} {literal} $1"


def test_a_place_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="question"):
        Prompt("x", 1, "{{question}}").fill(text="")


def test_there_is_no_such_prompt() -> None:
    with pytest.raises(FileNotFoundError):
        prompt("transcribe", 99)
