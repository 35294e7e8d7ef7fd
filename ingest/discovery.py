"""What there is to ingest: files and folders in, accepted files out, everything else named with its reason."""

from __future__ import annotations

import os
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.base import Found
from ingest.charset import SAMPLE_BYTES, decode
from tuwen.errors import CorruptFileError, DocumentError, UnsupportedTypeError
from tuwen.types import Skipped

if TYPE_CHECKING:
    from magika import Magika

PDF = "application/pdf"
EPUB = "application/epub+zip"
XPS = "application/oxps"
TEXT = "text/plain"
MARKDOWN = "text/markdown"
CSV = "text/csv"

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_TEXT_SUFFIXES = {
    ".txt": TEXT,
    ".text": TEXT,
    ".log": TEXT,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".csv": CSV,
    ".tsv": CSV,
}
_TEXT_LABELS = {"txt": TEXT, "txtascii": TEXT, "txtutf8": TEXT, "markdown": MARKDOWN, "csv": CSV, "tsv": CSV}
MEDIA_TYPES = frozenset(
    {PDF, EPUB, XPS, TEXT, MARKDOWN, CSV, "image/webp", "image/bmp", *(kind for _, kind in _SIGNATURES)}
)
"""All that tuwen reads."""


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


def sniff(file: Path, name: str | None = None) -> str:
    """The media type of a file, by its content.

    Args:
        file: a regular file.
        name: what the file is called, if not by its own name; it only tells kinds of text apart.

    Raises:
        CorruptFileError: the file is empty.
        UnsupportedTypeError: no type that tuwen reads.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(SAMPLE_BYTES)
    if not head:
        raise CorruptFileError("The file is empty (0 bytes).")
    media_type = _by_signature(file, head) or _as_text(head, Path(name or file.name).suffix.lower())
    if media_type is None:
        label = _magika().identify_bytes(head).output
        if label.label == "pdf":
            return PDF
        known = f"looks like {label.description}" if label.label not in ("unknown", "txt") else "is of no known type"
        raise UnsupportedTypeError(f"The content {known}, which tuwen does not read.")
    return media_type


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


def _by_signature(file: Path, head: bytes) -> str | None:
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and len(head) > 30 and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "image/bmp"
    if b"%PDF-" in head[:1024]:  # readers accept a header anywhere in the first 1,024 bytes (PDF 1.7, H.3.4.1)
        return PDF
    if head.startswith(b"PK\x03\x04"):
        return _zipped(file)
    return None


def _zipped(file: Path) -> str | None:
    """EPUB and XPS are ZIP archives with a certain entry; only the directory of the archive is read."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if "META-INF/container.xml" in names:
        return EPUB
    if any(name.lower().endswith((".fdseq", "fixeddocseq.xml")) for name in names):
        return XPS
    return None


def _as_text(head: bytes, suffix: str) -> str | None:
    text = decode(head)
    if text is None:
        return None
    if suffix in _TEXT_SUFFIXES:
        return _TEXT_SUFFIXES[suffix]
    return _TEXT_LABELS.get(_magika().identify_bytes(text.encode()).output.label)


@lru_cache(maxsize=1)
def _magika() -> Magika:
    from magika import Magika

    return Magika()
