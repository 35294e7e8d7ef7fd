"""Blobs as files below one folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tuwen.blobs.base import checked_key, checked_prefix
from tuwen.errors import InvalidRequestError, NotFoundError, StorageUnavailableError

_TEMPORARY = ".tmp-"
_CHUNK = 1 << 20
_ATTEMPTS = 50
_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, then try again",
    errno.EDQUOT: "the disk quota is used up: free some space, then try again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied: the user running tuwen must own this folder",
    errno.EPERM: "permission denied: the user running tuwen must own this folder",
}


class FolderBlobs:
    """One file a blob; atomic by temporary file, fsync, rename and fsync of the folder."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, made at the first write."""
        self.root = root

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Store ``data`` under ``key``, replacing what was there."""
        target = self._path(key)
        with _storage_errors(key), _clashes(key):
            temporary = _new_file(self.root, target.parent)
            try:
                with temporary.open("wb") as handle:
                    _write(handle, data)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            with contextlib.suppress(FileNotFoundError):  # deleted at once, folder and all, by someone else
                _sync_folder(target.parent)

    def get(self, key: str) -> bytes:
        """The whole value. Raises NotFoundError."""
        with self.open(key) as handle, _storage_errors(key):
            return handle.read()

    def open(self, key: str) -> BinaryIO:
        """The value as a seekable stream, to be closed by the caller. Raises NotFoundError."""
        with _storage_errors(key):
            return self._path(key).open("rb")

    @contextlib.contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """The blob's own file: do not write to it. Raises NotFoundError."""
        path = self._path(key)
        if not self.exists(key):
            raise _not_found(key)
        yield path

    def exists(self, key: str) -> bool:
        """Whether there is a value."""
        path = self._path(key)
        with _storage_errors(key):
            return path.is_file()

    def size(self, key: str) -> int:
        """Bytes of the value. Raises NotFoundError."""
        path = self._path(key)
        with _storage_errors(key):
            if not path.is_file():
                raise _not_found(key)
            return path.stat().st_size

    def delete(self, key: str) -> bool:
        """Remove the value; whether there was one."""
        path = self._path(key)
        with _storage_errors(key):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            except (IsADirectoryError, PermissionError):
                if path.is_dir():
                    return False
                raise
            self._remove_empty_folders(path.parent)
            return True

    def delete_prefix(self, prefix: str) -> int:
        """Remove everything below the folder ``prefix`` (ends with ``/``); the number of values removed."""
        if not prefix:
            raise InvalidRequestError("an empty prefix would delete every blob")
        return sum(self.delete(key) for key in list(self.keys(prefix)))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys below the folder ``prefix`` (ends with ``/``; empty for all), in no particular order."""
        top = self.root / checked_prefix(prefix)
        with _storage_errors(prefix):
            for path in _files(top):
                if not path.name.startswith(_TEMPORARY):
                    yield path.relative_to(self.root).as_posix()

    def sweep(self, older_than_s: float = 3600.0, *, dry_run: bool = False) -> int:
        """Remove temporary files of writers that died, or only count them."""
        limit = time.time() - older_than_s
        removed = 0
        with _storage_errors(str(self.root)):
            for path in _files(self.root):
                if path.name.startswith(_TEMPORARY):
                    with contextlib.suppress(FileNotFoundError):  # its writer finished meanwhile
                        if path.stat().st_mtime <= limit:
                            if not dry_run:
                                path.unlink()
                            removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _remove_empty_folders(self, folder: Path) -> None:
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:  # not empty, or another process was first: both are fine
                return
            folder = folder.parent


def _files(top: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for folder, _, names in os.walk(top, onerror=fail):
        for name in names:
            yield Path(folder, name)


def _new_file(root: Path, folder: Path) -> Path:
    """An empty temporary file in ``folder``, which is made if need be.

    A concurrent delete may remove the empty folder between the two steps; then both are repeated.
    """
    path = folder / f"{_TEMPORARY}{uuid.uuid4().hex}"
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            _make_folders(root, folder)
            path.touch(exist_ok=False)
            return path
    raise StorageUnavailableError(f"{folder}: the folder cannot be made, or is removed again at once")


def _make_folders(root: Path, folder: Path) -> None:
    if folder.is_dir():
        return
    if folder != root:
        _make_folders(root, folder.parent)
        folder.mkdir(exist_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
    _sync_folder(folder.parent)  # else a power cut could take the new folder and all that is in it


def _write(handle: BinaryIO, data: bytes | BinaryIO) -> None:
    if isinstance(data, bytes | bytearray | memoryview):
        handle.write(data)
    else:
        shutil.copyfileobj(data, handle, _CHUNK)
    handle.flush()
    os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_found(key: str) -> NotFoundError:
    return NotFoundError(f"no blob {key}")


@contextlib.contextmanager
def _clashes(key: str) -> Iterator[None]:
    try:
        yield
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidRequestError(f"blob key {key}: a part of it is already a blob, or it is a folder") from error


@contextlib.contextmanager
def _storage_errors(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise _not_found(key) from error
    except OSError as error:
        where = error.filename or key
        raise StorageUnavailableError(f"{where} cannot be used: {_ADVICE.get(error.errno or 0, str(error))}") from error
