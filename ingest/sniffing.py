"""What a file is, by its content: the name only tells kinds of text apart, and what an encrypted file holds.

This parses the directories of hostile archives, so run it in a sandbox (:mod:`ingest.isolation`).
"""

from __future__ import annotations

import re
import struct
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import olefile

from ingest import media
from ingest.charset import SAMPLE_BYTES, decode
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
    (b"{\\rtf", media.RTF),
)
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_TEXT_SUFFIXES = {
    ".txt": media.TEXT,
    ".text": media.TEXT,
    ".log": media.TEXT,
    ".md": media.MARKDOWN,
    ".markdown": media.MARKDOWN,
    ".csv": media.CSV,
    ".tsv": media.CSV,
    ".html": media.HTML,
    ".htm": media.HTML,
    ".xhtml": media.HTML,
}
_TEXT_LABELS = {
    "txt": media.TEXT,
    "txtascii": media.TEXT,
    "txtutf8": media.TEXT,
    "markdown": media.MARKDOWN,
    "csv": media.CSV,
    "tsv": media.CSV,
    "html": media.HTML,
}
_MAIL_HEADER = re.compile(
    rb"^(From|To|Cc|Subject|Date|Message-ID|MIME-Version|Received|Return-Path|Content-Type|Delivered-To):",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_LINE = re.compile(rb"[!-9;-~]+:|From .*\r?\n[!-9;-~]+:")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = {
    "WordDocument": media.DOC,
    "Workbook": media.XLS,
    "Book": media.XLS,
    "PowerPoint Document": media.PPT,
}
_OOXML_FOLDERS = {"word": media.DOCX, "xl": media.XLSX, "ppt": media.PPTX}
_OFFICE_SUFFIXES = {suffix: kind for kind, suffix in media.OFFICE.items()}
_FOREIGN = {
    "OFD.xml": "an OFD file; export it as PDF",
    "AndroidManifest.xml": "an Android program",
    "META-INF/MANIFEST.MF": "a Java program",
    "Index/Document.iwa": "an iWork file; export it as PDF",
    "Index/Presentation.iwa": "an iWork file; export it as PDF",
}
"""ZIP archives that are no folders, by an entry of theirs."""


def sniff(file: Path, name: str | None = None) -> str:
    """The media type of a file, by its content.

    Args:
        file: a regular file.
        name: what the file is called, if not by its own name.

    Returns:
        One of :data:`ingest.media.MEDIA_TYPES`, or :data:`ingest.media.ZIP`.

    Raises:
        CorruptFileError: the file is empty, or an archive whose directory is damaged.
        UnsupportedTypeError: no type that tuwen reads.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(SAMPLE_BYTES)
    if not head:
        raise CorruptFileError("The file is empty (0 bytes).")
    suffix = Path(name or file.name).suffix.lower()
    media_type = _by_signature(file, head, suffix) or _as_mail(head, suffix) or _as_text(head, suffix)
    if media_type is None:
        label = _magika().identify_bytes(head).output
        if label.label == "pdf":
            return media.PDF
        known = f"looks like {label.description}" if label.label not in ("unknown", "txt") else "is of no known type"
        raise UnsupportedTypeError(f"The content {known}, which tuwen does not read.")
    return media_type


def _by_signature(file: Path, head: bytes, suffix: str) -> str | None:
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and len(head) > 30 and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "image/bmp"
    if head[4:8] == b"ftyp" and _HEIC_BRANDS.intersection(_brands(head)):
        return media.HEIC
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(file)
    if head.startswith(_OLE):
        return _ole(file, suffix)
    if b"%PDF-" in head[:1024]:  # readers accept a header anywhere in the first 1,024 bytes (PDF 1.7, H.3.4.1)
        return media.PDF
    return None


def _brands(head: bytes) -> list[bytes]:
    """Major and compatible brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), 256)
    return [head[i : i + 4] for i in (8, *range(16, end, 4))]


def _zipped(file: Path) -> str:
    """What a ZIP archive is: a document in a wrapping, or a folder. Only its directory is read."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            stored = archive.read("mimetype")[:100].decode("ascii", "replace") if _has_mimetype(archive) else ""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise CorruptFileError(f"The archive cannot be opened: {error}") from error
    kind = stored.strip().removesuffix("-template")
    if "META-INF/container.xml" in names or kind == media.EPUB:
        return media.EPUB
    if kind in (media.ODT, media.ODS, media.ODP):
        return kind
    if any(name.lower().endswith((".fdseq", "fixeddocseq.xml")) for name in names):
        return media.XPS
    parts = {name.split("/")[0] for name in names if name.endswith(_OOXML_PARTS)}
    for folder, media_type in _OOXML_FOLDERS.items():
        if folder in parts:
            return media_type
    for name, what in _FOREIGN.items():
        if name in names:
            raise UnsupportedTypeError(f"The content is {what}.")
    return media.ZIP


_OOXML_PARTS = (
    "word/document.xml",
    "word/document2.xml",
    "xl/workbook.xml",
    "xl/workbook.bin",
    "ppt/presentation.xml",
)


def _has_mimetype(archive: zipfile.ZipFile) -> bool:
    return any(info.filename == "mimetype" and info.file_size < 256 for info in archive.infolist()[:4])


def _ole(file: Path, suffix: str) -> str:
    """What a compound file of Microsoft's older programs is, by its streams."""
    try:
        with olefile.OleFileIO(file) as ole:
            streams = {entry[0] for entry in ole.listdir() if len(entry) == 1}
    except (OSError, ValueError, IndexError, struct.error, RecursionError) as error:
        raise CorruptFileError(f"The file's directory is damaged: {error}") from error
    if "EncryptedPackage" in streams:  # an encrypted .docx, .xlsx or .pptx: which one shows only when it is opened
        return _OFFICE_SUFFIXES.get(suffix, media.DOCX)
    for stream, media_type in _OLE_STREAMS.items():
        if stream in streams:
            return media_type
    if "__properties_version1.0" in streams:
        raise UnsupportedTypeError("The content is an Outlook message; save it as .eml.")
    raise UnsupportedTypeError("The content is a compound file of a program that tuwen does not know.")


def _as_mail(head: bytes, suffix: str) -> str | None:
    if not _HEADER_LINE.match(head):
        return None
    block = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    known = {name.lower() for name in _MAIL_HEADER.findall(block)}
    return media.MAIL if len(known) >= (1 if suffix == ".eml" else 3) else None


def _as_text(head: bytes, suffix: str) -> str | None:
    text = decode(head)
    if text is None:
        return None
    if suffix in _TEXT_SUFFIXES:
        return _TEXT_SUFFIXES[suffix]
    if text.lstrip()[:14].lower().startswith(("<!doctype html", "<html")):
        return media.HTML
    return _TEXT_LABELS.get(_magika().identify_bytes(text.encode()).output.label)


@lru_cache(maxsize=1)
def _magika() -> Magika:
    from magika import Magika

    return Magika()
