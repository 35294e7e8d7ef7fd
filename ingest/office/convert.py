"""One office file to one PDF, by one run of LibreOffice that knows nothing of any other.

Every run has a profile of its own. A macro in that profile (``basic/Standard/Convert.xba``) opens the file and exports
it: unlike ``--convert-to``, it can give a password, forbid macros and updates of links, keep rows of sheets whole
and leave out what tracked changes delete. The process gets no internet socket (:mod:`ingest.office.network`), and its
configuration blocks links besides: a document makes it read no other files and call nobody.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pymupdf

from ingest.media import OFFICE
from ingest.office import soffice
from ingest.office.encryption import is_encrypted
from ingest.office.network import confinement
from ingest.workspace import workspace
from tuwen.errors import (
    ConverterMissingError,
    CorruptFileError,
    DocumentError,
    ParserCrashedError,
    ParserTimeoutError,
    PasswordRequiredError,
    WrongPasswordError,
)

CONVERT_VERSION = 1
"""Raise it whenever the same file could be converted differently by the same LibreOffice."""

PROFILE = Path(__file__).parent / "profile"
_RESTART = 81
"""Exit code of a first start, which registers what is bundled and wants another (EXITHELPER_NORMAL_RESTART)."""
_FLAGS = ("--headless", "--norestore", "--nologo", "--nodefault", "--nolockcheck")


def fingerprint() -> str:
    """Changes whenever a file could be converted differently."""
    return f"{CONVERT_VERSION}-{soffice.version()}"


@contextmanager
def converted(path: Path, media_type: str, password: str | None, timeout_s: float, spool: Path) -> Iterator[Path]:
    """The PDF that ``path`` prints as, gone after the block.

    Args:
        path: the file.
        media_type: one of :data:`ingest.media.OFFICE`.
        password: of an encrypted file.
        timeout_s: for the whole conversion.
        spool: where a folder for profile and result is made.

    Raises:
        ConverterMissingError: LibreOffice, or its part for this type, is not installed.
        PasswordRequiredError: encrypted, and no password given.
        WrongPasswordError: the password does not open it.
        CorruptFileError: LibreOffice cannot read it.
        ParserTimeoutError: it did not finish in time.
        ParserCrashedError: it died.
    """
    program = soffice.find(media_type)
    with workspace(spool) as folder:
        source = folder / f"source{OFFICE[media_type]}"
        shutil.copyfile(path, source)  # LibreOffice leaves a lock beside what it opens: it shall go with the folder
        outcome = _Run(program, folder, timeout_s).convert(source, folder / "result.pdf", password)
        if outcome != "done" or not (folder / "result.pdf").is_file():
            raise _failure(path, password, outcome)
        yield folder / "result.pdf"


def _failure(path: Path, password: str | None, outcome: str) -> DocumentError:
    if is_encrypted(path):
        if password:
            return WrongPasswordError("The password does not open the file.")
        return PasswordRequiredError("The file is encrypted; give its password.")
    if outcome.startswith("failed: "):
        return CorruptFileError(f"LibreOffice cannot convert the file: {outcome.removeprefix('failed: ')}")
    return CorruptFileError("LibreOffice cannot open the file; it is damaged or incomplete.")


class _Run:
    """LibreOffice with a profile in ``folder``."""

    def __init__(self, program: Path, folder: Path, timeout_s: float) -> None:
        self._program = program
        self._folder = folder
        self._timeout_s = timeout_s
        shutil.copytree(PROFILE, folder, dirs_exist_ok=True)
        (folder / "fonts").mkdir()
        (folder / "fonts" / "cjk.ttf").write_bytes(pymupdf.Font("cjk").buffer)

    def convert(self, source: Path, target: Path, password: str | None) -> str:
        """What the macro says: ``done``, ``unreadable``, or what went wrong; empty where it says nothing."""
        result = self._folder / "outcome"
        orders = {
            "TUWEN_SOURCE": source.as_uri(),
            "TUWEN_TARGET": target.as_uri(),
            "TUWEN_RESULT": str(result),
            "TUWEN_PASSWORD": password or "",
        }
        code = self._call(orders)
        if code == _RESTART:
            code = self._call(orders)
        if code < 0:
            raise ParserCrashedError(f"LibreOffice crashed ({signal.Signals(-code).name}).")
        return result.read_text("utf-8", "replace").strip() if result.is_file() else ""

    def _call(self, orders: Mapping[str, str]) -> int:
        profile = f"-env:UserInstallation={self._folder.as_uri()}"
        try:
            process = subprocess.Popen(  # noqa: S603  our own arguments
                [self._program, profile, *_FLAGS, "macro:///Standard.Convert.Main"],
                env={**self._environment(), **orders},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=confinement(),
            )
        except subprocess.SubprocessError as error:
            raise ConverterMissingError(
                "LibreOffice is not started, since this system does not let its network be taken away (seccomp)."
            ) from error
        try:
            return process.wait(self._timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ParserTimeoutError(
                f"LibreOffice did not finish within {self._timeout_s:g} s (ingest.limits.convert_timeout_s)."
            ) from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _environment(self) -> dict[str, str]:
        """Nothing of ours but what it needs; a font for Chinese where the system has none."""
        return {
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "FONTCONFIG_FILE": str(self._folder / "fonts.conf"),
        }
