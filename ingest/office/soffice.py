"""Where LibreOffice is, and whether it has the part that a file needs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ingest import media
from tuwen.errors import ConverterMissingError


class _Part(NamedTuple):
    package: str
    """Of Debian and Ubuntu."""
    library: str


_WRITER = _Part("libreoffice-writer-nogui", "libswlo.so")
_CALC = _Part("libreoffice-calc-nogui", "libsclo.so")
_IMPRESS = _Part("libreoffice-impress-nogui", "libsdlo.so")
_PARTS: Mapping[str, _Part] = {
    **dict.fromkeys((media.DOC, media.DOCX, media.ODT, media.RTF), _WRITER),
    **dict.fromkeys((media.XLS, media.XLSX, media.ODS), _CALC),
    **dict.fromkeys((media.PPT, media.PPTX, media.ODP), _IMPRESS),
}


def find(media_type: str) -> Path:
    """The program that converts files of ``media_type``, one of :data:`ingest.media.OFFICE`.

    Raises:
        ConverterMissingError: it is not installed; names the package.
    """
    part, folder = _PARTS[media_type], _folder()
    if folder is None or not (folder / part.library).is_file():
        suffix = media.OFFICE[media_type]
        raise ConverterMissingError(
            f"Files like {suffix} are read through LibreOffice; install it, then ingest again: "
            f"apt-get install --no-install-recommends {part.package}"
        )
    return folder / "soffice.bin"


def version() -> str:
    """What identifies the installed LibreOffice, for fingerprints; ``none`` where there is none."""
    folder = _folder()
    if folder is None:
        return "none"
    described = folder / "versionrc"
    return hashlib.sha256(described.read_bytes()).hexdigest()[:16] if described.is_file() else "unknown"


def _folder() -> Path | None:
    """The folder of its programs. It is not started to ask: this runs whenever an engine is opened."""
    found = shutil.which("soffice") or shutil.which("libreoffice")
    folder = Path(found).resolve().parent if found else None
    return folder if folder is not None and (folder / "soffice.bin").is_file() else None
