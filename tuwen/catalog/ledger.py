"""The ledger: which page has been through which stage under which fingerprint (DESIGN section 5).

Every write is idempotent and takes many pages in one transaction. Writing for a document that was deleted
meanwhile raises :class:`~tuwen.errors.NotFoundError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, Select, case, delete, select

from tuwen.catalog.database import Database
from tuwen.catalog.models import LedgerRow, PageState
from tuwen.catalog.records import LedgerEntry, storable, to_problem
from tuwen.types import Problem

_BATCH = 5000
_CLOSED = (PageState.DONE, PageState.QUARANTINED)


class Ledger:
    """Progress of pages; page 0 stands for the document as a whole."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def state(self, document_id: str, stage: str, fingerprint: str) -> dict[int, LedgerEntry]:
        """All entries of a document at a stage, by page."""
        with self._db.read() as session:
            rows = session.scalars(select(LedgerRow).where(*_where(document_id, stage, fingerprint)))
            return {row.page: _entry(row) for row in rows}

    def done_pages(self, document_id: str, stage: str, fingerprint: str) -> set[int]:
        """Pages that are through."""
        return self._pages(document_id, stage, fingerprint, (PageState.DONE,))

    def closed_pages(self, document_id: str, stage: str, fingerprint: str) -> set[int]:
        """Pages that are through or quarantined: nothing is left to do for them."""
        return self._pages(document_id, stage, fingerprint, _CLOSED)

    def done(
        self,
        document_id: str,
        pages: int | Sequence[int],
        stage: str,
        fingerprint: str,
        artefact: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Record that one or many pages are through.

        Args:
            document_id: whose pages.
            pages: numbers, in one transaction.
            stage: name of the stage.
            fingerprint: what the result depends on.
            artefact: blob key of the result, where there is one.
            seconds: time spent on each page.

        Raises:
            NotFoundError: the document is gone.
        """
        statement = self._db.insert(LedgerRow)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=list(LedgerRow.__table__.primary_key),
            set_={
                "state": PageState.DONE,
                "attempts": LedgerRow.attempts + 1,
                "artefact": new.artefact,
                "error_code": None,
                "error_message": None,
                "seconds": new.seconds,
                "updated_at": new.updated_at,
            },
        )
        with self._db.write() as session:
            now = self._db.now(session)
            for chunk in _chunks([pages] if isinstance(pages, int) else pages):
                rows = [
                    _row(document_id, page, stage, fingerprint, PageState.DONE, 1, now)
                    | {"artefact": artefact, "seconds": seconds}
                    for page in chunk
                ]
                session.connection().execute(statement, rows)

    def failed(
        self, document_id: str, page: int, stage: str, fingerprint: str, problem: Problem, max_attempts: int
    ) -> bool:
        """Record a failure; True when the page has now failed ``max_attempts`` times and is quarantined.

        Raises:
            NotFoundError: the document is gone.
        """
        error = {"error_code": storable(problem.code), "error_message": storable(problem.message)}
        first = PageState.QUARANTINED if max_attempts <= 1 else PageState.FAILED
        with self._db.write() as session:
            now = self._db.now(session)
            statement = self._db.insert(LedgerRow).values(
                _row(document_id, page, stage, fingerprint, first, 1, now) | error
            )
            attempts = LedgerRow.attempts + 1
            statement = statement.on_conflict_do_update(
                index_elements=list(LedgerRow.__table__.primary_key),
                set_=error
                | {
                    "state": case((attempts >= max_attempts, PageState.QUARANTINED), else_=PageState.FAILED),
                    "attempts": attempts,
                    "artefact": None,
                    "updated_at": now,
                },
            ).returning(LedgerRow.state)
            state: str = session.scalars(statement).one()
            return state == PageState.QUARANTINED

    def forget(
        self,
        document_id: str,
        stages: Sequence[str] | None = None,
        pages: Sequence[int] | None = None,
        *,
        except_fingerprints: Sequence[str] = (),
    ) -> int:
        """Remove entries so that the work is done again (reread); the number removed.

        Args:
            document_id: whose entries.
            stages: only these; None for all.
            pages: only these (0 is the document as a whole); None for all.
            except_fingerprints: not those under one of these.
        """
        conditions = [LedgerRow.document_id == document_id, LedgerRow.fingerprint.not_in(except_fingerprints)]
        if stages is not None:
            conditions.append(LedgerRow.stage.in_(stages))
        if pages is not None:
            conditions.append(LedgerRow.page.in_(pages))
        with self._db.write() as session:
            return session.connection().execute(delete(LedgerRow).where(*conditions)).rowcount

    def _pages(self, document_id: str, stage: str, fingerprint: str, states: Sequence[PageState]) -> set[int]:
        query: Select[int] = select(LedgerRow.page).where(
            *_where(document_id, stage, fingerprint), LedgerRow.state.in_(states)
        )
        with self._db.read() as session:
            return set(session.scalars(query))


def _where(document_id: str, stage: str, fingerprint: str) -> tuple[ColumnElement[bool], ...]:
    return (LedgerRow.document_id == document_id, LedgerRow.stage == stage, LedgerRow.fingerprint == fingerprint)


def _row(
    document_id: str, page: int, stage: str, fingerprint: str, state: PageState, attempts: int, now: datetime
) -> dict[str, object]:
    return {
        "document_id": document_id,
        "page": page,
        "stage": stage,
        "fingerprint": fingerprint,
        "state": state,
        "attempts": attempts,
        "updated_at": now,
    }


def _entry(row: LedgerRow) -> LedgerEntry:
    return LedgerEntry(
        page=row.page,
        state=PageState(row.state),
        attempts=row.attempts,
        artefact=row.artefact,
        error=to_problem(row.error_code, row.error_message),
        seconds=row.seconds,
        updated_at=row.updated_at,
    )


def _chunks(pages: Iterable[int]) -> Iterator[list[int]]:
    iterator = iter(pages)
    while chunk := list(islice(iterator, _BATCH)):
        yield chunk
