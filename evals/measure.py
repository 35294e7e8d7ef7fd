"""Runs a dataset through the engine and scores what comes back, item by item."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evals import metrics
from evals.dataset import Dataset, OcrItem, PageRef, Query
from evals.results import AnswerResult, OcrResult, RetrievalResult
from tuwen.engine import Tuwen
from tuwen.jobs import OnEvent
from tuwen.types import Answer, Citation, DocumentStatus, PageRecord

_MARKER = re.compile(r"\s*\[\d+\]")
Place = tuple[str, int]
"""Document id and page."""


class Corpus(NamedTuple):
    """A dataset's documents as the engine knows them."""

    ids: Mapping[str, str]
    """Document id by file; files with the same bytes share one."""
    failed: tuple[str, ...]
    """Files that could not be taken in, each with its reason."""

    def places(self, pages: Sequence[PageRef]) -> set[Place]:
        """Relevant pages as the engine names them; those of failed files stay, and can never be found."""
        return {(self.ids.get(ref.file, f"missing:{ref.file}"), ref.page) for ref in pages}


def ingest(engine: Tuwen, dataset: Dataset, files: Sequence[str], on_event: OnEvent) -> Corpus:
    """Take in ``files`` of the dataset; those that the engine has already are not read again."""
    documents = dataset.folder / "documents"
    whole = len(files) == len(dataset.files)
    report = engine.ingest([documents] if whole else [documents / file for file in files], on_event=on_event)
    names = {file: file for file in files} | {Path(file).name: file for file in files}
    ids = {names[d.path]: d.duplicate_of or d.document_id for d in report.documents if d.path in names}
    failed = [
        f"{d.path}: {d.error.code if d.error else d.status}"
        for d in report.documents
        if d.status in (DocumentStatus.FAILED, DocumentStatus.CANCELLED)
    ]
    failed += [f"{s.path}: {s.code}" for s in report.skipped]
    return Corpus(ids, tuple(failed))


def measure_ocr(engine: Tuwen, corpus: Corpus, item: OcrItem) -> OcrResult:
    """Score the text read from one page; a file that failed reads as empty."""
    document = corpus.ids.get(item.file)
    readable = document is not None and not any(text.startswith(f"{item.file}: ") for text in corpus.failed)
    text = engine.page(document, item.page).text if readable and document is not None else ""
    common = {"file": item.file, "page": item.page, "tags": item.tags, "characters": len(metrics.fold(item.text))}
    if item.match == "contains" and item.text:
        return OcrResult(**common, contained=float(metrics.contains(item.text, text)))
    accuracy, f1 = metrics.character_accuracy(item.text, text), metrics.character_f1(item.text, text)
    return OcrResult(**common, accuracy=accuracy, f1=f1)


_NO_QUESTION = Answer(question="", answer="", refused=True)
"""Sets as published hold blank questions; they count, as misses."""


def measure_retrieval(engine: Tuwen, corpus: Corpus, query: Query) -> RetrievalResult:
    """Score the first ten pages for one answerable question."""
    began = time.perf_counter()
    hits = engine.search(query.question, top_k=10).hits if query.question.strip() else ()
    elapsed = (time.perf_counter() - began) * 1000
    ranked: list[Place] = [(hit.document_id, hit.page) for hit in hits]
    relevant = corpus.places(query.relevant)
    return RetrievalResult(
        id=query.id,
        tags=query.tags,
        rank=next((rank for rank, place in enumerate(ranked, 1) if place in relevant), None),
        hit_1=metrics.hit_at(1, ranked, relevant),
        hit_5=metrics.hit_at(5, ranked, relevant),
        recall_1=metrics.recall_at(1, ranked, relevant),
        recall_5=metrics.recall_at(5, ranked, relevant),
        recall_10=metrics.recall_at(10, ranked, relevant),
        mrr_10=metrics.reciprocal_rank(ranked, relevant),
        ndcg_10=metrics.ndcg(ranked, relevant),
        ms=elapsed,
    )


def measure_answer(engine: Tuwen, corpus: Corpus, query: Query) -> AnswerResult:
    """Ask one question; score the answer, its citations, and whether it was refused."""
    began = time.perf_counter()
    answer = engine.ask(query.question) if query.question.strip() else _NO_QUESTION
    elapsed = (time.perf_counter() - began) * 1000
    words = "" if answer.refused else plain(answer)
    scored = query.answerable and bool(query.answers)
    pointed = query.answerable and not answer.refused
    score = metrics.citations([(c.document_id, c.page) for c in answer.citations], corpus.places(query.relevant))
    return AnswerResult(
        id=query.id,
        tags=query.tags,
        answerable=query.answerable,
        refused=answer.refused,
        answer=answer.answer,
        containment=metrics.containment(query.answers, words) if scored else None,
        containment_simplified=metrics.containment(query.answers, words, simplified=True) if scored else None,
        em=metrics.cmrc_em(query.answers, words) if scored else None,
        f1=metrics.cmrc_f1(query.answers, words) if scored else None,
        length=len(words),
        citations=len(answer.citations),
        citation_precision=score.precision if pointed else None,
        citation_recall=score.recall if pointed else None,
        citations_resolved=sum(resolves(c, engine.page(c.document_id, c.page)) for c in answer.citations),
        retrieve_ms=answer.timings.retrieve_ms,
        answer_ms=answer.timings.answer_ms,
        ms=elapsed,
    )


def plain(answer: Answer) -> str:
    """The answer without its citation markers."""
    return _MARKER.sub("", answer.answer).strip()


def resolves(citation: Citation, record: PageRecord) -> bool:
    """Whether the words whose middle lies in the citation's boxes hold its quote.

    Done from the page's words alone, so that it checks grounding instead of repeating it.
    """
    if not citation.boxes or not metrics.fold(citation.quote):
        return False
    inside = "".join(
        word.text for word in record.words if any(box.contains_point(*word.box.center) for box in citation.boxes)
    )
    return metrics.contains(citation.quote, inside)
