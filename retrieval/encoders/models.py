"""Models from a folder or from the Hugging Face hub: which bytes they are, and what their licence allows."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from retrieval.base import EncoderDescription
from tuwen.errors import ConfigurationError, ModelUnavailableError
from tuwen.settings import RetrievalModelSettings

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_NON_COMMERCIAL = re.compile(
    r"(^|[-_ ])nc([-_ ]|$)|non-?commercial|qwen-research|research-only|nsclv1|apple-amlr|fair-research", re.IGNORECASE
)
"""Licences that allow no commercial use, by the identifiers and names that model cards give them."""


class Snapshot(NamedTuple):
    """One version of a model."""

    name: str
    source: str
    """Folder or hub id, as libraries take it."""
    revision: str | None
    """The commit, of a model from the hub."""
    folder: Path
    """Where its card and its configuration lie; of a model in a folder, all of it."""

    @property
    def stamp(self) -> str:
        """Cheap to have, and changes whenever the files do."""
        if self.revision:
            return f"{self.source}@{self.revision}"
        stats = [(str(path.relative_to(self.folder)), path.stat()) for path in _files(self.folder)]
        return f"{self.folder}\n{[(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]}"

    @property
    def content(self) -> str:
        """Of the bytes, wherever they lie; reads all of a model in a folder, which takes seconds for a large one."""
        if self.revision:
            return f"{self.source}@{self.revision}"
        digest = hashlib.sha256()
        for path in _files(self.folder):
            if path.name == "README.md":
                continue
            with path.open("rb") as file:
                digest.update(f"{path.relative_to(self.folder)}\n".encode())
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:32]


def find_model(settings: RetrievalModelSettings, key: str) -> Snapshot:
    """The model that ``settings`` name.

    Args:
        settings: a folder, or a hub id with a revision.
        key: where the settings stand, for error sentences.

    Raises:
        ConfigurationError: none is named, or its licence forbids commercial use and that is not accepted.
        ModelUnavailableError: it is neither here nor to be had.
    """
    if not settings.model:
        raise ConfigurationError(f"{key}.model is empty: name a folder or a model of the Hugging Face hub.")
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        snapshot = Snapshot(folder.name, str(folder), None, folder)
    else:
        snapshot = _from_hub(settings.model, settings.revision)
    _check_licence(snapshot, settings, key)
    return snapshot


def licence_of(folder: Path) -> str:
    """The licence that the model card in ``folder`` names; ``unknown`` without one."""
    try:
        matter = _FRONT_MATTER.match((folder / "README.md").read_text("utf-8"))
        card: Any = yaml.safe_load(matter.group(1)) if matter else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return "unknown"
    if not isinstance(card, dict):
        return "unknown"
    named = [card.get("license"), card.get("license_name")]
    return " / ".join(str(name) for name in named if name) or "unknown"


def described(home: Path, key: str, describe: Callable[[], EncoderDescription]) -> EncoderDescription:
    """What ``describe`` finds out by running a model once, kept in ``home/cache/models`` under ``key``.

    So the dimension is what the model gives, and still nobody has to load a model to learn it.
    """
    path = home / "cache" / "models" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        return EncoderDescription.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        description = describe()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(description.model_dump_json(), "utf-8")
        partial.replace(path)
    except OSError as error:
        raise ModelUnavailableError(f"{path}: what is known of the model cannot be written here: {error}.") from error
    return description


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _from_hub(model: str, revision: str | None) -> Snapshot:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:  # the card and the configuration only: weights are not fetched before the licence is known
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=["*.md", "*.json"]))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ModelUnavailableError(
            f"The model {model} is no folder here and cannot be had from the Hugging Face hub: {error}"
        ) from error
    return Snapshot(model, model, folder.name, folder)


def _check_licence(snapshot: Snapshot, settings: RetrievalModelSettings, key: str) -> None:
    licence = licence_of(snapshot.folder)
    if _NON_COMMERCIAL.search(licence) and not settings.accept_non_commercial:
        raise ConfigurationError(
            f"The licence of {snapshot.name} ({licence}) forbids commercial use. Take another model, or set "
            f"{key}.accept_non_commercial if your use is none."
        )
