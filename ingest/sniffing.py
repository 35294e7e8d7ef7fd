"""What a file is, by its content: the name only tells kinds of text apart."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.charset import SAMPLE_BYTES, decode
from ingest.media import CSV, EPUB, MARKDOWN, PDF, TEXT, XPS
from tuwen.errors import CorruptFileError, UnsupportedTypeError

if TYPE_CHECKING:
    from magika import Magika

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
