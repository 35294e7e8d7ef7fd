"""ZIP archives as folders.

What an archive declares is checked before anything is unpacked, and bounds it: a member never gives more bytes than
its entry says. Names without the UTF-8 flag are taken as :func:`ingest.names.decode_names` reads
them, since Windows of China writes GBK there, which the standard (code page 437) turns into noise.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyzipper

from ingest.containers.base import Listing, Member
from ingest.names import Unique, decode_names, is_hidden, safe_path
from tuwen.errors import (
    CorruptFileError,
    DocumentError,
    ForbiddenError,
    LimitExceededError,
    PasswordRequiredError,
    StorageUnavailableError,
    UnsupportedTypeError,
    WrongPasswordError,
)
from tuwen.settings import LimitSettings
from tuwen.types import Skipped

_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_UNICODE_PATH = 0x7075
_SMALL = 16 << 20
"""What unpacks to less is no bomb, however well it was packed."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_BROKEN = (
    pyzipper.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)


class _Entry(NamedTuple):
    number: int
    info: Any  # pyzipper.ZipInfo
    path: str

    @property
    def is_encrypted(self) -> bool:
        return bool(self.info.flag_bits & _ENCRYPTED_FLAG)


class ZipContainer:
    """An opened ZIP archive (:class:`ingest.containers.base.Container`).

    Raises:
        CorruptFileError: it is none, or its directory is damaged.
    """

    def __init__(self, path: Path, password: str | None) -> None:
        self._size = path.stat().st_size
        self._passwords = _as_bytes(password)
        try:
            # Reads all that zipfile reads, and WinZip's AES too.
            self._archive = pyzipper.AESZipFile(path)
        except _BROKEN as error:
            raise CorruptFileError(f"The archive cannot be opened: {error}") from error
        self._infos: list[Any] = self._archive.infolist()

    def listing(self, limits: LimitSettings) -> Listing:
        """Its files; directories are none, and links are not followed."""
        files = [(i, info) for i, info in enumerate(self._infos) if not info.filename.endswith("/")]
        if not files:
            raise CorruptFileError("The archive holds no files.")
        if len(files) > limits.max_archive_files:
            raise LimitExceededError(
                f"The archive holds {len(files):,} files, more than {limits.max_archive_files:,} "
                "(ingest.limits.max_archive_files)."
            )
        kept, skipped = self._judge(files, limits)
        self._check_total(kept, limits)
        locked = self._locked([entry for entry in kept if entry.is_encrypted])
        if locked is not None:
            skipped.append(Skipped(path="", code=locked.code, message=locked.message))
            kept = [entry for entry in kept if not entry.is_encrypted]
        return Listing([Member(entry.number, entry.path) for entry in kept], skipped)

    def extract(self, number: int, target: Path) -> int:
        """Write one file to ``target``."""
        self._unpack(self._infos[number], target)
        return target.stat().st_size

    def _judge(self, files: Sequence[tuple[int, Any]], limits: LimitSettings) -> tuple[list[_Entry], list[Skipped]]:
        kept: list[_Entry] = []
        skipped: dict[str, Skipped] = {}
        unique = Unique()
        for (number, info), name in zip(files, _names([info for _, info in files]), strict=True):
            try:
                path = safe_path(name)
                if is_hidden(path):
                    top = _hidden_part(path)
                    skipped[top] = Skipped(path=top, code="hidden", message=_HIDDEN)
                    continue
                _check(info, limits)
                kept.append(_Entry(number, info, unique(path)))
            except (DocumentError, ForbiddenError) as error:
                shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
                skipped[f"{number}/{shown}"] = Skipped(path=shown[:255], code=error.code, message=error.message)
        return kept, list(skipped.values())

    def _check_total(self, entries: Iterable[_Entry], limits: LimitSettings) -> None:
        total = sum(entry.info.file_size for entry in entries)
        if total > limits.max_archive_bytes:
            raise LimitExceededError(
                f"The archive unpacks to {total:,} bytes, more than {limits.max_archive_bytes:,} "
                "(ingest.limits.max_archive_bytes)."
            )
        _check_ratio(total, self._size, limits)

    def _locked(self, entries: Sequence[_Entry]) -> DocumentError | None:
        """What keeps the encrypted files from being read; the smallest is tried."""
        if not entries:
            return None
        if not self._passwords:
            return PasswordRequiredError(f"{len(entries)} of the archive's files are encrypted; give their password.")
        probe = min(entries, key=lambda entry: entry.info.file_size).info
        try:
            self._unpack(probe, Path(os.devnull))
        except WrongPasswordError as error:
            return error
        except DocumentError:  # damaged, perhaps; that is told when its turn comes
            return None
        return None

    def _unpack(self, info: Any, target: Path) -> None:
        *others, last = self._passwords or (None,)
        for password in others:
            try:
                self._write(info, password, target)
            except WrongPasswordError:
                continue
            return
        self._write(info, last, target)

    def _write(self, info: Any, password: bytes | None, target: Path) -> None:
        with _zip_errors(info), self._archive.open(info, pwd=password) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)


_HIDDEN = "Hidden files and folders are not ingested."


def _hidden_part(path: str) -> str:
    segments = path.split("/")
    first = next(i for i, segment in enumerate(segments) if is_hidden(segment))
    return "/".join(segments[: first + 1])


def _check(info: Any, limits: LimitSettings) -> None:
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UnsupportedTypeError("A symbolic link in an archive is not followed.")
    if info.file_size > limits.max_file_bytes:
        raise LimitExceededError(
            f"The file has {info.file_size:,} bytes, more than {limits.max_file_bytes:,} "
            "(ingest.limits.max_file_bytes)."
        )
    _check_ratio(info.file_size, info.compress_size, limits)


def _check_ratio(unpacked: int, packed: int, limits: LimitSettings) -> None:
    if unpacked > _SMALL and unpacked > limits.max_archive_ratio * packed:
        raise LimitExceededError(
            f"{packed:,} bytes would unpack to {unpacked:,}, more than {limits.max_archive_ratio:g} times as many "
            "(ingest.limits.max_archive_ratio)."
        )


def _names(infos: Sequence[Any]) -> Iterator[str]:
    raw = [None if _declared(info) is not None else info.orig_filename.encode("cp437") for info in infos]
    decoded = iter(decode_names([name for name in raw if name is not None]))
    for info in infos:
        name = _declared(info)
        yield next(decoded) if name is None else name


def _declared(info: Any) -> str | None:
    """The name where the archive says how it is encoded: by the UTF-8 flag or Info-ZIP's Unicode Path field."""
    if info.flag_bits & _UTF8_FLAG:
        return str(info.orig_filename)
    for identity, data in _extra_fields(info.extra):
        if identity == _UNICODE_PATH and len(data) > 5:
            (checksum,) = struct.unpack_from("<I", data, 1)
            if checksum == zlib.crc32(info.orig_filename.encode("cp437")):
                return data[5:].decode("utf-8", errors="replace")
    return None


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        identity, size = struct.unpack_from("<HH", extra)
        yield identity, extra[4 : 4 + size]
        extra = extra[4 + size :]


def _as_bytes(password: str | None) -> tuple[bytes, ...]:
    """A password as programs of different times wrote it."""
    if not password:
        return ()
    forms = [password.encode()]
    with suppress(UnicodeEncodeError):
        forms.append(password.encode("gb18030"))
    return tuple(dict.fromkeys(forms))


@contextmanager
def _zip_errors(info: Any) -> Iterator[None]:
    is_encrypted = bool(info.flag_bits & _ENCRYPTED_FLAG)
    try:
        yield
    except NotImplementedError as error:
        raise UnsupportedTypeError(f"It is packed in a way that cannot be unpacked here: {error}.") from error
    except RuntimeError as error:  # "Bad password", "password required"
        raise WrongPasswordError("The password does not open the archive.") from error
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise StorageUnavailableError(f"Archives cannot be unpacked: {error.strerror}.") from error
        if is_encrypted:  # one in 256 wrong passwords passes the first check and yields noise
            raise WrongPasswordError("The password does not open the archive, or the file is damaged.") from error
        raise CorruptFileError(f"It cannot be unpacked: {error}") from error
