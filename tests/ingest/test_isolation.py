"""Child processes with limits: what a crash, a hang and a memory bomb cost, and what they are called."""

import os
from pathlib import Path

import pytest

from ingest.isolation import Children, enter_child
from ingest.workspace import sweep, workspace
from tests.ingest import hostile
from tuwen.errors import LimitExceededError, ParserCrashedError, ParserTimeoutError


@pytest.fixture(scope="module")
def sandbox():
    with Children(1, enter_child, (1500,)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (hostile.crash, ParserCrashedError, r"Opening a.pdf crashed its process \(exit code -6\)"),
        (hostile.hang, ParserTimeoutError, r"Opening a.pdf did not finish within 2 s"),
        (hostile.eat_memory, LimitExceededError, r"Opening a.pdf needs more memory"),
        (hostile.be_killed, ParserCrashedError, r"killed from outside, as the system does when memory runs out"),
    ],
)
def test_what_goes_wrong_is_told_apart_and_the_next_call_works(sandbox, call, error, message):
    with pytest.raises(error, match=message):
        sandbox.run("Opening a.pdf", 2.0, call)
    assert sandbox.run("Asking", 60.0, hostile.pid) != os.getpid()


def test_errors_of_the_file_system_come_back_as_they_are(sandbox):
    with pytest.raises(FileNotFoundError):
        sandbox.run("Opening", 60.0, hostile.not_there)


def test_workspaces_go_away_and_those_of_the_dead_are_swept(tmp_path):
    with workspace(tmp_path / "spool") as mine:
        (mine / "file").write_text("x")
        dead = tmp_path / "spool" / "999999999-abc"
        dead.mkdir()
        assert sweep(tmp_path / "spool") == 1
        assert not dead.exists()
        assert mine.exists()
    assert not mine.exists()
    assert sweep(Path("/nowhere")) == 0
