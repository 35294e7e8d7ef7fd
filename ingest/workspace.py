"""Folders for what is unpacked or converted on the way; nothing in them outlives its process for long."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tuwen.errors import StorageUnavailableError

SPOOL = "spool"
"""The folder in ``TUWEN_HOME`` for such folders."""


@contextmanager
def workspace(spool: Path) -> Iterator[Path]:
    """A folder of its own below ``spool``, removed in the end.

    Raises:
        StorageUnavailableError: it cannot be made.
    """
    try:
        spool.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=spool))
    except OSError as error:
        raise StorageUnavailableError(f"{spool} cannot be written: {error.strerror}; free some space there.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(spool: Path) -> int:
    """Remove the folders of processes that were killed; their number."""
    if not spool.is_dir():
        return 0
    left = [path for path in spool.iterdir() if not _is_alive(path.name.split("-")[0])]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _is_alive(pid: str) -> bool:
    return pid.isdigit() and psutil.pid_exists(int(pid))
