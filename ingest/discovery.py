"""What there is to ingest: files and folders in, accepted files out, everything else named with its reason."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.base import Found
from ingest.sniffing import sniff
from tuwen.errors import DocumentError
from tuwen.types import Skipped


def discover(paths: Sequence[Path]) -> Iterator[Found | Skipped]:
    """Walk files and folders, sorted by name, each real folder once.

    A file or folder that is named in ``paths`` is taken even when its own name begins with a dot. ``path`` of
    what is found is the base name of a file argument, or the path inside a folder argument, in NFC with forward
    slashes; where two files of one call would get the same one, the later gets as many of its folders in front as
    part them. Nothing is raised: what cannot be taken is a :class:`~tuwen.types.Skipped` with the code
    ``not_found``, ``hidden``, ``forbidden``, ``unsupported_type`` or ``corrupt_file`` (an empty file).
    """
    taken: dict[str, Path] = {}
    for path in paths:
        for found in _walk(path, "", set()) if _is_folder(path) else (_judge(path, path.name),):
            yield _parted(found, taken) if isinstance(found, Found) else found


def _parted(found: Found, taken: dict[str, Path]) -> Found:
    """``found`` under a path that no other file of this call has."""
    file = found.file.resolve()
    folders = [part for part in file.parts[:-1][::-1] if part != file.anchor]
    inside = found.path.count("/")
    path = found.path
    for folder in folders[inside:]:
        if taken.setdefault(path, file) == file:
            break
        path = _clean(f"{folder}/{path}")
    return found._replace(path=path)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:  # named as a file, it is reported for what it is
        return False


def _walk(folder: Path, inside: str, seen: set[tuple[int, int]]) -> Iterator[Found | Skipped]:
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        yield _unreadable(inside or folder.name, error)
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        path = f"{inside}/{entry.name}" if inside else entry.name
        if entry.name.startswith("."):
            yield Skipped(path=_clean(path), code="hidden", message="Hidden files and folders are not ingested.")
        elif _is_folder(entry):
            yield from _walk(entry, path, seen)
        else:
            yield _judge(entry, path)


def _judge(file: Path, path: str) -> Found | Skipped:
    try:
        # A pipe or a device would block or never end: look before opening.
        if not stat.S_ISREG(file.stat().st_mode):
            return Skipped(path=_clean(path), code="unsupported_type", message="Not a regular file.")
        return Found(file, _clean(path), sniff(file))
    except DocumentError as error:
        return Skipped(path=_clean(path), code=error.code, message=error.message)
    except OSError as error:
        return _unreadable(path, error)


def _unreadable(path: str, error: OSError) -> Skipped:
    code = "forbidden" if isinstance(error, PermissionError) else "not_found"
    return Skipped(path=_clean(path), code=code, message=f"{error.strerror or error}.")


def _clean(path: str) -> str:
    # Bytes that are no UTF-8 arrive as lone surrogates, which neither JSON nor SQLite takes.
    text = os.fsencode(path).decode("utf-8", errors="replace")
    return unicodedata.normalize("NFC", text)
