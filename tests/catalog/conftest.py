"""Every test of the catalog runs on SQLite, and on a real Postgres where one is installed."""

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import select

from tests.catalog import postgres
from tuwen.catalog import Added, Catalog, Collection, sqlite_url
from tuwen.catalog.models import DocumentRow

DATABASES = ["sqlite", "postgres"] if postgres.programs() else ["sqlite"]
AddFile = Callable[..., Added]

_numbers = count()


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[str]:
    folder = postgres.programs()
    assert folder is not None
    with postgres.server(folder) as socket:
        yield socket


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    return fresh_url(request.param, request, tmp_path)


def fresh_url(database: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if database == "sqlite":
        return sqlite_url(folder / f"catalog-{next(_numbers)}.db")
    import psycopg

    socket = request.getfixturevalue("postgres_socket")
    schema = f"test_{next(_numbers)}"
    with psycopg.connect(host=socket, user="tuwen", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"postgresql://tuwen@/postgres?host={quote(socket, safe='')}&options=-csearch_path%3D{schema}"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    with Catalog.open(url) as catalog:
        yield catalog


@pytest.fixture
def collection(catalog: Catalog) -> Collection:
    return catalog.collection("acme", "合同", create=True)


@pytest.fixture
def add(catalog: Catalog, collection: Collection) -> AddFile:
    """Adds a file: ``add(path, content)`` where ``content`` stands for its bytes."""

    def add(path: str, content: str = "a", into: Collection = collection) -> Added:
        return add_file(catalog, into, path, content)

    return add


def add_file(catalog: Catalog, collection: Collection, path: str, content: str) -> Added:
    digest = content.encode().hex().ljust(64, "0")
    name = Path(path).name
    return catalog.add(collection, name=name, path=path, sha256=digest, size=9, media_type="application/pdf")


def answering(catalog: Catalog, document_ids: Iterable[str]) -> set[str]:
    """Those of the documents that may answer, as their rows say."""
    query = select(DocumentRow.id).where(DocumentRow.id.in_(list(document_ids)), DocumentRow.is_current)
    with catalog._db.read() as session:
        return set(session.scalars(query))
