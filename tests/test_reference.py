"""The configuration page and the bundled presets say what the settings model says."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tuwen import reference
from tuwen.presets import PRESETS, Preset
from tuwen.settings import Settings

ROOT = Path(__file__).parent.parent
ADVICE = "run scripts/docs and commit what it writes"


def test_the_configuration_page_is_up_to_date() -> None:
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == reference.configuration_page(), ADVICE


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_are_up_to_date(preset: Preset) -> None:
    assert (ROOT / f"configs/{preset.name}.yaml").read_text("utf-8") == reference.preset_file(preset), ADVICE


def test_every_preset_is_written() -> None:
    assert {path.stem for path in (ROOT / "configs").glob("*.yaml")} == {preset.name for preset in PRESETS}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_hold_every_key(preset: Preset) -> None:
    tree = yaml.safe_load((ROOT / f"configs/{preset.name}.yaml").read_text("utf-8"))
    assert tree == preset.settings.model_dump(mode="json")


def test_the_embedded_preset_is_the_defaults() -> None:
    assert PRESETS[0].settings == Settings()


def test_every_key_has_a_description_and_its_row() -> None:
    page = reference.configuration_page()
    for key, description in leaves(Settings):
        assert description, f"{key} has no description"
        assert f"| `{key}` |" in page
        assert description in page


def leaves(section: type[BaseModel], above: str = "") -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for name, field in section.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += leaves(kind, f"{above}{name}.")
        else:
            found.append((above + name, field.description))
    return found
