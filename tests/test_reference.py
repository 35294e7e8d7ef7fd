"""The configuration page and the bundled preset say what the settings model says."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from tuwen import reference
from tuwen.settings import Settings

ROOT = Path(__file__).parent.parent
ADVICE = "run scripts/docs and commit what it writes"


def test_the_configuration_page_is_up_to_date() -> None:
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == reference.configuration_page(), ADVICE


def test_the_embedded_preset_is_up_to_date() -> None:
    assert (ROOT / "configs/embedded.yaml").read_text("utf-8") == reference.preset_file(), ADVICE


def test_the_embedded_preset_holds_every_key_with_its_default() -> None:
    tree = yaml.safe_load((ROOT / "configs/embedded.yaml").read_text("utf-8"))
    assert tree == Settings().model_dump(mode="json")


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
