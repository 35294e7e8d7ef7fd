"""The pinned versions cover what pyproject.toml asks for; the embedded set brings no torch."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SETS = {"embedded": ["embedded"], "dev": ["embedded", "server", "models", "vlm", "dev"]}


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "constraints" / f"{name}.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def requirements(extras: list[str]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in wanted if not line.startswith("tuwen[")]


@pytest.mark.parametrize("name", SETS)
def test_every_requirement_is_pinned_within_its_range(name: str) -> None:
    pinned = pins(name)
    for requirement in requirements(SETS[name]):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in constraints/{name}.txt: run scripts/lock"
        assert requirement.specifier.contains(version), f"{requirement} but {version} is pinned: run scripts/lock"


def test_both_sets_pin_the_same_versions() -> None:
    assert pins("embedded").items() <= pins("dev").items()


def test_the_embedded_set_is_light() -> None:
    assert not {"torch", "torchvision", "transformers", "sentence-transformers"} & pins("embedded").keys()
    assert not [name for name in pins("embedded") if name.startswith("nvidia")]
