"""Which bytes at which path are a new document, a duplicate, or a new version (DESIGN section 2).

The rules, for a file added to a collection:

1. Same path and bytes as a document that answers: a duplicate of it.
2. Same path and bytes as one that is not finished, failed, was cancelled, or was replaced: that document
   again, back in the queue (nothing that its ledger holds is done twice; what failed is tried again).
3. Same bytes at another path, as a document that answers or is going to: a duplicate of that one.
4. Otherwise a new document; at a known path, the next version.

In cases 1 and 2 the document becomes the path's latest version, since that is what the path holds now.
Callers hold the lock of the collection.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from tuwen.catalog.models import CollectionRow, DocumentRow, LedgerRow, PageState, WarningRow
from tuwen.catalog.records import READY, Added, document_id_for, to_document
from tuwen.errors import StorageUnavailableError
from tuwen.types import Document, DocumentStatus

_ENDED_WITHOUT_RESULT = (DocumentStatus.FAILED, DocumentStatus.CANCELLED)
_UNDER_WAY = (DocumentStatus.QUEUED, DocumentStatus.PROCESSING)


class NewFile(NamedTuple):
    """A file as it was sent."""

    name: str
    path: str
    sha256: str
    size: int
    media_type: str


def add(session: Session, collection: CollectionRow, file: NewFile, now: datetime) -> Added:
    """Apply the rules above."""
    document_id = document_id_for(collection.tenant, collection.name, file.path, file.sha256)
    row = session.get(DocumentRow, document_id)
    if row is not None:
        return _again(session, row, now)
    twin = _twin(session, collection.id, file.sha256)
    if twin is not None:
        return _duplicate(twin, file)
    row = DocumentRow(
        id=document_id,
        collection=collection,
        **file._asdict(),
        version=_latest_version(session, collection.id, file.path) + 1,
        status=DocumentStatus.QUEUED,
        created_at=now,
        queued_at=now,
    )
    session.add(row)
    session.flush()
    return Added(to_document(row), is_new=True)


def make_current(session: Session, row: DocumentRow) -> tuple[str, ...]:
    """Let ``row``, which has become ready, answer in place of older versions of its path.

    Returns:
        Ids that must leave the index: the replaced version's, or the row's own where a newer one answers.
    """
    same_path = (DocumentRow.collection_id == row.collection_id, DocumentRow.path == row.path, DocumentRow.is_current)
    others = session.execute(select(DocumentRow.id, DocumentRow.version).where(*same_path, DocumentRow.id != row.id))
    replaced = []
    for other_id, other_version in others:
        if other_version > row.version:
            row.is_current = False
            return (row.id,)
        replaced.append(other_id)
    session.execute(update(DocumentRow).where(DocumentRow.id.in_(replaced)).values(is_current=False))
    row.is_current = True
    return tuple(replaced)


def replaced() -> ColumnElement[bool]:
    """The condition that a newer version answers in place of a document."""
    return DocumentRow.status.in_(READY) & ~DocumentRow.is_current


def replaced_by(session: Session, row: DocumentRow) -> list[DocumentRow]:
    """The versions of its path in whose place ``row`` answers; none where it does not answer itself."""
    if not row.is_current:
        return []
    same_path = (DocumentRow.collection_id == row.collection_id, DocumentRow.path == row.path)
    query = select(DocumentRow).where(*same_path, DocumentRow.id != row.id, DocumentRow.deleted_at.is_(None))
    return list(session.scalars(query.where(replaced()).with_for_update(of=DocumentRow)))


def bury(row: DocumentRow, now: datetime) -> None:
    """Hide a document whose delete begins, and take it from whoever works on it."""
    row.deleted_at = row.deleted_at or now
    row.is_current = False
    row.lease_owner = row.lease_expires_at = None


def enqueue(row: DocumentRow, now: datetime) -> None:
    """Put a document that nobody works on at the end of the queue."""
    row.status = DocumentStatus.QUEUED
    row.queued_at = now
    row.attempts = 0
    row.error_code = row.error_message = row.lease_owner = row.lease_expires_at = None


def start_afresh(session: Session, row: DocumentRow) -> None:
    """Forget failures of pages, the warnings of pages that were given up, and what was made of the whole document."""
    mine = LedgerRow.document_id == row.id
    given_up = select(LedgerRow.page).where(mine, LedgerRow.state == PageState.QUARANTINED)
    session.execute(
        delete(WarningRow)
        .where(WarningRow.document_id == row.id, WarningRow.page.in_(given_up))
        .execution_options(synchronize_session=False)
    )
    session.expire(row, ["warnings"])
    failed = LedgerRow.state.in_((PageState.QUARANTINED, PageState.FAILED))
    of_the_whole = LedgerRow.page == 0  # it was made without these pages
    session.execute(delete(LedgerRow).where(mine, or_(failed, of_the_whole)))


def _again(session: Session, row: DocumentRow, now: datetime) -> Added:
    if row.deleted_at is not None:
        raise StorageUnavailableError(
            f"{row.path}: this document is being deleted; try again, or finish the delete with `tuwen doctor --fix`"
        )
    latest = _latest_version(session, row.collection_id, row.path)
    if row.version < latest:
        row.version = latest + 1
    if row.is_current and row.status in READY:
        return Added(_as_duplicate(row, row.name, row.path), is_new=False)
    if row.status in _ENDED_WITHOUT_RESULT:
        start_afresh(session, row)
    if row.status not in _UNDER_WAY:
        enqueue(row, now)
    return Added(to_document(row), is_new=True)


def _twin(session: Session, collection_id: int, sha256: str) -> DocumentRow | None:
    newer = aliased(DocumentRow)
    superseded_soon = exists().where(
        newer.collection_id == DocumentRow.collection_id,
        newer.path == DocumentRow.path,
        newer.version > DocumentRow.version,
        newer.deleted_at.is_(None),
        newer.status.not_in(_ENDED_WITHOUT_RESULT),
    )
    query = (
        select(DocumentRow)
        .where(
            DocumentRow.collection_id == collection_id,
            DocumentRow.sha256 == sha256,
            DocumentRow.deleted_at.is_(None),
            or_(DocumentRow.is_current, DocumentRow.status.in_(_UNDER_WAY)),
            ~superseded_soon,
        )
        .order_by(DocumentRow.created_at, DocumentRow.id)
        .limit(1)
    )
    return session.scalars(query).first()


def _duplicate(twin: DocumentRow, file: NewFile) -> Added:
    return Added(_as_duplicate(twin, file.name, file.path), is_new=False)


def _as_duplicate(row: DocumentRow, name: str, path: str) -> Document:
    return to_document(row).model_copy(
        update={"status": DocumentStatus.DUPLICATE, "duplicate_of": row.id, "name": name, "path": path}
    )


def _latest_version(session: Session, collection_id: int, path: str) -> int:
    query = select(func.max(DocumentRow.version)).where(
        DocumentRow.collection_id == collection_id, DocumentRow.path == path
    )
    return session.scalars(query).one() or 0
