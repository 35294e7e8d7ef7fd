"""Tables of the catalog. ``migrations/versions`` builds them; a test keeps the two equal."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which has no time zones, stores it without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC; a naive value is a bug of the caller."""
        if value is None:
            return None
        assert value.tzinfo is not None, "naive datetime"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Naming and types common to all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[type, TypeEngine[Any]]] = {str: Text(), datetime: UtcDateTime()}


class PageState(StrEnum):
    """State of one page at one stage."""

    DONE = "done"
    FAILED = "failed"
    """Failed, and will be tried again."""
    QUARANTINED = "quarantined"
    """Failed too often; left out until someone asks for a retry."""


class CollectionRow(Base):
    """A named set of documents of one tenant."""

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("tenant", "name"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime]


class DocumentRow(Base):
    """Immutable bytes at a path of a collection, and how far their reading has come."""

    __tablename__ = "documents"
    __table_args__ = (
        Index("ix_documents_listing", "collection_id", "created_at", "id"),
        Index("ix_documents_path", "collection_id", "path", "version"),
        Index("ix_documents_sha256", "collection_id", "sha256"),
        Index("ix_documents_queue", "status", "queued_at"),
        Index(
            "uq_documents_current",
            "collection_id",
            "path",
            unique=True,
            sqlite_where=text("is_current"),
            postgresql_where=text("is_current"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.id"))
    name: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    version: Mapped[int] = mapped_column(Integer)
    is_current: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether answers use it; at most one version of a path does."""
    status: Mapped[str] = mapped_column(String(24))
    pages: Mapped[int | None] = mapped_column(Integer)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    """Order of the queue: a document that is queued again goes to its end."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """How often it was leased since it was last queued by a person."""
    lease_owner: Mapped[str | None] = mapped_column(Text)
    lease_expires_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """Tombstone: hidden from now on, to be removed from every store."""

    collection: Mapped[CollectionRow] = relationship(lazy="joined", innerjoin=True)
    warnings: Mapped[list[WarningRow]] = relationship(
        lazy="selectin", order_by="WarningRow.page, WarningRow.code", viewonly=True
    )


class LedgerRow(Base):
    """One page at one stage under one fingerprint (DESIGN section 5); page 0 stands for the whole document."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ix_ledger_status", "stage", "state"),)

    document_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    page: Mapped[int] = mapped_column(Integer, primary_key=True)
    stage: Mapped[str] = mapped_column(String(32), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    artefact: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    error_message: Mapped[str | None] = mapped_column(Text)
    seconds: Mapped[float | None] = mapped_column(Float)
    updated_at: Mapped[datetime]


class WarningRow(Base):
    """Something a reader of the document should know about one page."""

    __tablename__ = "page_warnings"

    document_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    page: Mapped[int] = mapped_column(Integer, primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    message: Mapped[str]
