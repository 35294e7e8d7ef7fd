"""Files that hold other files: what is inside, and one of them at a time.

The functions here run in a child process (:mod:`ingest.isolation`), which keeps open the containers that it looked into
last, nested ones included. A member that crashes its parser costs that member; the next call opens the container again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ingest import media
from ingest.containers.base import Container, Listing
from ingest.containers.mails import MailContainer
from ingest.containers.zips import ZipContainer
from tuwen.settings import LimitSettings

_CONTAINERS: Mapping[str, type[ZipContainer] | type[MailContainer]] = {
    media.ZIP: ZipContainer,
    media.MAIL: MailContainer,
}


class Packed(NamedTuple):
    """A container to be opened."""

    file: Path
    media_type: str
    """One of :data:`ingest.media.CONTAINERS`."""
    password: str | None


def list_members(packed: Packed, limits: LimitSettings) -> Listing:
    """What is in a container. Raises DocumentError for the container as a whole."""
    return _opened(packed).listing(limits)


def extract(packed: Packed, number: int, target: Path) -> int:
    """Write one member to ``target``; its size in bytes. Raises DocumentError for that member."""
    return _opened(packed).extract(number, target)


def _opened(packed: Packed) -> Container:
    status = packed.file.stat()
    return _open(packed, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _open(packed: Packed, *_identity: int) -> Container:
    return _CONTAINERS[packed.media_type](packed.file, packed.password)
