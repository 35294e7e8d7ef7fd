"""Looking things up: from a question to hits and evidence, with the records that they come from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

from retrieval.base import Candidate, Evidence, Filter, PageCandidate, RerankInput
from retrieval.matching import matched_boxes
from retrieval.search import SearchQuery, SecondStage, search
from tuwen.errors import IndexStaleError, NotFoundError
from tuwen.jobs import Stage
from tuwen.parts import TENANT, Parts
from tuwen.types import Box, Document, DocumentStatus, Hit, HitKind, PageRecord, Passage
from tuwen.views import hit_text


class PageImage(NamedTuple):
    """A stored page image."""

    jpeg: bytes
    record: PageRecord


def check_page(document: Document, page: int) -> None:
    """Raises NotFoundError where the document has no such page."""
    if not document.pages or not 1 <= page <= document.pages:
        raise NotFoundError(f"{document.name} has {document.pages or 0} pages; there is no page {page}.")


class Lookup:
    """Reads what the stages of ingestion left behind; keeps the records that it read last."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def find(self, query: SearchQuery) -> list[PageCandidate]:
        """The pages that match best, best first; of a document that was deleted meanwhile, none."""
        parts = self._parts
        settings = parts.settings.search
        second = SecondStage(parts.reranker, self._rerank_input, settings.reranker.pages)
        found = search(query, parts.encoders, parts.index, settings, second)
        ids = list({page.document_id for page in found})
        alive = {document.document_id for document in parts.catalog.documents(tenant=TENANT, ids=ids).documents}
        return [page for page in found if page.document_id in alive]

    def where(self, collection: str) -> Filter:
        """The condition that a document of ``collection`` may answer.

        Raises:
            NotFoundError: no such collection.
            IndexStaleError: nothing of what is stored is in this index.
        """
        catalog = self._parts.catalog
        found = catalog.collection(TENANT, collection, create=collection == "default")
        if self._never_indexed():
            raise IndexStaleError(
                "The documents are not in this index: settings or models have changed, or the index was moved away. "
                "Run `tuwen ingest` once more, on any path: it indexes all of them again."
            )
        hidden = catalog.hidden(found).union(catalog.stale(Stage.INDEX, self._parts.fingerprints.encode))
        return Filter(tenant=TENANT, collection=found.name, exclude_documents=tuple(hidden))

    def hit(self, words: str, found: PageCandidate) -> Hit:
        """What to show of a page, with the boxes of what matched ``words``."""
        document = self._parts.catalog.document(found.document_id)
        record = self.record(found.document_id, found.page)
        kind, text = HitKind.IMAGE, ""
        boxes: tuple[Box, ...] = (Box(0, 0, 1, 1),)
        passages = self._passages(found)
        if passages:
            kind, text = passages[0].kind, hit_text(passages[0])
            boxes = matched_boxes(words, record, passages[0])
        return Hit(
            document_id=found.document_id,
            document_name=document.name,
            page=found.page,
            score=round(found.score, 6),
            kind=kind,
            text=text,
            boxes=boxes,
            verdict=record.verdict,
        )

    def evidence(self, found: PageCandidate) -> Evidence:
        """What an answer may rest on."""
        name = self._parts.catalog.document(found.document_id).name
        record = self.record(found.document_id, found.page)
        picture = partial(self._parts.artefacts.page_pixels, found.document_id, found.page)
        return Evidence(found.document_id, name, record, self._passages(found), found.score, found.scores, picture)

    def page(self, document_id: str, page: int) -> PageRecord:
        """What was read from a page. Raises NotFoundError."""
        document = self._parts.catalog.document(document_id)
        check_page(document, page)
        return self.record(document.document_id, page)

    def page_image(self, document_id: str, page: int) -> PageImage:
        """The picture of a page, and its record. Raises NotFoundError."""
        record = self.page(document_id, page)
        full_id = self._parts.catalog.document(document_id).document_id
        return PageImage(self._parts.artefacts.page_image(full_id, page), record)

    @cached_property
    def record(self) -> Callable[[str, int], PageRecord]:
        """The record of a page by full document id."""
        return lru_cache(maxsize=256)(self._parts.artefacts.page)

    @cached_property
    def _page_passages(self) -> Callable[[str, int], tuple[Passage, ...]]:
        return lru_cache(maxsize=512)(self._parts.artefacts.passages)

    def forget(self) -> None:
        """Drop the records that are kept: documents were read again, or are gone."""
        for kept in ("record", "_page_passages"):
            self.__dict__.pop(kept, None)

    def _passages(self, found: PageCandidate) -> tuple[Passage, ...]:
        return tuple(passage for one in found.passages if (passage := self._passage(one)) is not None)

    def _passage(self, found: Candidate) -> Passage | None:
        """None for one that is no longer there: the document was cut anew since its points were written."""
        cut = self._page_passages(found.document_id, found.start_page)
        return next((passage for passage in cut if passage.ordinal == found.ordinal), None)

    def _rerank_input(self, candidate: Candidate) -> RerankInput:
        """What a reranker reads: the passage, or the page where no passage matched; the picture of the page."""
        reads, document_id, page = self._parts.reranker.reads, candidate.document_id, candidate.page
        text, image = "", None
        if "text" in reads and candidate.kind is HitKind.IMAGE:
            text = self.record(document_id, page).text
        elif "text" in reads:
            passage = self._passage(candidate)
            text = passage.text if passage else ""
        if "image" in reads:
            image = self._parts.artefacts.page_pixels(document_id, page)
        return RerankInput(text, image)

    def _never_indexed(self) -> bool:
        """Whether there are documents, and none is in this index."""
        parts = self._parts
        stale = len(parts.catalog.stale(Stage.INDEX, parts.fingerprints.encode))
        stats = parts.catalog.stats(tenant=TENANT).documents
        ready = stats.get(DocumentStatus.READY, 0) + stats.get(DocumentStatus.READY_WITH_WARNINGS, 0)
        return ready > 0 and (ready <= stale or parts.index.count() == 0)
