"""The seam of containers: files that hold other files, which become documents of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tuwen.settings import LimitSettings
from tuwen.types import Skipped


class Member(NamedTuple):
    """A file inside a container."""

    number: int
    """What :meth:`Container.extract` takes."""
    path: str
    """Relative and safe (see :mod:`ingest.names`), unlike any other of its container."""


class Listing(NamedTuple):
    """What a container holds."""

    members: Sequence[Member] = ()
    skipped: Sequence[Skipped] = ()
    """What is left out and why, by path inside; an empty path means the container as such."""


class Container(Protocol):
    """An opened container."""

    def listing(self, limits: LimitSettings) -> Listing:
        """Its files.

        Raises:
            CorruptFileError: it cannot be parsed.
            LimitExceededError: too many files, or too much in them.
        """
        ...

    def extract(self, number: int, target: Path) -> int:
        """Write one file to ``target``; its size in bytes.

        Raises:
            DocumentError: this file cannot be had; others can.
        """
        ...
