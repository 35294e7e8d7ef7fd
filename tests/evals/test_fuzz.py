"""The fuzzer, for a moment on each target; what it found stays found."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from evals.fuzz import seed, targets
from tuwen.errors import TuwenError

FOUND = {
    "mail": (
        # a charset that is no text, one that is no name, an encoded word that is no Base64
        b"Content-Type: text/plain; charset=\xff\xfe\n\n\xcd\xbc",
        b"Content-Type: application/pdf; name*=\xff\xff''%CD%BC.pdf\n\nx",
        b"Subject: =?gbk?B?zbzOx?=\n\nx",
    ),
}


@pytest.mark.parametrize("target", ["zip", "mail", "html", "encryption", "sniff"])
def test_seeds_and_what_was_found_do_no_harm(tmp_path: Path, target: str) -> None:
    seed(tmp_path)
    for number, data in enumerate(FOUND.get(target, ())):
        (tmp_path / f"found-{number}").write_bytes(data)
    for file in sorted(tmp_path.iterdir()):
        with suppress(TuwenError):
            targets()[target](file)


@pytest.mark.parametrize("target", ["zip", "mail", "encryption"])
def test_a_moment_of_fuzzing_finds_nothing(tmp_path: Path, target: str) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python")
    command = [sys.executable, "-m", "evals.fuzz", target, "--seconds", "2", "--corpus", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "number_of_executed_units" in run.stderr
