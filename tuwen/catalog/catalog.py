"""The catalog: what is in which collection, and who is working on it.

Threads may share a :class:`Catalog`; any number of processes may open the same database. Methods that take
no collection or tenant work across tenants and belong to workers, not to requests. Every method raises
:class:`~tuwen.errors.StorageUnavailableError` when the database is locked, full, read-only or damaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType

from sqlalchemy import and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from tuwen.catalog import leases, queries, versions
from tuwen.catalog.database import Database
from tuwen.catalog.ledger import Ledger
from tuwen.catalog.models import CollectionRow, DocumentRow, LedgerRow, PageState, WarningRow
from tuwen.catalog.records import (
    DEFAULT_TENANT,
    READY,
    Added,
    CatalogStats,
    Collection,
    DocumentList,
    Finished,
    LeasedDocument,
    storable,
    to_collection,
    to_document,
)
from tuwen.errors import InvalidRequestError, NotFoundError
from tuwen.types import Document, DocumentStatus, Problem


class Catalog:
    """Collections, documents, leases and warnings; :attr:`ledger` holds the progress of pages."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.ledger = Ledger(database)

    @classmethod
    def open(cls, url: str, busy_timeout_s: float = 30.0) -> Catalog:
        """Open the database at a SQLAlchemy URL, and make or migrate its tables.

        Raises:
            ConfigurationError: the URL makes no sense, or its driver is not installed.
            StorageUnavailableError: locked, damaged, read-only, unreachable, or of a newer tuwen.
        """
        return cls(Database.open(url, busy_timeout_s))

    def close(self) -> None:
        """Close all connections."""
        self._db.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Collections

    def collection(
        self, tenant: str = DEFAULT_TENANT, name: str = "default", *, create: bool = False, description: str = ""
    ) -> Collection:
        """A collection by name, made on the way if ``create`` is set.

        Raises:
            NotFoundError: there is none and ``create`` is not set.
            InvalidRequestError: the name is empty, or not text that can be stored.
        """
        query = select(CollectionRow).where(CollectionRow.tenant == tenant, CollectionRow.name == name)
        with self._db.read() as session:
            row = session.scalars(query).first()
            if row is not None:
                return to_collection(row)
        if not create:
            raise NotFoundError(f"There is no collection {name}")
        for text in (tenant, name):
            _checked_text("collection", text)
        with self._db.write() as session:
            values = {"tenant": tenant, "name": name, "description": description, "created_at": self._db.now(session)}
            session.execute(self._db.insert(CollectionRow).values(values).on_conflict_do_nothing())
            return to_collection(session.scalars(query).one())

    def collections(self, tenant: str = DEFAULT_TENANT) -> list[Collection]:
        """All collections of a tenant, by name."""
        query = select(CollectionRow).where(CollectionRow.tenant == tenant).order_by(CollectionRow.name)
        with self._db.read() as session:
            return [to_collection(row) for row in session.scalars(query)]

    def delete_collection(self, collection: Collection) -> None:
        """Remove a collection that holds no document any more.

        Raises:
            InvalidRequestError: it still holds some.
            NotFoundError: it is gone already.
        """
        with self._db.write() as session:
            row = _locked(session, collection)
            if session.scalars(select(exists().where(DocumentRow.collection_id == row.id))).one():
                raise InvalidRequestError(f"Collection {row.name} still holds documents: delete them first")
            session.delete(row)

    # Documents

    def add(self, collection: Collection, *, name: str, path: str, sha256: str, size: int, media_type: str) -> Added:
        """Add a file by the rules of :mod:`tuwen.catalog.versions`.

        A new document is in the queue when this returns, so store its bytes first; they belong under
        :func:`~tuwen.catalog.records.document_id_for`.

        Raises:
            InvalidRequestError: name or path is not valid Unicode.
            NotFoundError: the collection is gone.
            StorageUnavailableError: among others, the same document is being deleted.
        """
        for text in (name, path):
            _checked_text("path", text)
        file = versions.NewFile(name, path, sha256, size, media_type)
        with self._db.write() as session:
            row = _locked(session, collection)
            return versions.add(session, row, file, self._db.now(session))

    def document(
        self,
        reference: str,
        *,
        tenant: str = DEFAULT_TENANT,
        collection: Collection | None = None,
        include_tombstones: bool = False,
    ) -> Document:
        """A document by id, or by a beginning of its id that no other has.

        Args:
            reference: the id, or its beginning.
            tenant: whose documents, where no collection is given.
            collection: only this one.
            include_tombstones: also documents whose delete has begun and not ended.

        Raises:
            NotFoundError: there is none.
            InvalidRequestError: several begin like that.
        """
        with self._db.read() as session:
            return to_document(
                queries.find(session, reference, tenant, collection, include_tombstones=include_tombstones)
            )

    def documents(
        self,
        collection: Collection | None = None,
        *,
        tenant: str | None = DEFAULT_TENANT,
        ids: Sequence[str] | None = None,
        name: str | None = None,
        status: DocumentStatus | Sequence[DocumentStatus] | None = None,
        include_replaced: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> DocumentList:
        """Documents of a collection (or a tenant) in the order in which they were added.

        Args:
            collection: only this one; else all of ``tenant``.
            tenant: whose documents, where no collection is given; None for all.
            ids: only these.
            name: only those whose name contains this, letter case aside.
            status: only those in this state, or one of these.
            include_replaced: also versions in whose place a newer one answers.
            limit: at most so many.
            cursor: go on where the answer that gave it ended.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        conditions = list(queries.in_scope(tenant, collection))
        if ids is not None:
            conditions.append(DocumentRow.id.in_(ids))
        if name:
            conditions.append(DocumentRow.name.icontains(name, autoescape=True))
        if status is not None:
            conditions.append(queries.status_filter(status))
        if not include_replaced:
            conditions.append(~versions.replaced())
        with self._db.read() as session:
            return queries.listing(session, conditions, limit, cursor)

    def hidden(self, collection: Collection | None = None, *, tenant: str = DEFAULT_TENANT) -> set[str]:
        """Documents that may have points in the index and must not answer: exclude them from queries."""
        query = select(DocumentRow.id).where(*queries.in_scope(tenant, collection), queries.hidden())
        with self._db.read() as session:
            return set(session.scalars(query))

    # The life of a document

    def lease(self, owner: str, seconds: float, document_ids: Sequence[str] | None = None) -> LeasedDocument | None:
        """Take the document that has waited longest, or whose lease has run out; None when none is free.

        Args:
            owner: name of the worker, from :func:`~tuwen.catalog.owners.this_owner`.
            seconds: until others may take it over, unless renewed.
            document_ids: only one of these.
        """
        with self._db.write() as session:
            return leases.take(session, owner, self._db.now(session), seconds, document_ids)

    def renew(self, document_id: str, owner: str, seconds: float) -> bool:
        """Hold a lease for ``seconds`` from now; False when it is lost (taken over, cancelled, deleted): stop."""
        with self._db.write() as session:
            expires = self._db.now(session) + timedelta(seconds=seconds)
            statement = (
                update(DocumentRow)
                .where(
                    DocumentRow.id == document_id,
                    DocumentRow.lease_owner == owner,
                    DocumentRow.status == DocumentStatus.PROCESSING,
                    DocumentRow.deleted_at.is_(None),
                )
                .values(lease_expires_at=expires)
            )
            return session.connection().execute(statement).rowcount == 1

    def release(self, document_id: str, owner: str) -> bool:
        """Put an unfinished document back in its place in the queue; False when ``owner`` no longer holds it."""
        with self._db.write() as session:
            row = session.get(DocumentRow, document_id, with_for_update={"of": DocumentRow})
            if row is None or row.lease_owner != owner or row.status != DocumentStatus.PROCESSING:
                return False
            leases.give_back(row, self._db.now(session))
            return True

    def release_dead(self) -> int:
        """Free the leases of processes of this machine that have died; the number of documents.

        Call it when a worker starts, so that nobody waits for the leases of one that was killed.
        """
        with self._db.write() as session:
            return leases.free_dead(session, self._db.now(session))

    def set_pages(self, document_id: str, pages: int) -> None:
        """Record the number of pages. Raises NotFoundError."""
        with self._db.write() as session:
            leases.held(session, document_id, None).pages = pages

    def warn(self, document_id: str, page: int, code: str, message: str) -> None:
        """Record a warning; the same code on the same page replaces the earlier one. Raises NotFoundError."""
        values = {"document_id": document_id, "page": page, "code": code, "message": storable(message)}
        statement = self._db.insert(WarningRow).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=list(WarningRow.__table__.primary_key), set_={"message": statement.excluded.message}
        )
        with self._db.write() as session:
            session.execute(statement)

    def clear_warnings(self, document_id: str, pages: Sequence[int] | None = None) -> None:
        """Remove the warnings of some pages, or of all; before they are read again."""
        conditions = [WarningRow.document_id == document_id]
        if pages is not None:
            conditions.append(WarningRow.page.in_(pages))
        with self._db.write() as session:
            session.execute(delete(WarningRow).where(*conditions))

    def finish(self, document_id: str, status: DocumentStatus | None = None, *, owner: str | None = None) -> Finished:
        """Make a document ready; in the same transaction it takes the place of the version before it.

        Args:
            document_id: which one.
            status: ``ready`` or ``ready_with_warnings``; by default, whichever its warnings call for.
            owner: whose lease to check.

        Raises:
            NotFoundError: it was deleted meanwhile.
            LeaseLostError: ``owner`` no longer holds it.
        """
        assert status is None or status in READY, status
        with self._db.write() as session:
            collection_id = select(DocumentRow.collection_id).where(DocumentRow.id == document_id).scalar_subquery()
            session.execute(select(CollectionRow.id).where(CollectionRow.id == collection_id).with_for_update())
            row = leases.held(session, document_id, owner)
            row.status = status or (DocumentStatus.READY_WITH_WARNINGS if row.warnings else DocumentStatus.READY)
            row.error_code = row.error_message = row.lease_owner = row.lease_expires_at = None
            replaced = versions.make_current(session, row)
            return Finished(to_document(row), replaced)

    def fail(self, document_id: str, problem: Problem, *, owner: str | None = None) -> Document:
        """End a document with an error; it answers no longer, as its points may come from an earlier reading.

        Raises NotFoundError and LeaseLostError as :meth:`finish`.
        """
        with self._db.write() as session:
            row = leases.held(session, document_id, owner)
            row.status = DocumentStatus.FAILED
            row.is_current = False
            row.error_code, row.error_message = storable(problem.code), storable(problem.message)
            row.lease_owner = row.lease_expires_at = None
            return to_document(row)

    def cancel(self, document_id: str) -> Document:
        """Stop a document that is queued or processing; its worker sees it at the next :meth:`renew`.

        Raises:
            NotFoundError: there is none.
            InvalidRequestError: it is neither queued nor processing.
        """
        with self._db.write() as session:
            row = leases.held(session, document_id, None)
            if row.status not in (DocumentStatus.QUEUED, DocumentStatus.PROCESSING):
                raise InvalidRequestError(f"{row.name} is {row.status}: only what is queued or processing can stop")
            row.status = DocumentStatus.CANCELLED
            row.lease_owner = row.lease_expires_at = None
            return to_document(row)

    def requeue(self, document_id: str) -> Document:
        """Put a document back in the queue (reread, password given); it answers as before meanwhile.

        Raises:
            NotFoundError: there is none.
        """
        with self._db.write() as session:
            row = leases.held(session, document_id, None)
            if row.status not in (DocumentStatus.QUEUED, DocumentStatus.PROCESSING):
                versions.enqueue(row, self._db.now(session))
            return to_document(row)

    def retry_failed(
        self, collection: Collection | None = None, *, tenant: str = DEFAULT_TENANT, ids: Sequence[str] | None = None
    ) -> list[Document]:
        """Queue again what failed, and what is ready but for quarantined pages; those pages start afresh.

        Args:
            collection: only this one; else all of ``tenant``.
            tenant: whose documents, where no collection is given.
            ids: only these.
        """
        quarantined = and_(LedgerRow.document_id == DocumentRow.id, LedgerRow.state == PageState.QUARANTINED)
        query = select(DocumentRow).where(
            *queries.in_scope(tenant, collection),
            DocumentRow.deleted_at.is_(None),
            ~versions.replaced(),
            or_(
                DocumentRow.status == DocumentStatus.FAILED,
                and_(DocumentRow.status.in_(READY), exists().where(quarantined)),
            ),
        )
        if ids is not None:
            query = query.where(DocumentRow.id.in_(ids))
        with self._db.write() as session:
            now = self._db.now(session)
            rows = list(session.scalars(query.order_by(DocumentRow.queued_at).with_for_update(of=DocumentRow)))
            for row in rows:
                versions.start_afresh(session, row)
                versions.enqueue(row, now)
            session.flush()
            session.expire_all()
            return [to_document(row) for row in rows]

    # Deleting

    def tombstone(self, document_id: str) -> list[str]:
        """Hide a document, and the versions that it replaced, from now on: they are to leave every store.

        Returns:
            Their ids, the document's own last. A second call changes nothing.

        Raises:
            NotFoundError: there is no such document.
        """
        with self._db.write() as session:
            row = session.get(DocumentRow, document_id, with_for_update={"of": DocumentRow})
            if row is None:
                raise NotFoundError(f"Document {document_id} has been deleted meanwhile")
            rows = [*versions.replaced_by(session, row), row]
            for one in rows:
                versions.bury(one, self._db.now(session))
            return [one.id for one in rows]

    def tombstones(self) -> list[str]:
        """Ids whose delete has begun and not ended."""
        query = select(DocumentRow.id).where(DocumentRow.deleted_at.is_not(None)).order_by(DocumentRow.deleted_at)
        with self._db.read() as session:
            return list(session.scalars(query))

    def replaced(self) -> list[str]:
        """Ids of versions in whose place a newer one answers: they may leave the index (again)."""
        with self._db.read() as session:
            return list(session.scalars(select(DocumentRow.id).where(versions.replaced())))

    def stale(self, stage: str, fingerprint: str) -> list[str]:
        """Ids of answering documents that never went through a stage under this fingerprint.

        Settings or models have changed since they were read: :meth:`requeue` them.
        """
        with self._db.read() as session:
            return list(session.scalars(select(DocumentRow.id).where(queries.stale(stage, fingerprint))))

    def delete(self, document_id: str) -> int:
        """Remove a document with its ledger and warnings; the number of rows that left, 0 when there was none."""
        with self._db.write() as session:
            connection = session.connection()
            children = [
                connection.execute(delete(table).where(table.document_id == document_id)).rowcount
                for table in (LedgerRow, WarningRow)
            ]
            return sum(children) + connection.execute(delete(DocumentRow).where(DocumentRow.id == document_id)).rowcount

    # Counts

    def stats(self, collection: Collection | None = None, *, tenant: str | None = None) -> CatalogStats:
        """Counts for ``tuwen status``: of a collection, a tenant, or everything."""
        with self._db.read() as session:
            return queries.stats(session, queries.in_scope(tenant, collection))


def _locked(session: Session, collection: Collection) -> CollectionRow:
    """The collection's row, locked: adding and finishing in one collection take turns."""
    row = session.get(CollectionRow, collection.id, with_for_update=True)
    if row is None:
        raise NotFoundError(f"There is no collection {collection.name}")
    return row


def _checked_text(what: str, text: str) -> None:
    if not text or text != storable(text):
        raise InvalidRequestError(f"{what} {text!r}: must not be empty, and must be valid Unicode; rename it")
