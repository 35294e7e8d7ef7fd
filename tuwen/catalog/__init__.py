"""The catalog: collections, documents, leases and the ledger, in SQL (DESIGN sections 2 and 5)."""

from tuwen.catalog.catalog import Catalog
from tuwen.catalog.database import sqlite_url
from tuwen.catalog.ledger import Ledger
from tuwen.catalog.models import PageState
from tuwen.catalog.owners import this_owner
from tuwen.catalog.records import (
    DEFAULT_TENANT,
    Added,
    CatalogStats,
    Collection,
    DocumentList,
    Finished,
    LeasedDocument,
    LedgerEntry,
    document_id_for,
)

__all__ = [
    "DEFAULT_TENANT",
    "Added",
    "Catalog",
    "CatalogStats",
    "Collection",
    "DocumentList",
    "Finished",
    "LeasedDocument",
    "Ledger",
    "LedgerEntry",
    "PageState",
    "document_id_for",
    "sqlite_url",
    "this_owner",
]
