"""Writes what is derived from the settings model: ``docs/configuration.md`` and ``configs/embedded.yaml``.

``scripts/docs`` calls this; a test regenerates both and compares, so neither can go stale.
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

_PRESET_HEADER = """\
# The embedded preset: a laptop or CI; no GPU, no server, no download.
#
# Every key with its default. Copy the file, keep what you change, and pass it with `tuwen --config FILE`.
# Written by `scripts/docs` from tuwen/settings.py; docs/configuration.md says the same as tables.
"""

_BOUNDS = {"Ge": ("ge", "≥"), "Gt": ("gt", ">"), "Le": ("le", "≤"), "Lt": ("lt", "<")}


def configuration_page() -> str:
    """The text of ``docs/configuration.md``."""
    return "\n".join([_INTRODUCTION, *_tables(Settings, ())])


def preset_file() -> str:
    """The text of ``configs/embedded.yaml``: every key, its default, and what it is for."""
    return "\n".join([_PRESET_HEADER, *_keys(Settings, 0)]) + "\n"


def write(root: Path) -> None:
    """Write both files below the repository at ``root``."""
    (root / "docs" / "configuration.md").write_text(configuration_page(), "utf-8")
    (root / "configs" / "embedded.yaml").write_text(preset_file(), "utf-8")


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


def _keys(section: type[BaseModel], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in section.model_fields.items():
        if _is_section(field):
            inner = _section(field)
            if depth == 0:
                yield ""
            yield f"{indent}# {inner.__doc__}"
            yield f"{indent}{name}:"
            yield from _keys(inner, depth + 1)
        else:
            yield f"{indent}# {field.description} ({_type(field)})"
            yield f"{indent}{name}: {_yaml(field.default)}"


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
