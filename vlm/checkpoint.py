"""Where a checkpoint lies and what it holds: a folder, or a hub id at a pinned revision.

Nothing here runs code of a checkpoint or imports torch.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from tuwen.errors import ModelUnavailableError

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
"""What a checkpoint consists of; Python files are not among it."""


class Checkpoint(NamedTuple):
    """A checkpoint on this machine."""

    name: str
    """As it was asked for: folder or hub id."""
    folder: Path
    revision: str
    """Commit of the hub; empty for a folder."""

    @property
    def config(self) -> dict[str, Any]:
        """``config.json``. Raises ModelUnavailableError."""
        return _read_json(self.folder / "config.json", self.name)

    def weights(self) -> list[Path]:
        """The safetensors files, in order. Raises ModelUnavailableError that names what is missing."""
        if (self.folder / _INDEX).exists():
            shards = set(_read_json(self.folder / _INDEX, self.name)["weight_map"].values())
            files = [self.folder / shard for shard in sorted(shards)]
        else:
            files = [self.folder / _SINGLE]
        if missing := [file.name for file in files if not file.exists()]:
            raise ModelUnavailableError(f"{self.name}: {', '.join(missing)} is missing in {self.folder}.")
        return files

    def size(self) -> int:
        """Bytes of the weights."""
        return sum(file.stat().st_size for file in self.weights())

    def digest(self) -> str:
        """Hash of weights, configuration and tokenizer: 16 hexadecimal digits, the same wherever the files lie."""
        digest = hashlib.sha256()
        files = {file for pattern in ("*.json", "*.txt", "*.model") for file in self.folder.glob(pattern)}
        for file in sorted(files, key=lambda file: file.name):
            digest.update(f"{file.name}\0{_content(file)}\0".encode())
        for file in self.weights():
            digest.update(f"{file.name}\0{_content(file)}\0".encode())
        return digest.hexdigest()[:16]


def find(name: str, revision: str | None = None) -> Checkpoint:
    """The checkpoint ``name``, downloaded if it is a hub id that is not in the cache and the machine is online.

    Args:
        name: a folder, or ``owner/name`` on the hub.
        revision: commit, tag or branch of a hub id.

    Raises:
        ModelUnavailableError: no such folder; or not in the cache and not to be had from the hub.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise ModelUnavailableError(f"{name}: config.json is missing in this folder; it holds no checkpoint.")
        return Checkpoint(name, folder, "")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelUnavailableError(f"{name}: no such folder. Give a folder, or the id of a model hub (owner/name).")
    return _from_hub(name, revision)


def _from_hub(name: str, revision: str | None) -> Checkpoint:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise needs_extra() from error
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_PATTERNS))
    except LocalEntryNotFoundError as error:
        raise ModelUnavailableError(
            f"{name}: config.json and the weights are not in the local cache, and the model hub cannot be reached. "
            "Download them on a machine that is online, and give their folder as the model."
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelUnavailableError(f"{name}: the model hub does not give it: {error}") from error
    return Checkpoint(name, folder, folder.name)


def needs_extra() -> ModelUnavailableError:
    """The error of a machine without torch and transformers."""
    return ModelUnavailableError("Models in process need torch and transformers: pip install 'tuwen[gpu]'.")


def _content(file: Path) -> str:
    """Hash of the content; the hub's cache names large files by it."""
    blob = file.resolve().name
    if file.is_symlink() and len(blob) == 64 and file.resolve().parent.name == "blobs":
        return blob
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _read_json(file: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailableError(f"{name}: {file.name} is missing in {file.parent}.") from error
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(f"{name}: {file.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelUnavailableError(f"{name}: {file.name} is no mapping.")
    return content
