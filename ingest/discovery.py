"""What there is to ingest: files and folders in, accepted files out, everything else named with its reason.

Archives are folders here, and so are mails with attachments: what is in ``a.zip`` has a path such as
``a.zip/folder/b.pdf``. Nothing is unpacked before its turn, and a member's file is gone after it.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.base import Found
from ingest.containers import Packed, extract, list_members
from ingest.containers.base import Listing, Member
from ingest.isolation import Sandbox
from ingest.media import CONTAINERS, MEDIA_TYPES
from ingest.sniffing import sniff
from ingest.workspace import workspace
from tuwen.errors import DocumentError, LimitExceededError, UnsupportedTypeError
from tuwen.settings import LimitSettings
from tuwen.types import Skipped


class Opening(NamedTuple):
    """What discovery needs to look into files."""

    sandbox: Sandbox
    limits: LimitSettings
    spool: Path
    """Where members of containers are unpacked to, one at a time."""
    password: str | None = None
    """For encrypted archives."""


def discover(paths: Sequence[Path], opening: Opening) -> Iterator[Found | Skipped]:
    """Walk files, folders and archives, sorted by name, each real folder once.

    A file or folder that is named in ``paths`` is taken even when its own name begins with a dot. ``path`` of
    what is found is the base name of a file argument, or the path inside a folder argument, in NFC with forward
    slashes; where two files of one call would get the same one, the later gets as many of its folders in front as
    part them. ``file`` of what is found is there until the next one is asked for.

    Nothing is raised for a file: what cannot be taken is a :class:`~tuwen.types.Skipped` with the code
    ``not_found``, ``hidden``, ``forbidden`` or one of a :class:`~tuwen.errors.DocumentError`.

    Raises:
        UnavailableError: the sandbox or the spool cannot be used.
    """
    return _Discovery(opening).walk(paths)


class _Place(NamedTuple):
    """A file, and where it is as people see it."""

    file: Path
    path: str
    origin: Path
    """Where it lies for good: of a member, below its archive."""


class _Room:
    """How much more may come out of one file that lies on disk, whatever is nested in it."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self.files = limits.max_archive_files
        self.bytes = limits.max_archive_bytes

    @property
    def limits(self) -> LimitSettings:
        """The settings, with what is left."""
        return self._limits.model_copy(update={"max_archive_files": self.files, "max_archive_bytes": self.bytes})


class _Discovery:
    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._limits = opening.limits
        self._taken: dict[str, Path] = {}

    def walk(self, paths: Sequence[Path]) -> Iterator[Found | Skipped]:
        for path in paths:
            for place in _walk(path, "", set()) if _is_folder(path) else (_Place(path, path.name, path),):
                if isinstance(place, Skipped):
                    yield place
                else:
                    yield from self._file(place, self._limits.max_archive_depth, _Room(self._limits))

    def _file(self, place: _Place, depth: int, room: _Room) -> Iterator[Found | Skipped]:
        """What a file is, and what is in it."""
        try:
            # A pipe or a device would block or never end: look before opening.
            if not stat.S_ISREG(place.file.stat().st_mode):
                raise UnsupportedTypeError("Not a regular file.")
            what = f"Looking at {place.path}"
            media_type = self._opening.sandbox.run(what, self._limits.open_timeout_s, sniff, place.file, place.path)
        except (DocumentError, OSError) as error:
            yield _skipped(place.path, error)
            return
        place = place._replace(path=self._parted(place))
        if media_type in MEDIA_TYPES:
            yield Found(place.file, place.path, media_type)
        if media_type in CONTAINERS:
            yield from self._members(place, media_type, depth, room)

    def _members(self, place: _Place, media_type: str, depth: int, room: _Room) -> Iterator[Found | Skipped]:
        packed = Packed(place.file, media_type, self._opening.password)
        try:
            listing = self._listing(packed, place.path, depth, room)
        except (DocumentError, OSError) as error:
            yield _skipped(place.path, error)
            return
        for item in listing.skipped:
            yield item.model_copy(update={"path": f"{place.path}/{item.path}" if item.path else place.path})
        with workspace(self._opening.spool) as folder:
            for member in listing.members:
                inner = _Place(folder / "member", f"{place.path}/{member.path}", place.origin / member.path)
                yield from self._member(packed, member, inner, depth - 1, room)

    def _listing(self, packed: Packed, path: str, depth: int, room: _Room) -> Listing:
        what = f"Looking into {path}"
        listing = self._opening.sandbox.run(what, self._limits.open_timeout_s, list_members, packed, room.limits)
        if depth == 0 and listing.members:
            raise LimitExceededError(
                f"It is nested more than {self._limits.max_archive_depth} deep, so nothing in it is taken "
                "(ingest.limits.max_archive_depth)."
            )
        room.files -= len(listing.members)
        return listing

    def _member(
        self, packed: Packed, member: Member, place: _Place, depth: int, room: _Room
    ) -> Iterator[Found | Skipped]:
        try:
            what = f"Unpacking {place.path}"
            room.bytes -= self._opening.sandbox.run(
                what, self._limits.unpack_timeout_s, extract, packed, member.number, place.file
            )
        except (DocumentError, OSError) as error:
            yield _skipped(place.path, error)
        else:
            yield from self._file(place, depth, room)
        finally:
            place.file.unlink(missing_ok=True)

    def _parted(self, place: _Place) -> str:
        """The path of ``place``, with as many folders in front as no other file of this call needs."""
        origin = place.origin.resolve()
        folders = [part for part in origin.parts[:-1][::-1] if part != origin.anchor]
        path = _clean(place.path)
        for folder in folders[path.count("/") :]:
            if self._taken.setdefault(path, origin) == origin:
                break
            path = _clean(f"{folder}/{path}")
        return path


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:  # named as a file, it is reported for what it is
        return False


def _walk(folder: Path, inside: str, seen: set[tuple[int, int]]) -> Iterator[_Place | Skipped]:
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        yield _skipped(inside or folder.name, error)
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
            yield _Place(entry, path, entry)


def _skipped(path: str, error: DocumentError | OSError) -> Skipped:
    if isinstance(error, DocumentError):
        return Skipped(path=_clean(path), code=error.code, message=error.message)
    code = "forbidden" if isinstance(error, PermissionError) else "not_found"
    return Skipped(path=_clean(path), code=code, message=f"It cannot be read: {error.strerror or error}.")


def _clean(path: str) -> str:
    """A path as it can be stored and shown."""
    # Bytes that are no UTF-8 arrive as lone surrogates, which neither JSON nor SQLite takes.
    text = os.fsencode(path).decode("utf-8", errors="replace")
    return unicodedata.normalize("NFC", text)
