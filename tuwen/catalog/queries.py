"""Reading the catalog: listings, lookups, counts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from tuwen.catalog.models import CollectionRow, DocumentRow, LedgerRow, PageState, WarningRow
from tuwen.catalog.records import READY, CatalogStats, Collection, DocumentList, to_document
from tuwen.catalog.versions import replaced
from tuwen.errors import InvalidRequestError, NotFoundError
from tuwen.types import DocumentStatus


def find(
    session: Session, reference: str, tenant: str, collection: Collection | None, *, include_tombstones: bool = False
) -> DocumentRow:
    """The living document with that id or unique beginning of an id.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: several begin like that.
    """
    query = select(DocumentRow).where(*in_scope(tenant, collection))
    if not include_tombstones:
        query = query.where(DocumentRow.deleted_at.is_(None))
    row = session.scalars(query.where(DocumentRow.id == reference)).first()
    if row is not None:
        return row
    matches = session.scalars(query.where(DocumentRow.id.startswith(reference.lower(), autoescape=True)).limit(2))
    match matches.all() if reference else ():
        case []:
            raise NotFoundError(f"There is no document {reference}; `tuwen documents` lists them")
        case [row]:
            return row
        case _:
            raise InvalidRequestError(f"Several documents begin with {reference}: give more of the id")


def listing(
    session: Session, conditions: Sequence[ColumnElement[bool]], limit: int | None, cursor: str | None
) -> DocumentList:
    """Living documents in the order in which they were added, one page of them."""
    query = select(DocumentRow).where(DocumentRow.deleted_at.is_(None), *conditions)
    query = query.order_by(DocumentRow.created_at, DocumentRow.id)
    if cursor is not None:
        query = query.where(_after(cursor))
    rows = list(session.scalars(query.limit(limit + 1) if limit is not None else query))
    more = limit is not None and len(rows) > limit
    rows = rows[:limit]
    return DocumentList(tuple(map(to_document, rows)), _cursor(rows[-1]) if more else None)


def in_scope(tenant: str | None, collection: Collection | None) -> tuple[ColumnElement[bool], ...]:
    """Documents of one collection, else of one tenant, else all."""
    if collection is not None:
        return (DocumentRow.collection_id == collection.id,)
    if tenant is not None:
        of_tenant = select(CollectionRow.id).where(CollectionRow.tenant == tenant)
        return (DocumentRow.collection_id.in_(of_tenant),)
    return ()


def hidden() -> ColumnElement[bool]:
    """The condition that a document may have points in the index and must not answer."""
    has_ledger = exists().where(LedgerRow.document_id == DocumentRow.id)
    failed = DocumentRow.status == DocumentStatus.FAILED  # its ledger may have been forgotten for a new attempt
    return or_(DocumentRow.deleted_at.is_not(None), failed, and_(~DocumentRow.is_current, has_ledger))


def stale(stage: str, fingerprint: str) -> ColumnElement[bool]:
    """The condition that an answering, finished document has no page through a stage under a fingerprint."""
    through = exists().where(
        LedgerRow.document_id == DocumentRow.id,
        LedgerRow.stage == stage,
        LedgerRow.fingerprint == fingerprint,
        LedgerRow.state == PageState.DONE,
    )
    return and_(DocumentRow.is_current, DocumentRow.status.in_(READY), DocumentRow.deleted_at.is_(None), ~through)


def stats(session: Session, scope: tuple[ColumnElement[bool], ...]) -> CatalogStats:
    """Counts of everything in scope that is alive."""
    alive = (*scope, DocumentRow.deleted_at.is_(None), ~replaced())
    documents = _count(session, select(DocumentRow.status, func.count()).where(*alive).group_by(DocumentRow.status))
    codes = select(WarningRow.code, func.count()).join(DocumentRow, WarningRow.document_id == DocumentRow.id)
    warnings = _count(session, codes.where(*alive).group_by(WarningRow.code))
    return CatalogStats(documents, _pages(session, alive), warnings)


def status_filter(status: DocumentStatus | Sequence[DocumentStatus]) -> ColumnElement[bool]:
    """Documents in one of these states."""
    return DocumentRow.status.in_([status] if isinstance(status, DocumentStatus) else status)


def _pages(session: Session, alive: tuple[ColumnElement[bool], ...]) -> dict[str, dict[str, int]]:
    columns = (LedgerRow.stage, LedgerRow.state, LedgerRow.document_id, LedgerRow.page)
    entries = select(*columns).join(DocumentRow, LedgerRow.document_id == DocumentRow.id).where(*alive)
    once = entries.distinct().subquery()  # a page that went through a stage twice, under two fingerprints, is one page
    query = select(once.c.stage, once.c.state, func.count()).group_by(once.c.stage, once.c.state)
    pages: dict[str, dict[str, int]] = {}
    for stage, state, number in session.execute(query):
        pages.setdefault(stage, {})[state] = number
    return pages


def _count(session: Session, query: Select[str, int]) -> dict[str, int]:
    return {key: number for key, number in session.execute(query)}  # noqa: C416  (rows are not pairs to mypy)


def _cursor(row: DocumentRow) -> str:
    micros = round(row.created_at.timestamp() * 1_000_000)
    return base64.urlsafe_b64encode(f"{micros}/{row.id}".encode()).decode().rstrip("=")


def _after(cursor: str) -> ColumnElement[bool]:
    try:
        micros, _, document_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("/")
        moment = datetime.fromtimestamp(int(micros) // 1_000_000, UTC).replace(microsecond=int(micros) % 1_000_000)
    except (binascii.Error, ValueError, OverflowError, OSError) as error:
        raise InvalidRequestError("cursor: not one that an earlier answer gave") from error
    return tuple_(DocumentRow.created_at, DocumentRow.id) > tuple_(moment, document_id)
