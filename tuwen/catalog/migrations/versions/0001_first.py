"""The first schema: collections, documents, ledger, warnings."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Apply."""
    _collections()
    _documents()
    _ledger()


def _collections() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False, server_default=""),
        _time("created_at"),
        sa.UniqueConstraint("tenant", "name", name="uq_collections_tenant_name"),
    )


def _documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column(
            "collection_id",
            sa.Integer(),
            sa.ForeignKey("collections.id", name="fk_documents_collection_id"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("pages", sa.Integer()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        _time("created_at"),
        _time("queued_at"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        _time("lease_expires_at", nullable=True),
        _time("deleted_at", nullable=True),
    )
    op.create_index("ix_documents_listing", "documents", ["collection_id", "created_at", "id"])
    op.create_index("ix_documents_path", "documents", ["collection_id", "path", "version"])
    op.create_index("ix_documents_sha256", "documents", ["collection_id", "sha256"])
    op.create_index("ix_documents_queue", "documents", ["status", "queued_at"])
    op.create_index(
        "uq_documents_current",
        "documents",
        ["collection_id", "path"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("document_id", sa.String(36), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("artefact", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("seconds", sa.Float()),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("document_id", "page", "stage", "fingerprint", name="pk_ledger"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_ledger_document_id", ondelete="CASCADE"),
    )
    op.create_index("ix_ledger_status", "ledger", ["stage", "state"])
    op.create_table(
        "page_warnings",
        sa.Column("document_id", sa.String(36), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "page", "code", name="pk_page_warnings"),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name="fk_page_warnings_document_id", ondelete="CASCADE"
        ),
    )
