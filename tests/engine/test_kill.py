"""``kill -9`` at any moment, then the same command: nothing acknowledged is lost, nothing is there twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

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


def read_attempts(home: Path) -> int:
    with Tuwen.open(load_settings(environ={}), home) as engine:
        fingerprint = engine.fingerprints.read
        entries = [
            entry
            for document in engine.documents()
            for entry in engine.catalog.ledger.state(document.document_id, "read", fingerprint).values()
        ]
        return sum(entry.attempts for entry in entries) - len(entries)


@pytest.mark.parametrize("delays", [(1.0, 3.0, 5.0)])
def test_killed_again_and_again(tmp_path: Path, delays: tuple[float, ...]) -> None:
    folder = tmp_path / "in"
    for number in range(6):
        draw_pdf(folder / f"{number}.pdf", report(number))
    undisturbed = tmp_path / "undisturbed"
    undisturbed_run = ingest(folder, undisturbed)
    undisturbed_run.communicate(timeout=240)
    assert undisturbed_run.returncode == 0
    home = tmp_path / "home"
    for delay in delays:
        process = ingest(folder, home)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = ingest(folder, home)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    outcomes = {d["path"]: d["status"] for d in json.loads(output)["documents"]}
    assert outcomes.keys() == {f"{number}.pdf" for number in range(6)}
    assert set(outcomes.values()) <= {"ready", "duplicate"}
    assert points(home) == points(undisturbed)
    assert read_attempts(home) <= len(delays) * 2, "only pages in flight are read again"
