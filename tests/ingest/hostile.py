"""Calls that go wrong in every way; they run in real child processes."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def crash() -> None:
    os.abort()


def hang() -> None:
    time.sleep(600)


def eat_memory() -> int:
    return int(np.ones(20 << 30, np.uint8)[-1])


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def not_there() -> None:
    Path("/nowhere/at/all").read_bytes()


def pid() -> int:
    return os.getpid()
