"""What the catalog takes and returns: frozen records, never rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from pydantic import Field

from tuwen.catalog.models import CollectionRow, DocumentRow, PageState
from tuwen.types import Document, DocumentStatus, Model, PageWarning, Problem

DEFAULT_TENANT = "default"
READY = (DocumentStatus.READY, DocumentStatus.READY_WITH_WARNINGS)
_DOCUMENTS = UUID("6f2a7d3e-0b0b-5d0e-9c55-7475776e0001")


class Collection(Model):
    """A named set of documents of one tenant."""

    id: int
    tenant: str
    name: str
    description: str = ""
    created_at: str = Field(description="RFC 3339, UTC")


class Added(NamedTuple):
    """Outcome of adding a file."""

    document: Document
    """What to report: with status ``duplicate`` and ``duplicate_of`` when its content is there already."""
    is_new: bool
    """A document was made or brought back: its bytes must be stored and it is waiting in the queue."""


class LeasedDocument(Model):
    """A document that one worker may process until ``expires_at``."""

    document_id: str
    tenant: str
    collection: str
    name: str
    path: str
    sha256: str
    size: int
    media_type: str
    version: int
    pages: int | None = Field(description="None until it was opened once")
    owner: str
    expires_at: datetime
    attempts: int = Field(description="leases taken on it since it was queued, this one included")


class Finished(NamedTuple):
    """Outcome of finishing a document."""

    document: Document
    replaced: tuple[str, ...]
    """Ids of versions that must leave the index now; its own where a newer version already answers."""


class DocumentList(NamedTuple):
    """One page of a listing."""

    documents: tuple[Document, ...]
    next_cursor: str | None


class LedgerEntry(Model):
    """One page at one stage under one fingerprint."""

    page: int = Field(description="0 for the document as a whole")
    state: PageState
    attempts: int
    artefact: str | None
    error: Problem | None
    seconds: float | None
    updated_at: datetime


class CatalogStats(NamedTuple):
    """Counts for ``tuwen status``."""

    documents: Mapping[str, int]
    """Number by status; replaced versions are not counted."""
    pages: Mapping[str, Mapping[str, int]]
    """Number of ledger entries by stage, then state."""
    warnings: Mapping[str, int]
    """Number by code."""


def document_id_for(tenant: str, collection: str, path: str, sha256: str) -> str:
    """The id that such a document has, always: UUIDv5 of tenant, collection, path and content."""
    return str(uuid5(_DOCUMENTS, "\0".join((tenant, collection, path, sha256))))


def to_collection(row: CollectionRow) -> Collection:
    """The record of a row."""
    return Collection(
        id=row.id, tenant=row.tenant, name=row.name, description=row.description, created_at=rfc3339(row.created_at)
    )


def to_document(row: DocumentRow) -> Document:
    """The record of a row."""
    return Document(
        document_id=row.id,
        name=row.name,
        path=row.path,
        sha256=row.sha256,
        version=row.version,
        status=DocumentStatus(row.status),
        pages=row.pages,
        warnings=tuple(PageWarning(page=w.page, code=w.code, message=w.message) for w in row.warnings),
        error=to_problem(row.error_code, row.error_message),
        created_at=rfc3339(row.created_at),
    )


def to_problem(code: str | None, message: str | None) -> Problem | None:
    """A problem, if there is one."""
    return None if code is None else Problem(code=code, message=message or "")


def rfc3339(moment: datetime) -> str:
    """As in ``2026-11-23T04:05:06.789Z``."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def storable(text: str) -> str:
    """Text that every database takes: no NUL, no lone surrogate."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
