"""Whether an office file is encrypted: LibreOffice only says that it cannot be opened.

Sources: [MS-DOC] 2.5.2 (FibBase.fEncrypted), [MS-XLS] 2.4.117 (FilePass), [MS-PPT] 2.3.2 (CurrentUserAtom.headerToken),
[MS-OFFCRYPTO] 2.3 (EncryptedPackage), OpenDocument 1.3 part 2, 4.8 (manifest:encryption-data).
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import olefile

_ENCRYPTED_DOC = 0x0100
_FILE_PASS = 0x002F
_ENCRYPTED_PPT = 0xF3D1C4DF
_MAX_MANIFEST = 10 << 20


def is_encrypted(path: Path) -> bool:
    """Whether a password is needed to read an office file."""
    try:
        if olefile.isOleFile(path):
            with olefile.OleFileIO(path) as ole:
                return _is_encrypted_ole(ole)
        with zipfile.ZipFile(path) as archive:
            manifest = archive.getinfo("META-INF/manifest.xml")
            return manifest.file_size < _MAX_MANIFEST and b"encryption-data" in archive.read(manifest)
    except (OSError, KeyError, ValueError, IndexError, struct.error, zipfile.BadZipFile, NotImplementedError):
        return False  # damaged, or of a kind that knows no encryption


def _is_encrypted_ole(ole: Any) -> bool:
    if ole.exists("EncryptedPackage"):
        return True
    if ole.exists("WordDocument"):
        flags = struct.unpack("<H", ole.openstream("WordDocument").read(12)[10:12])[0]
        return bool(flags & _ENCRYPTED_DOC)
    if ole.exists("Current User"):
        token = struct.unpack("<I", ole.openstream("Current User").read(16)[12:16])[0]
        return bool(token == _ENCRYPTED_PPT)
    book = next((name for name in ("Workbook", "Book") if ole.exists(name)), None)
    return book is not None and _has_file_pass(ole.openstream(book).read(4096))


def _has_file_pass(records: bytes) -> bool:
    """Whether a FilePass record follows the first BOF; it stands near it."""
    at = 0
    while at + 4 <= len(records):
        kind, size = struct.unpack_from("<HH", records, at)
        if kind == _FILE_PASS:
            return True
        at += 4 + size
    return False
