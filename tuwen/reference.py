"""Writes what is derived from the settings model: ``docs/configuration.md`` and the presets in ``configs/``.

``scripts/docs`` calls this; a test regenerates them and compares, so none can go stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuwen.presets import PRESETS, Preset
from tuwen.settings import Settings

_INTRODUCTION = """\
# Configuration

Every setting has a default that works. Later wins:

1. the defaults below;
2. a settings file: `tuwen --config FILE`, or the one that `TUWEN_CONFIG` names, or else the bundled
   [`configs/embedded.yaml`](../configs/embedded.yaml); a file may leave out any key;
3. environment variables: `TUWEN_SECTION__KEY`, two underscores for each step down, as in
   `TUWEN_INGEST__OCR__DPI=300`; the value is read as YAML.

An unknown key, a value of the wrong type or a missing file is an error that names the key and the place (exit code 2).

Some variables are not settings of this model:

| variable | meaning |
| --- | --- |
| `TUWEN_HOME` | the data directory; `~/.local/share/tuwen` by default |
| `TUWEN_CONFIG` | settings file, where `--config` is not given |
| `TUWEN_LANG` | language of the output for people, `zh` or `en`; the locale's by default |

This page is written by `scripts/docs` from `tuwen/settings.py`.
"""

_PRESET_NOTE = """\
#
# Every key. Copy the file, keep what you change, and pass it with `tuwen --config FILE`.
# Written by `scripts/docs` from tuwen/{module}.py; docs/configuration.md says the same as tables.
"""

_BOUNDS = {"Ge": ("ge", "≥"), "Gt": ("gt", ">"), "Le": ("le", "≤"), "Lt": ("lt", "<")}


def configuration_page() -> str:
    """The text of ``docs/configuration.md``."""
    return "\n".join([_INTRODUCTION, *_tables(Settings, ())])


def preset_file(preset: Preset) -> str:
    """The text of a file in ``configs/``: every key, its value, what it is for, and its default where that differs."""
    module = "presets" if preset.changes else "settings"
    head = f"{preset.heading}{_PRESET_NOTE.format(module=module)}"
    return "\n".join([head, *_keys(preset.settings, 0)]) + "\n"


def write(root: Path) -> None:
    """Write all files below the repository at ``root``."""
    (root / "docs" / "configuration.md").write_text(configuration_page(), "utf-8")
    for preset in PRESETS:
        (root / "configs" / f"{preset.name}.yaml").write_text(preset_file(preset), "utf-8")


def _tables(section: type[BaseModel], keys: tuple[str, ...]) -> Iterator[str]:
    values = {name: field for name, field in section.model_fields.items() if not _is_section(field)}
    if values:
        title = ".".join(keys)
        yield f"## {title}\n\n{section.__doc__}\n" if keys else "## Top level\n"
        yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
        for name, field in values.items():
            yield f"| `{'.'.join((*keys, name))}` | {_type(field)} | `{_yaml(field.default)}` | {field.description} |"
        yield ""
    for name, field in section.model_fields.items():
        if _is_section(field):
            yield from _tables(_section(field), (*keys, name))


def _keys(section: BaseModel, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            if depth == 0:
                yield ""
            yield f"{indent}# {type(value).__doc__}"
            yield f"{indent}{name}:"
            yield from _keys(value, depth + 1)
        else:
            yield f"{indent}# {field.description} ({_type(field)})"
            changed = "" if value == field.default else f"  # default: {_yaml(field.default)}"
            yield f"{indent}{name}: {_yaml(value)}{changed}"


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _section(field: FieldInfo) -> type[BaseModel]:
    assert isinstance(field.annotation, type)
    assert issubclass(field.annotation, BaseModel)
    return field.annotation


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {_yaml(getattr(limit, attribute))}"
        for limit in field.metadata
        if type(limit).__name__ in _BOUNDS
        for attribute, sign in [_BOUNDS[type(limit).__name__]]
    ]
    return ", ".join([_type_name(field.annotation), *bounds])


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"list of {_type_name(get_args(annotation)[0])}"
    parts = get_args(annotation) or (annotation,)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", NoneType: "empty"}
    return " or ".join(names[part] for part in parts)


def _yaml(value: object) -> str:
    if isinstance(value, tuple):
        return yaml.safe_dump(list(value), allow_unicode=True, default_flow_style=True).strip()
    return "null" if value is None else yaml.safe_dump(value, allow_unicode=True).removesuffix("...\n").strip()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
