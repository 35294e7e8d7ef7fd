"""Opening, migrating, and what happens when the database is locked, damaged, read-only, or its user is killed."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.catalog.conftest import add_file
from tuwen.catalog import Catalog, database, sqlite_url
from tuwen.catalog.database import HEAD, Database
from tuwen.catalog.models import Base, DocumentRow
from tuwen.errors import ConfigurationError, StorageUnavailableError

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "深" / "catalog.db"


def test_migrations_build_the_tables_of_the_models(url: str) -> None:
    opened = Database.open(url)
    with opened.write() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    opened.close()


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert scripts.get_heads() == [HEAD]


def test_opening_again_is_quick_and_needs_no_alembic(file: Path) -> None:
    Catalog.open(sqlite_url(file)).close()
    assert min(seconds_to_open(file) for _ in range(5)) < 0.05
    script = "import sys; from tuwen.catalog import Catalog; Catalog.open(sys.argv[1]); print('alembic' in sys.modules)"
    command = [sys.executable, "-c", script, sqlite_url(file)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"


def seconds_to_open(file: Path) -> float:
    started = time.perf_counter()
    Catalog.open(sqlite_url(file)).close()
    return time.perf_counter() - started


def test_many_processes_may_open_an_empty_database_at_once(url: str) -> None:
    script = f"from tuwen.catalog import Catalog\nCatalog.open({url!r}).collection(create=True)"
    children = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) for _ in range(6)]
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0, errors
    with Catalog.open(url) as catalog:
        assert len(catalog.collections()) == 1


def test_a_newer_schema_is_refused(url: str) -> None:
    opened = Database.open(url)
    with opened.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(StorageUnavailableError, match=r"newer tuwen \(schema 9999.*upgrade tuwen"):
        Catalog.open(url)


def test_sqlite_is_set_up_for_many_processes_and_power_cuts(file: Path) -> None:
    opened = Database.open(sqlite_url(file))
    with opened.read() as session:
        pragmas = {
            name: session.execute(sa.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    opened.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "a#b", "数据"])
def test_any_folder_name_makes_a_url(tmp_path: Path, name: str) -> None:
    Catalog.open(sqlite_url(tmp_path / name / "catalog.db")).close()
    assert (tmp_path / name / "catalog.db").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "URL"),
        ("no url", "URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("oracle://host/db", "oracle is not supported"),
        ("nosuchthing://host/db", "nosuchthing"),
        ("postgresql+nosuchdriver://host/db", "nosuchdriver"),
    ],
)
def test_urls_that_make_no_sense(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"catalog\.url: .*{says}"):
        Catalog.open(url)


def test_an_unreachable_server_is_unavailable_and_its_password_is_not_shown(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageUnavailableError, match="cannot be used") as caught:
        Catalog.open(f"postgresql://user:secret@/db?host={tmp_path}")
    assert "secret" not in caught.value.message


def test_a_locked_database_is_named_after_the_wait(file: Path) -> None:
    Catalog.open(sqlite_url(file)).close()
    blocker = sqlite3.connect(file, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with Catalog.open(sqlite_url(file), busy_timeout_s=0.1) as catalog:
        assert catalog.collections() == []  # readers do not wait
        with pytest.raises(StorageUnavailableError, match=r"catalog\.db is locked by another process") as caught:
            catalog.collection(create=True)
        assert caught.value.exit_code == 3
        blocker.execute("ROLLBACK")
        catalog.collection(create=True)
    blocker.close()


@pytest.mark.parametrize("content", [b"%PDF-1.7 this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(StorageUnavailableError, match="damaged"):
        Catalog.open(sqlite_url(file))


def test_a_damaged_database(file: Path) -> None:
    with Catalog.open(sqlite_url(file)) as catalog:
        collection = catalog.collection(create=True)
        for n in range(60):
            add_file(catalog, collection, f"{n}.pdf", str(n))
    content = bytearray(file.read_bytes())
    content[8192:-4096] = os.urandom(len(content) - 12288)
    file.write_bytes(content)
    with pytest.raises(StorageUnavailableError, match=r"catalog\.db is damaged"):
        list_documents(file)


def list_documents(file: Path) -> None:
    with Catalog.open(sqlite_url(file)) as catalog:
        catalog.documents(tenant="default")


def test_a_full_database(file: Path) -> None:
    with Catalog.open(sqlite_url(file)) as catalog:
        collection = catalog.collection(create=True)
        with catalog._db.read() as session:
            session.execute(sa.text("PRAGMA max_page_count=1"))  # SQLite's own way to run into SQLITE_FULL
        with pytest.raises(StorageUnavailableError, match="the disk is full"):
            [add_file(catalog, collection, f"{n}.pdf", str(n)) for n in range(2000)]


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder that this process may read and not write; root steps down to nobody for the test."""
    folder = Path(tempfile.mkdtemp(prefix="tuwen-readonly-"))
    Catalog.open(sqlite_url(folder / "old" / "catalog.db")).close()
    for path in (folder / "old", folder):
        path.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    for path in (folder, folder / "old"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_written(foreign_folder: Path) -> None:
    for name in ("catalog.db", "new/catalog.db", "old/catalog.db"):
        with pytest.raises(StorageUnavailableError, match=r"cannot|Permission"):  # noqa: SIM117
            with Catalog.open(sqlite_url(foreign_folder / name)) as catalog:
                catalog.collection(create=True)


def write_and_wait(url: str, pipe: Connection) -> None:
    with Catalog.open(url) as catalog:
        collection = catalog.collection(create=True)
        kept = add_file(catalog, collection, "kept.pdf", "kept")
        with catalog._db.write() as session:
            session.execute(sa.update(DocumentRow).values(status="half", version=99))
            session.flush()
            pipe.send(kept.document.document_id)
            time.sleep(60)


def test_a_writer_killed_in_the_middle_leaves_what_was_committed(url: str) -> None:
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=write_and_wait, args=(url, theirs))
    child.start()
    document_id = ours.recv()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with Catalog.open(url) as catalog:
        (document,) = catalog.documents(tenant="default").documents
        assert (document.document_id, document.status, document.version) == (document_id, "queued", 1)
        assert catalog.lease("next", 60) is not None  # the lock went with its holder


def test_a_forked_child_does_not_share_its_parents_connections(url: str) -> None:
    with Catalog.open(url) as catalog:
        parents = raw_connection(catalog)
        assert raw_connection(catalog) is parents  # the pool gives it again, in this process
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert raw_connection(catalog) is not parents
                catalog.collection(name="from the child", create=True)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert status == 0
        assert raw_connection(catalog) is parents  # the child did not close it
        assert [c.name for c in catalog.collections()] == ["from the child"]


def raw_connection(catalog: Catalog) -> object:
    with catalog._db.read() as session:
        return session.connection().connection.dbapi_connection
