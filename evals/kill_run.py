"""Kill an ingest again and again: ``python -m evals.kill_run [--documents 100] [--kills 30]``.

The same documents are taken in twice, by ``tuwen ingest`` as a process of its own: once undisturbed, and once by a
run that gets SIGKILL at random moments and is started again each time. Then both data directories must hold the same,
point by point, and nothing that the ledger had acknowledged before a kill may have been done again after it.

A moment is a random share of the work (ledger entries) and a random delay after it, so that kills spread over the whole
run, on a fast machine as on a slow one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pymupdf
from pydantic import BaseModel, ConfigDict, Field

from retrieval.base import IndexPoint, SparseVector, Vector
from tuwen.engine import Tuwen
from tuwen.settings import load_settings

_POLL_S = 0.02
_LONGEST_DELAY_S = 2.0
_TOLERANCE = 1e-5
"""Of a vector's numbers: what shares a batch with a passage moves them by some 1e-8."""
_READ_AGAIN = "SELECT page FROM ledger WHERE stage = 'read' AND attempts > 1"


class KillRun(BaseModel):
    """What was seen; :attr:`is_clean` is the verdict."""

    model_config = ConfigDict(frozen=True)

    documents: int
    pages: int
    kills: int
    done_at_kills: tuple[int, ...] = Field(description="ledger entries at each kill, in order")
    entries: int = Field(description="ledger entries of the undisturbed run")
    most_in_flight: int = Field(description="most pages, at one kill, that were read and not yet acknowledged")
    read_again: int = Field(description="pages that the ledger has read more than once")
    undone: int = Field(description="ledger entries that were changed or lost after they had been acknowledged")
    points: int
    differing_points: int = Field(description="missing, surplus, or with another vector or payload")
    differing_pages: int = Field(description="page records that differ")
    ledgers_agree: bool
    findings: int = Field(description="what the doctor finds afterwards")

    @property
    def is_clean(self) -> bool:
        """Whether the end state equals the undisturbed one, and nothing was done twice or lost."""
        faults = (self.read_again, self.undone, self.differing_points, self.differing_pages, self.findings)
        return self.ledgers_agree and not any(faults)


class Entry(NamedTuple):
    """Key of a ledger row that is done."""

    document_id: str
    page: int
    stage: str


def draw_documents(folder: Path, number: int) -> None:
    """Small born-digital PDFs of one or two pages, each about something else, headings and a table included."""
    folder.mkdir(parents=True)
    for document in range(number):
        with pymupdf.open() as pdf:
            for page in range(1 + document % 2):
                size = pymupdf.paper_rect("a5")
                sheet = pdf.new_page(width=size.width, height=size.height)
                sheet.insert_htmlbox(pymupdf.Rect(40, 40, size.width - 40, size.height - 40), _text(document, page))
            pdf.save(folder / f"{document:03d}.pdf", garbage=3, deflate=True, no_new_id=True)


def _text(document: int, page: int) -> str:
    mark = chr(0x4E00 + 97 * document + page)
    return (
        f"<h2>第{document}号通知（第{page + 1}页）</h2><p>{mark}组的会议定于{document % 12 + 1}月{document % 28 + 1}日"
        f"在{document % 40 + 1}楼召开，预算为{document * 37 + 500}元，联系人是{mark}工程师。</p>"
    )


def run(folder: Path, documents: int, kills: int, seed: int, workers: int) -> KillRun:
    """Do it below ``folder``, which must be empty.

    Raises:
        subprocess.CalledProcessError: a run that was left alone failed.
    """
    draw_documents(folder / "in", documents)
    calm, killed = folder / "calm", folder / "killed"
    _finish(_start(folder / "in", calm, workers))
    expected = _done(calm)
    chance = random.Random(seed)
    moments = sorted(chance.randrange(1, len(expected)) for _ in range(kills))
    survived: dict[Entry, str] = {}
    undone, at_kills, in_flight = 0, [], 0
    for moment in moments:
        _kill(_start(folder / "in", killed, workers), killed, moment, chance.uniform(0, _LONGEST_DELAY_S))
        found = _done(killed)
        undone += len(survived.items() - found.items())
        survived = found
        at_kills.append(len(found))
        in_flight = max(in_flight, _unacknowledged(killed, found))
    _finish(_start(folder / "in", killed, workers))
    final = _done(killed)
    return KillRun(
        documents=documents,
        kills=len(moments),
        done_at_kills=tuple(at_kills),
        entries=len(expected),
        most_in_flight=in_flight,
        read_again=len(_rows(killed, _READ_AGAIN)),
        undone=undone + len(survived.items() - final.items()),
        ledgers_agree=final.keys() == expected.keys(),
        **_compared(calm, killed),
    )


def _start(folder: Path, home: Path, workers: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {"TUWEN_HOME": str(home), "TUWEN_INGEST__WORKERS": str(workers)}
    command = [sys.executable, "-m", "tuwen", "ingest", str(folder), "--json"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, process.args)


def _kill(process: subprocess.Popen[bytes], home: Path, entries: int, delay: float) -> None:
    """SIGKILL once the ledger holds that many entries and some time has passed; children die with their parent."""
    while process.poll() is None and len(_done(home)) < entries:
        time.sleep(_POLL_S)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _done(home: Path) -> dict[Entry, str]:
    """What the ledger says is through, with the time of it; read as a stranger, while a run goes on."""
    query = "SELECT document_id, page, stage, updated_at FROM ledger WHERE state = 'done'"
    return {Entry(document_id, page, stage): at for document_id, page, stage, at in _rows(home, query)}


def _rows(home: Path, query: str) -> list[Any]:
    if not (home / "catalog.db").exists():
        return []
    with closing(sqlite3.connect(f"file:{home / 'catalog.db'}?mode=ro", uri=True)) as database:
        has_ledger = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchall()
        return database.execute(query).fetchall() if has_ledger else []


def _unacknowledged(home: Path, done: Mapping[Entry, str]) -> int:
    """Pages whose record is stored and not in the ledger: they were in flight, and will be read again."""
    stored = home.glob("blobs/documents/*/read-*/*.json.z")
    pages = {Entry(path.parents[1].name, int(path.name.split(".")[0]), "read") for path in stored}
    return len(pages - done.keys())


def _compared(calm: Path, killed: Path) -> dict[str, int]:
    with Tuwen.open(load_settings(), calm) as left, Tuwen.open(load_settings(), killed) as right:
        points = {point.id: point for point in left.index.points()}
        others = {point.id: point for point in right.index.points()}
        same = sum(_is_same(points[key], others[key]) for key in points.keys() & others.keys())
        pages = [(d.document_id, n) for d in left.documents() for n in range(1, (d.pages or 0) + 1)]
        return {
            "points": len(points),
            "differing_points": len(points.keys() | others.keys()) - same,
            "pages": len(pages),
            "differing_pages": sum(left.page(*page) != right.page(*page) for page in pages),
            "findings": len(right.doctor().findings),
        }


def _is_same(one: IndexPoint, other: IndexPoint) -> bool:
    if one.payload != other.payload or one.vectors.keys() != other.vectors.keys():
        return False
    return all(_is_same_vector(vector, other.vectors[name]) for name, vector in one.vectors.items())


def _is_same_vector(one: Vector, other: Vector) -> bool:
    if isinstance(one, SparseVector) and isinstance(other, SparseVector):
        same_terms = np.array_equal(one.indices, other.indices)
        return same_terms and np.allclose(one.values, other.values, rtol=0, atol=_TOLERANCE)
    assert not isinstance(one, SparseVector)
    assert not isinstance(other, SparseVector)
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=_TOLERANCE)


def main() -> int:
    """Run from the command line; the exit code is 1 where the end states differ."""
    parser = argparse.ArgumentParser(prog="python -m evals.kill_run", description=__doc__.split("\n")[0])
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="child processes; 0 means one a core")
    parser.add_argument("--json", type=Path, help="write what was seen here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuwen-kill-") as folder:
        seen = run(Path(folder), arguments.documents, arguments.kills, arguments.seed, arguments.workers)
    text = seen.model_dump_json(indent=1)
    if arguments.json:
        arguments.json.write_text(text, "utf-8")
    print(text)
    print("clean" if seen.is_clean else "NOT CLEAN")
    return 0 if seen.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
