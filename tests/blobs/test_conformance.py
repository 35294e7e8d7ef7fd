"""What every blob store does. An adapter joins by adding itself to ``ADAPTERS``."""

import contextlib
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuwen.blobs import Blobs, FolderBlobs, checked_key
from tuwen.errors import InvalidRequestError, NotFoundError

ADAPTERS: dict[str, Callable[[Path], Blobs]] = {"folder": lambda folder: FolderBlobs(folder / "blobs")}


@pytest.fixture(params=ADAPTERS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return ADAPTERS[request.param](tmp_path)


def test_follows_the_protocol(blobs: Blobs) -> None:
    assert isinstance(blobs, Blobs)


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 10_000])
def test_what_is_put_is_got(blobs: Blobs, content: bytes) -> None:
    for data in (content, io.BytesIO(content)):
        blobs.put("文档/一/原件.pdf", data)
        assert blobs.get("文档/一/原件.pdf") == content
        assert blobs.size("文档/一/原件.pdf") == len(content)
        assert blobs.exists("文档/一/原件.pdf")
        with blobs.open("文档/一/原件.pdf") as stream:
            stream.seek(len(content) // 2)
            assert stream.read() == content[len(content) // 2 :]
        with blobs.local_path("文档/一/原件.pdf") as path:
            assert path.read_bytes() == content


def test_put_replaces(blobs: Blobs) -> None:
    blobs.put("a", b"a long first value")
    with blobs.open("a") as reader:
        blobs.put("a", b"short")
        assert reader.read() == b"a long first value"  # a reader keeps what it opened
    assert blobs.get("a") == b"short"
    assert list(blobs.keys()) == ["a"]


def test_missing_blobs(blobs: Blobs) -> None:
    blobs.put("a/b", b"")
    for key in ("nothing", "no/thing", "a", "a/b/c"):
        assert not blobs.exists(key)
        assert not blobs.delete(key)
        for read in (blobs.get, blobs.open, blobs.size):
            with pytest.raises(NotFoundError, match=key):
                read(key)
        with pytest.raises(NotFoundError, match=key), blobs.local_path(key):
            pass
    assert list(blobs.keys()) == ["a/b"]


def test_delete(blobs: Blobs) -> None:
    blobs.put("a/b/c", b"")
    assert blobs.delete("a/b/c")
    assert not blobs.exists("a/b/c")
    assert not blobs.delete("a/b/c")
    blobs.put("a/b", b"where a folder was")
    assert blobs.get("a/b") == b"where a folder was"


def test_keys_and_delete_by_prefix(blobs: Blobs) -> None:
    keys = {"d/1/x", "d/1/p/1", "d/1/p/2", "d/10/x", "e"}
    for key in keys:
        blobs.put(key, b"")
    assert set(blobs.keys()) == keys
    assert set(blobs.keys("d/1/")) == {"d/1/x", "d/1/p/1", "d/1/p/2"}
    assert list(blobs.keys("none/")) == []
    assert list(blobs.keys("e/")) == []
    assert blobs.delete_prefix("d/1/p/") == 2
    assert blobs.delete_prefix("d/1/") == 1
    assert blobs.delete_prefix("d/1/") == 0
    assert set(blobs.keys()) == {"d/10/x", "e"}


@pytest.mark.parametrize("prefix", ["d", "/", "../", "d//", "./"])
def test_prefixes_that_are_no_folders(blobs: Blobs, prefix: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"prefix|key"):
        list(blobs.keys(prefix))
    with pytest.raises(InvalidRequestError, match=r"prefix|key"):
        blobs.delete_prefix(prefix)


def test_an_empty_prefix_does_not_delete_everything(blobs: Blobs) -> None:
    with pytest.raises(InvalidRequestError, match="every blob"):
        blobs.delete_prefix("")


@pytest.mark.parametrize(
    "key",
    [
        "", "/etc/passwd", "..", "../x", "a/../b", "a/./b", "a//b", "a/", ".hidden", "a/.tmp-1", "a\0b", "a\nb",
        "a\\b", "e\u0301", "\udcff", "x" * 256, "图" * 86, "/".join(["x" * 100] * 11),
    ],
)  # fmt: skip
def test_keys_that_are_not_safe_everywhere(blobs: Blobs, key: str) -> None:
    for use in (lambda: blobs.put(key, b""), lambda: blobs.get(key), lambda: blobs.exists(key)):
        with pytest.raises(InvalidRequestError, match="blob key"):
            use()
    with pytest.raises(InvalidRequestError, match="blob key"):
        blobs.delete(key)
    assert list(blobs.keys()) == []


def test_a_key_below_a_blob_or_above_one(blobs: Blobs) -> None:
    blobs.put("a/b", b"value")
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(InvalidRequestError, match=key):
            blobs.put(key, b"")
    assert list(blobs.keys()) == ["a/b"]
    assert blobs.get("a/b") == b"value"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(min_size=1, max_size=60))
def test_any_key_is_stored_or_refused(blobs: Blobs, key: str) -> None:
    try:
        checked_key(key)
    except InvalidRequestError:
        with pytest.raises(InvalidRequestError):
            blobs.put(key, b"")
        return
    blobs.put(key, key.encode())
    assert list(blobs.keys()) == [key]
    assert blobs.get(key) == key.encode()
    blobs.delete(key)


def test_a_source_that_breaks_leaves_the_old_value(blobs: Blobs) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 1 << 20:
                raise ValueError("the upload broke off")
            return super().read(size)

    blobs.put("a", b"old")
    with pytest.raises(ValueError, match="broke off"):
        blobs.put("a", Broken(bytes(3 << 20)))
    assert blobs.get("a") == b"old"
    assert list(blobs.keys()) == ["a"]
    assert blobs.sweep(older_than_s=0) == 0


def test_readers_see_whole_values_while_writers_replace_and_delete(blobs: Blobs) -> None:
    values = {bytes([n]) * 200_000 for n in range(4)}
    stop = threading.Event()
    faults: list[BaseException] = []

    def work(step: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                step()
        except BaseException as error:  # noqa: BLE001  reported by the test's thread
            faults.append(error)

    def read() -> None:
        with contextlib.suppress(NotFoundError):
            assert blobs.get("folder/deep/key") in values

    def write() -> None:
        for value in values:
            blobs.put("folder/deep/key", value)

    def delete() -> None:
        blobs.delete("folder/deep/key")

    threads = [threading.Thread(target=work, args=(step,)) for step in (read, read, write, write, delete)]
    for thread in threads:
        thread.start()
    stop.wait(1.0)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
