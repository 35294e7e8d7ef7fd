"""Faults of a file system: full, read-only, and a writer killed before the rename."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuwen.blobs import FolderBlobs
from tuwen.errors import StorageUnavailableError


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota")])
def test_a_full_disk(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch, number: int, says: str) -> None:
    blobs.put("a/old", b"old")

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        for key in ("a/old", "a/new", "b/new"):
            with pytest.raises(StorageUnavailableError, match=says) as caught:
                blobs.put(key, b"new")
            assert (caught.value.code, caught.value.exit_code) == ("storage_unavailable", 3)
    assert list(blobs.keys()) == ["a/old"]
    assert blobs.get("a/old") == b"old"
    assert blobs.sweep(older_than_s=0) == 0


@pytest.fixture
def readonly() -> Iterator[FolderBlobs]:
    """A store that this process may read and not write; root steps down to nobody for the test."""
    folder = Path(tempfile.mkdtemp(prefix="tuwen-readonly-"))
    blobs = FolderBlobs(folder)
    blobs.put("a/b", b"value")
    for path in (folder / "a", folder):
        path.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield blobs
    os.seteuid(user)
    for path in (folder, folder / "a"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_readonly_folder(readonly: FolderBlobs) -> None:
    assert readonly.get("a/b") == b"value"
    for write in (
        lambda: readonly.put("a/b", b"x"),
        lambda: readonly.put("c/d", b"x"),
        lambda: readonly.delete("a/b"),
        lambda: readonly.delete_prefix("a/"),
    ):
        with pytest.raises(StorageUnavailableError, match="permission denied"):
            write()
    assert list(readonly.keys()) == ["a/b"]


def test_a_folder_that_cannot_be_made() -> None:
    with pytest.raises(StorageUnavailableError, match=r"cannot be made|denied|read-only"):
        FolderBlobs(Path("/proc/tuwen")).put("a", b"")


KILLED = """
import os, signal, sys
from pathlib import Path
from tuwen.blobs import FolderBlobs
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
FolderBlobs(Path(sys.argv[1])).put("a/b", b"half a write")
"""


def test_a_writer_killed_before_the_rename_leaves_no_blob(blobs: FolderBlobs) -> None:
    blobs.put("a/b", b"old")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(blobs.root)])
    assert ended.returncode == -signal.SIGKILL
    assert blobs.get("a/b") == b"old"
    assert list(blobs.keys()) == ["a/b"]
    assert blobs.delete_prefix("a/") == 1
    assert blobs.sweep() == 0  # young leftovers may belong to a living writer
    assert blobs.sweep(older_than_s=0, dry_run=True) == 1
    assert blobs.sweep(older_than_s=0) == 1
    assert [path for path in blobs.root.rglob("*") if path.is_file()] == []


def test_a_put_survives_a_power_cut(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it is renamed, its folder after, and so is the parent of every new folder."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_sync(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        steps.append("sync file" if ".tmp-" in path else f"sync {Path(path).name}")
        fsync(descriptor)

    def record_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    blobs.put("a/b/c", b"value")
    parent = blobs.root.parent.name
    assert steps == [f"sync {parent}", "sync blobs", "sync a", "sync file", "rename", "sync b"]
    steps.clear()
    blobs.put("a/b/d", b"value")
    assert steps == ["sync file", "rename", "sync b"]
