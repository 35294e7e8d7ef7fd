"""Names of lease owners, from which another process of the same machine can tell that one has died."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import psutil

from tuwen.fingerprint import fingerprint

_CLOCK_SLACK_S = 2.0
"""Start times of one process read twice may differ by a little when the clock is adjusted."""


def this_owner() -> str:
    """A new name for a worker of this process: ``machine/pid/start time/random``."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{psutil.Process(pid).create_time():.0f}/{uuid.uuid4().hex[:8]}"


def has_died(owner: str) -> bool:
    """Whether the process of ``owner`` is surely gone; False when it cannot be known from here."""
    try:
        machine, pid, started, _ = owner.split("/")
        number, start = int(pid), float(started)
    except ValueError:  # a name that someone made up
        return False
    if machine != _machine():
        return False
    try:
        process = psutil.Process(number)
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - start) > _CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _machine() -> str:
    """Differs between machines, between boots, and between containers (process numbers are their own)."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return fingerprint(
        host=socket.gethostname(),
        boot=boot.read_text() if boot.exists() else None,
        processes=str(namespace.readlink()) if namespace.exists() else None,
    )
