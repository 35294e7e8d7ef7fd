"""The database under the catalog: opening, migrating, transactions, and errors as sentences.

All that differs between SQLite and Postgres is in this module:

- *SQLite*: WAL, so that readers never wait; ``synchronous=FULL``, because a document that was accepted must
  survive a power cut, and one fsync a transaction is cheap beside reading a page; a writing transaction
  starts with ``BEGIN IMMEDIATE``, so that it waits for its turn instead of failing halfway.
- *Postgres*: ``READ COMMITTED`` with row locks (``FOR UPDATE``, ``SKIP LOCKED``), which SQLAlchemy leaves out
  on SQLite. Time is the server's, since machines disagree about it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from tuwen.catalog.models import Base
from tuwen.errors import ConfigurationError, NotFoundError, StorageUnavailableError

HEAD = "0001"
"""The newest migration; known here so that opening an up-to-date catalog need not import Alembic."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x7475_7765_6E  # "tuwen": key of the advisory lock on Postgres

_SQLITE_ADVICE = {
    sqlite3.SQLITE_BUSY: "is locked by another process; try again when that one is done",
    sqlite3.SQLITE_LOCKED: "is locked by another process; try again when that one is done",
    sqlite3.SQLITE_READONLY: "cannot be written: the file, its folder or the file system is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened or made; check that its folder exists and belongs to you",
    sqlite3.SQLITE_PERM: "cannot be opened; check that it belongs to you",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full; free some space, then try again",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup, or move it away and ingest again",
    sqlite3.SQLITE_NOTADB: "is not a tuwen catalog, or is damaged; restore it from a backup, or move it away",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
}


def sqlite_url(file: Path) -> str:
    """URL of the SQLite catalog in ``file``."""
    return URL.create("sqlite", database=str(file)).render_as_string()


class Database:
    """An opened catalog database at the newest schema. Threads may share it; a forked child may too."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(tuwen_write=True)

    @classmethod
    def open(cls, url: str, busy_timeout_s: float = 30.0) -> Database:
        """Connect, and bring the schema up to date.

        Args:
            url: SQLAlchemy URL of a SQLite file or a Postgres database.
            busy_timeout_s: how long to wait for another writer.

        Raises:
            ConfigurationError: the URL makes no sense, or its driver is not installed.
            StorageUnavailableError: locked, damaged, read-only, unreachable, or of a newer tuwen.
        """
        database = cls(_engine(url, busy_timeout_s))
        try:
            database._migrate()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @property
    def is_postgres(self) -> bool:
        """Whether row locks and the server's clock are there."""
        return self._engine.dialect.name == "postgresql"

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one state and writes nothing."""
        with self._errors(), Session(self._engine) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed when the block ends, rolled back when it raises."""
        with self._errors(), Session(self._writer) as session, session.begin():
            yield session

    def now(self, session: Session) -> datetime:
        """Time by the clock that all workers share."""
        if self.is_postgres:
            now: datetime = session.scalars(select(func.clock_timestamp())).one()
            return now.astimezone(UTC)
        return datetime.now(UTC)

    def insert(self, table: type[Base]) -> Any:
        """An INSERT that has ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
        return postgresql.insert(table) if self.is_postgres else sqlite.insert(table)

    def revision(self, connection: Connection) -> str | None:
        """The schema's revision; None in an empty database."""
        if not self._engine.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    def _migrate(self) -> None:
        with self._errors():
            with self._engine.connect() as connection:
                if self.revision(connection) == HEAD:
                    return
            with self._writer.begin() as connection:
                if self.is_postgres:
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                if self.revision(connection) != HEAD:  # another process may have been first
                    self._upgrade(connection)

    def _upgrade(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        revision = self.revision(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if revision is not None and revision not in known:
            raise StorageUnavailableError(
                f"The catalog {self._place} was written by a newer tuwen (schema {revision}, this one knows {HEAD}): "
                "upgrade tuwen"
            )
        command.upgrade(config, "head")

    @property
    def _place(self) -> str:
        url = self._engine.url
        return str(url.database if url.drivername.startswith("sqlite") else url.render_as_string())

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            if "FOREIGN KEY" not in str(error.orig).upper():
                raise
            raise NotFoundError("The document or collection has been deleted meanwhile") from error
        except ProgrammingError:
            raise  # our own mistake, not the database's state
        except DBAPIError as error:
            raise StorageUnavailableError(f"The catalog {self._place} {_advice(error)}") from error
        except PoolTimeoutError as error:
            raise StorageUnavailableError(
                f"The catalog {self._place} has too many users in this process: {error}"
            ) from error


def _advice(error: DBAPIError) -> str:
    code = getattr(error.orig, "sqlite_errorcode", None)
    advice = _SQLITE_ADVICE.get(code & 0xFF) if code is not None else None
    return advice or f"cannot be used: {str(error.orig).strip()}"


def _engine(url: str, busy_timeout_s: float) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed, busy_timeout_s)
        if parsed.get_backend_name() == "postgresql":
            engine = create_engine(parsed, pool_pre_ping=True)
            _guard_forks(engine)
            return engine
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigurationError(f"catalog.url: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"catalog.url: {error}; install tuwen[server]") from error
    raise ConfigurationError(f"catalog.url: {parsed.get_backend_name()} is not supported; use sqlite or postgresql")


def _sqlite_engine(url: URL, busy_timeout_s: float) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("catalog.url: SQLite needs a file, as in sqlite:////data/catalog.db")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailableError(f"The catalog's folder cannot be made: {error}") from error
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver would start transactions by rules of its own
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("tuwen_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    _guard_forks(engine)
    return engine


def _guard_forks(engine: Engine) -> None:
    """Give a forked child connections of its own: one shared with its parent would corrupt both."""

    @event.listens_for(engine, "connect")
    def remember(_connection: object, record: Any) -> None:
        record.info["pid"] = os.getpid()

    @event.listens_for(engine, "checkout")
    def check(_connection: object, record: Any, proxy: Any) -> None:
        if record.info["pid"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("the connection belongs to the parent process")
