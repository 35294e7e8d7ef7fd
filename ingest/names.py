"""Names inside archives and mails, made safe and readable; nothing is ever written to disk under them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from ingest.charset import detect_encoding
from tuwen.errors import ForbiddenError, LimitExceededError

_MAX_NAME, _MAX_PATH = 255, 1024
_DRIVE = re.compile(r"[A-Za-z]:")


def decode_names(raw: Sequence[bytes]) -> list[str]:
    """Names without a declared encoding, which one program wrote: UTF-8, GB18030 or Big5, else code page 437.

    The names of a whole archive are judged together: a single one is often too short to tell.
    """
    encoding = detect_encoding(b"\n".join(raw)) if raw else None
    return [_decode(name, encoding) for name in raw]


def _decode(name: bytes, encoding: str | None) -> str:
    for candidate in (encoding, "utf-8", "gb18030"):
        if candidate is not None:
            try:
                return name.decode(candidate)
            except UnicodeDecodeError:
                continue
    return name.decode("cp437")


def safe_path(name: str) -> str:
    """A relative path with forward slashes, in NFC.

    Raises:
        ForbiddenError: it is absolute, leads upwards, or cannot be a path.
        LimitExceededError: it is too long.
    """
    path = unicodedata.normalize("NFC", name).replace("\\", "/")
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if path.startswith("/") or _DRIVE.match(path) or ".." in segments:
        raise ForbiddenError("The name leads out of its archive.")
    if not segments or any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        raise ForbiddenError("The name is empty or holds control characters.")
    if len(path.encode()) > _MAX_PATH or any(len(segment.encode()) > _MAX_NAME for segment in segments):
        raise LimitExceededError(f"The name is longer than {_MAX_NAME} bytes, or its path than {_MAX_PATH}.")
    return "/".join(segments)


def safe_name(name: str, fallback: str) -> str:
    """A single name for a file that must not be lost: what cannot be in a name is replaced."""
    kept = "".join("_" if char in "/\\" or unicodedata.category(char) in ("Cc", "Cs") else char for char in name)
    kept = unicodedata.normalize("NFC", kept).strip()
    if not kept.strip("."):
        return fallback
    path = PurePosixPath(kept)
    suffix = path.suffix if len(path.suffix.encode()) < _MAX_NAME // 2 else ""
    stem = kept.removesuffix(suffix).encode()[: _MAX_NAME - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def is_hidden(path: str) -> bool:
    """Whether a path lies in what folders keep for themselves: names with a dot in front, macOS's forks."""
    return any(segment.startswith(".") or segment == "__MACOSX" for segment in path.split("/"))


class Unique:
    """Gives every path once: the second ``a.pdf`` becomes ``a (2).pdf``."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, path: str) -> str:
        """``path``, or the first free one like it."""
        place = PurePosixPath(path)
        chosen, number = path, 1
        while chosen in self._taken:
            number += 1
            chosen = str(place.with_name(f"{place.stem} ({number}){place.suffix}"))
        self._taken.add(chosen)
        return chosen
