"""A private Postgres server for tests, where its programs are installed."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where they, or the driver, are not installed."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return None
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server on a Unix socket; yields the folder of the socket."""
    with tempfile.TemporaryDirectory(prefix="tuwen-pg-") as home:
        user = _user()
        if user:
            shutil.chown(home, user, user)
        data = f"{home}/data"
        _run(
            user,
            folder / "initdb",
            "--pgdata",
            data,
            "--username=tuwen",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        )
        options = f"-k {home} -c listen_addresses= -c fsync=off -c max_connections=200"
        _run(user, folder / "pg_ctl", "start", "--pgdata", data, "--wait", "--options", options, "--log", f"{home}/log")
        try:
            yield home
        finally:
            _run(user, folder / "pg_ctl", "stop", "--pgdata", data, "--mode=immediate")


def _user() -> str | None:
    """Postgres refuses to run as root; then its package's own user runs it."""
    if os.geteuid() != 0:
        return None
    return next(name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()})


def _run(user: str | None, *command: str | Path) -> None:
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
