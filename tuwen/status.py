"""What is stored and in work, for ``tuwen status``."""

from __future__ import annotations

from pydantic import Field

from retrieval.index import index_owner
from tuwen import __version__
from tuwen.catalog import PageState
from tuwen.jobs import Stage
from tuwen.parts import TENANT, Parts
from tuwen.types import Document, DocumentStatus, Model

_PAGE_STAGES = (Stage.READ, Stage.TRANSCRIBE, Stage.ALIGN, Stage.ENCODE, Stage.INDEX)


class InWork(Model):
    """A document on its way through the stages."""

    document_id: str
    name: str
    pages: int | None = Field(description="None until it was opened")
    through: dict[str, int] = Field(description="pages that are through, by stage; those that were given up included")


class EngineStatus(Model):
    """Outcome of ``tuwen status``."""

    version: str
    preset: str
    home: str
    documents: dict[str, int] = Field(description="number by status")
    pages: int = Field(description="pages in the index")
    stages: dict[str, dict[str, int]] = Field(description="ledger entries by stage and state")
    warnings: dict[str, int] = Field(description="page warnings by code")
    in_work: tuple[InWork, ...] = Field(description="what workers hold now, or held when they were killed")
    deleting: int = Field(description="documents whose delete has begun and not ended")
    index_owner: str | None = Field(description="the process that holds the index, if any")


def status_of(parts: Parts) -> EngineStatus:
    """Looks at the catalog only, so that it works beside an ingest."""
    stats = parts.catalog.stats(tenant=TENANT)
    in_work = parts.catalog.documents(tenant=TENANT, status=DocumentStatus.PROCESSING).documents
    return EngineStatus(
        version=__version__,
        preset=parts.settings.preset,
        home=str(parts.home),
        documents=dict(stats.documents),
        pages=stats.pages.get(Stage.INDEX, {}).get(PageState.DONE, 0),
        stages={stage: dict(states) for stage, states in stats.pages.items()},
        warnings=dict(stats.warnings),
        in_work=tuple(_in_work(document, parts) for document in in_work),
        deleting=len(parts.catalog.tombstones()),
        index_owner=index_owner(parts.index_path),
    )


def _in_work(document: Document, parts: Parts) -> InWork:
    ledger, fingerprints = parts.catalog.ledger, parts.fingerprints
    through = {
        stage: len(ledger.closed_pages(document.document_id, stage, fingerprints.of(stage)))
        for stage in _PAGE_STAGES
        if fingerprints.of(stage)
    }
    return InWork(
        document_id=document.document_id,
        name=document.name,
        pages=document.pages,
        through={str(stage): number for stage, number in through.items()},
    )
