"""Does it survive? ``python -m evals.hostile DATASET_DIR`` takes in a set of damaged, odd and encrypted files.

The set is a folder with ``documents/`` and ``expect.jsonl`` (``{"file","expect","password"?}``; ``expect`` is ``ok``,
``error`` or ``password``). What is checked of every file:

- it ends in a status: nothing is left in the queue;
- ``ok``: it is ready, with as many pages as PyMuPDF counts;
- ``error``: it is refused with a code, or repaired and ready;
- ``password``: it is refused with ``password_required`` and, where the set knows the password, ready with it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, ValidationError
from rich.console import Console
from rich.table import Table

from ingest.isolation import Children, enter_child
from tuwen.engine import Tuwen
from tuwen.errors import DocumentError, InvalidRequestError, TuwenError
from tuwen.settings import Settings, load_settings
from tuwen.types import Document, DocumentStatus, Model

_READY = (DocumentStatus.READY, DocumentStatus.READY_WITH_WARNINGS)


class Expectation(Model):
    """One line of ``expect.jsonl``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    file: str
    expect: Literal["ok", "error", "password"]
    password: str | None = None


class Verdict(Model):
    """What became of one file."""

    file: str
    expect: str
    outcome: str = Field(description="status, or the code of what it failed with")
    unlocked: str | None = Field(default=None, description="the same once the password was given")
    pages: int | None = None
    counted: int | None = Field(default=None, description="pages that PyMuPDF counts")
    fault: str = Field(default="", description="what is wrong with that; empty when nothing is")


class Survival(Model):
    """Outcome of a run."""

    files: int
    passed: int
    seconds: float
    verdicts: tuple[Verdict, ...]


def run(folder: Path, home: Path, settings: Settings) -> Survival:
    """Take in the set, then the encrypted files with their passwords.

    Raises:
        InvalidRequestError: the folder holds no such set.
    """
    expected = _read(folder / "expect.jsonl")
    documents = folder / "documents"
    began = time.perf_counter()
    with Tuwen.open(settings, home) as engine:
        first = _outcomes(engine, [documents / item.file for item in expected], None)
        locked = [item for item in expected if item.password]
        unlocked: dict[str, Document | str] = {}
        for item in locked:
            unlocked |= _outcomes(engine, [documents / item.file], item.password)
    seconds = time.perf_counter() - began
    counts = dict(_counts(documents, expected, settings))
    verdicts = tuple(
        _judge(item, first.get(item.file), unlocked.get(item.file), counts.get(item.file)) for item in expected
    )
    passed = sum(not verdict.fault for verdict in verdicts)
    return Survival(files=len(verdicts), passed=passed, seconds=round(seconds, 1), verdicts=verdicts)


def _read(path: Path) -> list[Expectation]:
    try:
        lines = path.read_text("utf-8").splitlines()
        return [Expectation.model_validate_json(line) for line in lines if line.strip()]
    except (OSError, ValidationError) as error:
        raise InvalidRequestError(f"{path} cannot be read: {error}") from error


def _outcomes(engine: Tuwen, files: Sequence[Path], password: str | None) -> dict[str, Document | str]:
    """By file name: the document, the one that it is a duplicate of, or the code of what was skipped."""
    report = engine.ingest(files, password=password)
    found: dict[str, Document | str] = {item.path: item.code for item in report.skipped}
    for document in report.documents:
        found[document.path] = engine.catalog.document(document.duplicate_of or document.document_id)
    return found


def _counts(documents: Path, expected: Sequence[Expectation], settings: Settings) -> Iterator[tuple[str, int]]:
    """Pages as PyMuPDF counts them, away from this process."""
    limits = settings.ingest.limits
    with Children(1, enter_child, (limits.max_memory_mb,)) as sandbox:
        for item in expected:
            if item.expect == "ok":
                try:
                    yield item.file, sandbox.run(item.file, limits.open_timeout_s, count, documents / item.file)
                except DocumentError:  # then there is nothing to compare with
                    continue


def count(path: Path) -> int:
    """The number of pages that PyMuPDF sees."""
    import pymupdf

    with pymupdf.open(path, filetype="pdf") as document:
        return int(document.page_count)


def _name(outcome: Document | str | None) -> str:
    if isinstance(outcome, Document):
        return outcome.error.code if outcome.error else str(outcome.status)
    return outcome or "missing"


def _judge(
    item: Expectation, first: Document | str | None, unlocked: Document | str | None, counted: int | None
) -> Verdict:
    pages = first.pages if isinstance(first, Document) else None
    name, later = _name(first), _name(unlocked) if item.password else None
    is_ready = name in _READY
    faults: Mapping[str, str] = {
        "ok": "not ready" if not is_ready else f"{counted} pages wanted" if counted not in (None, pages) else "",
        "error": "no end" if name in (DocumentStatus.QUEUED, DocumentStatus.PROCESSING, "missing") else "",
        "password": "password_required wanted" if name != "password_required" else _unlock_fault(later),
    }
    return Verdict(
        file=item.file,
        expect=item.expect,
        outcome=name,
        unlocked=later,
        pages=pages,
        counted=counted,
        fault=faults[item.expect],
    )


def _unlock_fault(later: str | None) -> str:
    return "" if later is None or later in _READY else "the password does not help"


def _print(survival: Survival, console: Console) -> None:
    table = Table("file", "expected", "outcome", "with password", "pages", "fault")
    for verdict in survival.verdicts:
        if verdict.fault or verdict.expect != "ok":
            pages = "" if verdict.pages is None else str(verdict.pages)
            table.add_row(
                verdict.file, verdict.expect, verdict.outcome, verdict.unlocked or "", pages, verdict.fault or "–"
            )
    console.print(table)
    console.print(f"{survival.passed} of {survival.files} files as expected, {survival.seconds:.0f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.hostile", description="Take in a set of hostile files.")
    parser.add_argument("dataset", type=Path, help="folder with documents/ and expect.jsonl")
    parser.add_argument("--config", type=Path, help="settings file (default: as `tuwen` finds it)")
    parser.add_argument("--json", type=Path, help="write the verdicts here")
    parsed = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as home:
            survival = run(parsed.dataset, Path(home), load_settings(parsed.config))
    except TuwenError as error:
        Console(stderr=True).print(f"[red]{error.message}[/red]")
        return error.exit_code
    if parsed.json:
        parsed.json.write_text(survival.model_dump_json(indent=1), "utf-8")
    _print(survival, Console(width=120))
    return 0 if survival.passed == survival.files else 1


if __name__ == "__main__":
    sys.exit(main())
