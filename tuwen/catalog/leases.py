"""The queue: documents are leased to one worker at a time, oldest first (DESIGN section 5).

A lease is a name and a time on the document's row. A worker that dies stops renewing, and the next one takes
the document over. Taking is one short transaction: ``FOR UPDATE SKIP LOCKED`` on Postgres, ``BEGIN
IMMEDIATE`` on SQLite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from tuwen.catalog.models import DocumentRow
from tuwen.catalog.owners import has_died
from tuwen.catalog.records import LeasedDocument
from tuwen.catalog.versions import enqueue
from tuwen.errors import LeaseLostError, NotFoundError
from tuwen.types import DocumentStatus

_CHUNK = 10_000
"""Ids in one condition; databases bound the number of parameters."""


def take(
    session: Session, owner: str, now: datetime, seconds: float, document_ids: Sequence[str] | None
) -> LeasedDocument | None:
    """Lease the document that has waited longest, or whose lease has run out; None when there is none."""
    for chosen in _choices(document_ids):
        query = (
            select(DocumentRow)
            .where(_free(now), DocumentRow.deleted_at.is_(None), *chosen)
            .order_by(DocumentRow.queued_at, DocumentRow.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=DocumentRow)
        )
        row = session.scalars(query).first()
        if row is not None:
            row.status = DocumentStatus.PROCESSING
            row.lease_owner = owner
            row.lease_expires_at = expires = now + timedelta(seconds=seconds)
            row.attempts += 1
            return _leased(row, owner, expires)
    return None


def held(session: Session, document_id: str, owner: str | None) -> DocumentRow:
    """The row of a document that ``owner`` holds, locked; None as owner skips the check of the lease.

    Raises:
        NotFoundError: the document is gone or is being deleted.
        LeaseLostError: another worker holds it, or it was cancelled.
    """
    row = session.get(DocumentRow, document_id, with_for_update={"of": DocumentRow})
    if row is None or row.deleted_at is not None:
        raise NotFoundError(f"Document {document_id} has been deleted meanwhile")
    if owner is not None and row.lease_owner != owner:
        raise LeaseLostError(f"{row.name}: another worker has taken this document over, or it was cancelled")
    return row


def free_dead(session: Session, now: datetime) -> int:
    """Put back in the queue what processes of this machine held that are gone; the number of documents."""
    query = select(DocumentRow).where(
        DocumentRow.status == DocumentStatus.PROCESSING, DocumentRow.lease_owner.is_not(None)
    )
    freed = 0
    for row in session.scalars(query.with_for_update(skip_locked=True, of=DocumentRow)):
        if row.lease_owner is not None and has_died(row.lease_owner):
            row.lease_expires_at = now - timedelta(seconds=1)
            freed += 1
    return freed


def give_back(row: DocumentRow, now: datetime) -> None:
    """Return a leased document to its place in the queue."""
    position, attempts = row.queued_at, row.attempts
    enqueue(row, now)
    row.queued_at, row.attempts = position, max(0, attempts - 1)


def _choices(document_ids: Sequence[str] | None) -> Iterator[tuple[ColumnElement[bool], ...]]:
    if document_ids is None:
        yield ()
        return
    for start in range(0, len(document_ids), _CHUNK):
        yield (DocumentRow.id.in_(document_ids[start : start + _CHUNK]),)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(
        DocumentRow.status == DocumentStatus.QUEUED,
        and_(
            DocumentRow.status == DocumentStatus.PROCESSING,
            or_(DocumentRow.lease_expires_at.is_(None), DocumentRow.lease_expires_at <= now),
        ),
    )


def _leased(row: DocumentRow, owner: str, expires: datetime) -> LeasedDocument:
    return LeasedDocument(
        document_id=row.id,
        tenant=row.collection.tenant,
        collection=row.collection.name,
        name=row.name,
        path=row.path,
        sha256=row.sha256,
        size=row.size,
        media_type=row.media_type,
        version=row.version,
        pages=row.pages,
        owner=owner,
        expires_at=expires,
        attempts=row.attempts,
    )
