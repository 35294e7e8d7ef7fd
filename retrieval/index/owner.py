"""One owner process for an embedded index.

The lock is an advisory file lock, which the kernel drops with its process, ``kill -9`` included. The
note beside it only says who holds the lock; a stale note blocks nobody.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from pydantic import ValidationError

from tuwen.errors import IndexLockedError, StorageUnavailableError
from tuwen.types import Model


class _Note(Model):
    pid: int
    started: float
    """Start of the process, seconds since the epoch: tells it from a later one with the same pid."""
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) since {self.since}"


class OwnerLock:
    """Holds the folder ``path`` for this process until :meth:`release`.

    Raises:
        IndexLockedError: another process, or another part of this one, holds it.
        StorageUnavailableError: the folder cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path / "owner.lock", timeout=0)
        self._note = _note_path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            _write(self._note)
        except Timeout as error:
            raise IndexLockedError(_explain(path)) from error
        except OSError as error:
            self._lock.release()
            raise StorageUnavailableError(
                f"The index folder {path} cannot be written to: {error.strerror or error}. "
                "Check its permissions and the free space, or set TUWEN_HOME to another folder."
            ) from error

    @property
    def held(self) -> bool:
        """Whether this lock still holds the folder."""
        return self._lock.is_locked

    def release(self) -> None:
        """Let others open the index."""
        if self.held:
            self._note.unlink(missing_ok=True)
            self._lock.release()


def index_owner(path: Path) -> str | None:
    """The living process that holds the index at ``path``, in words; None when nobody does."""
    try:
        note = _Note.model_validate_json(_note_path(path).read_bytes())
    except (FileNotFoundError, ValidationError):  # none, or one being written: no process to name yet
        return None
    return str(note) if _alive(note) else None


def _explain(path: Path) -> str:
    owner = index_owner(path) or "another process"
    return (
        f"The index {path} is held by {owner}. An embedded index has one owner at a time: "
        "wait until it is done, or stop that process."
    )


def _note_path(path: Path) -> Path:
    return path / "owner.json"


def _write(path: Path) -> None:
    process = psutil.Process()
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    note = _Note(pid=process.pid, started=process.create_time(), command=command, since=now)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(note.model_dump_json(), "utf-8")
    partial.replace(path)


def _alive(note: _Note) -> bool:
    try:
        return abs(psutil.Process(note.pid).create_time() - note.started) < 1
    except psutil.NoSuchProcess:
        return False
