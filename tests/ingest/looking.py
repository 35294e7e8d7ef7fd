"""Discovery without a child process, for tests of what it finds."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ingest.base import Found
from ingest.discovery import Opening, discover
from ingest.isolation import InProcess
from tuwen.settings import LimitSettings
from tuwen.types import Skipped


def look(
    paths: Sequence[Path], limits: LimitSettings | None = None, password: str | None = None
) -> list[Found | Skipped]:
    """Everything in ``paths``; members of archives are gone again."""
    with tempfile.TemporaryDirectory() as spool:
        return list(discover(paths, Opening(InProcess(), limits or LimitSettings(), Path(spool), password)))


def read(
    paths: Sequence[Path], limits: LimitSettings | None = None, password: str | None = None
) -> dict[str, bytes | str]:
    """The bytes of what is found, the code of what is not, by path."""
    with tempfile.TemporaryDirectory() as spool:
        items = discover(paths, Opening(InProcess(), limits or LimitSettings(), Path(spool), password))
        return {item.path: item.file.read_bytes() if isinstance(item, Found) else item.code for item in items}
