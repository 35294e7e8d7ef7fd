"""``kill -9`` at any moment, then the same command: nothing acknowledged is lost, nothing is there twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

from tests.engine.drawing import draw_pdf, report
from tuwen.engine import Tuwen
from tuwen.settings import load_settings

TUWEN = [sys.executable, "-m", "tuwen"]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "TUWEN_HOME": str(home), "TUWEN_INGEST__WORKERS": "1"}


def ingest(folder: Path, home: Path) -> subprocess.Popen[bytes]:
    command = [*TUWEN, "ingest", str(folder), "--json"]
    return subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def points(home: Path) -> set[UUID]:
    with Tuwen.open(load_settings(environ={}), home) as engine:
        return set(engine.index.ids())


def progress(home: Path) -> dict[tuple[str, int, str], str]:
    """What the ledger says is through, with the time of it; read as a stranger, while a run goes on."""
    if not (home / "catalog.db").exists():
        return {}
    with closing(sqlite3.connect(f"file:{home / 'catalog.db'}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchall()
        query = "SELECT document_id, page, stage, updated_at FROM ledger WHERE state = 'done'"
        rows = database.execute(query).fetchall() if tables else []
    return {(document_id, page, stage): at for document_id, page, stage, at in rows}


def kill_at(process: subprocess.Popen[bytes], home: Path, entries: int) -> None:
    """Kill a run once the ledger holds that many entries."""
    while len(progress(home)) < entries:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_killed_again_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(6):
        draw_pdf(folder / f"{number}.pdf", report(number))
    undisturbed, home = tmp_path / "undisturbed", tmp_path / "home"
    undisturbed_run = ingest(folder, undisturbed)
    undisturbed_run.communicate(timeout=240)
    assert undisturbed_run.returncode == 0
    everything = len(progress(undisturbed))
    survived: dict[tuple[str, int, str], str] = {}
    for share in (0.0, 0.25, 0.5, 0.75):
        kill_at(ingest(folder, home), home, max(1, int(share * everything)))
        found = progress(home)
        assert 0 < len(found) < everything, "killed in the middle"
        assert survived.items() <= found.items(), "what was done is not done again"
        survived = found
    process = ingest(folder, home)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    outcomes = {d["path"]: d["status"] for d in json.loads(output)["documents"]}
    assert outcomes.keys() == {f"{number}.pdf" for number in range(6)}
    assert set(outcomes.values()) <= {"ready", "duplicate"}
    assert points(home) == points(undisturbed)
    assert survived.items() <= progress(home).items()
    assert progress(home).keys() == progress(undisturbed).keys()
