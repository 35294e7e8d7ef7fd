"""The seam of blob stores: flat keys with ``/`` in them, whole values, atomic writes.

Every adapter passes ``tests/blobs/test_conformance.py``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from tuwen.errors import InvalidRequestError

MAX_KEY_BYTES = 1024
"""The limit of S3; a folder would take more."""
MAX_SEGMENT_BYTES = 255
"""The limit of a file name on Linux; S3 would take more."""


@runtime_checkable
class Blobs(Protocol):
    """A store of immutable byte strings.

    Keys are relative paths such as ``documents/ID/pages/1.json``; no key may also be the folder of another.
    A value is there completely or not at all, and durable once :meth:`put` returns. Safe to use from many
    threads and processes. Every method raises :class:`~tuwen.errors.InvalidRequestError` for a bad key and
    :class:`~tuwen.errors.StorageUnavailableError` when the store is full, read-only or cannot be reached.
    """

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Store ``data`` under ``key``, replacing what was there."""
        ...

    def get(self, key: str) -> bytes:
        """The whole value. Raises NotFoundError."""
        ...

    def open(self, key: str) -> BinaryIO:
        """The value as a seekable stream, to be closed by the caller. Raises NotFoundError."""
        ...

    def local_path(self, key: str) -> AbstractContextManager[Path]:
        """The value as a file for parsers that need one; read-only, gone after the block. Raises NotFoundError."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is a value."""
        ...

    def size(self, key: str) -> int:
        """Bytes of the value. Raises NotFoundError."""
        ...

    def delete(self, key: str) -> bool:
        """Remove the value; whether there was one."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove everything below the folder ``prefix`` (ends with ``/``); the number of values removed."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys below the folder ``prefix`` (ends with ``/``; empty for all), in no particular order."""
        ...

    def sweep(self, older_than_s: float = 3600.0, *, dry_run: bool = False) -> int:
        """Remove what interrupted writes left behind that long ago (or only count it); the number of leftovers."""
        ...


def checked_key(key: str) -> str:
    """The key itself, if it is safe on every adapter.

    Safe means: NFC; segments parted by single ``/``, none empty, none starting with a dot (no ``..``, nothing
    hidden); no backslash, no control character; within the length limits.

    Raises:
        InvalidRequestError: it is not.
    """
    reason = _fault(key)
    if reason:
        raise InvalidRequestError(f"blob key {key!r} {reason}")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix itself, if it is empty or a safe key followed by ``/``.

    Raises:
        InvalidRequestError: it is not.
    """
    if prefix and not prefix.endswith("/"):
        raise InvalidRequestError(f"blob prefix {prefix!r} must end with '/'")
    if prefix:
        checked_key(prefix[:-1])
    return prefix


def _fault(key: str) -> str | None:
    try:
        encoded = key.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid Unicode"
    segments = key.split("/")
    if len(encoded) > MAX_KEY_BYTES or any(len(s.encode("utf-8")) > MAX_SEGMENT_BYTES for s in segments):
        return "is too long"
    if "" in segments:
        return "is empty, absolute, or has an empty segment"
    if any(segment.startswith(".") for segment in segments):
        return "has a segment that starts with a dot"
    if "\\" in key or any(unicodedata.category(char) == "Cc" for char in key):
        return "holds a backslash or a control character"
    if not unicodedata.is_normalized("NFC", key):
        return "is not in Unicode normal form NFC"
    return None
