"""What an evaluation run produces: one record an item, summaries, and the comparison with an earlier run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from evals.metrics import bootstrap, percentile


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OcrResult(_Record):
    """One page of an OCR set."""

    file: str
    page: int
    tags: tuple[str, ...] = ()
    accuracy: float | None = None
    """Not given for ``match: contains``."""
    f1: float | None = None
    contained: float | None = None
    """Only for ``match: contains``."""
    characters: int
    """Of the folded reference."""


class RetrievalResult(_Record):
    """One question's ranking."""

    id: str
    tags: tuple[str, ...] = ()
    rank: int | None
    """Of the first relevant page; None when it is not among the first ten."""
    hit_1: float
    hit_5: float
    recall_1: float
    recall_5: float
    recall_10: float
    mrr_10: float
    ndcg_10: float
    ms: float


class AnswerResult(_Record):
    """One question's answer."""

    id: str
    tags: tuple[str, ...] = ()
    answerable: bool
    refused: bool
    answer: str
    containment: float | None = None
    containment_simplified: float | None = None
    em: float | None = None
    f1: float | None = None
    """The four are over all answerable questions; a refusal scores 0."""
    length: int
    """Characters of the answer, markers left out."""
    citations: int
    citation_precision: float | None = None
    citation_recall: float | None = None
    """Over answered answerable questions."""
    citations_resolved: int
    """Citations whose boxes hold their quote, checked from the page's words."""
    retrieve_ms: float
    answer_ms: float
    ms: float


class Value(_Record):
    """One summarised metric."""

    mean: float | None
    low: float | None = None
    high: float | None = None
    n: int


Summary = dict[str, dict[str, Value]]
"""By tag (``all`` first), then by metric."""


class Report(_Record):
    """The JSON of one run."""

    dataset: str
    created_at: str
    tuwen_version: str
    preset: str
    settings: dict[str, object]
    command: str
    ingest_s: float
    documents: int
    failed_documents: tuple[str, ...] = ()
    ocr: Summary = {}
    retrieval: Summary = {}
    answers: Summary = {}
    ocr_items: tuple[OcrResult, ...] = ()
    retrieval_items: tuple[RetrievalResult, ...] = ()
    answer_items: tuple[AnswerResult, ...] = ()


_T = TypeVar("_T", OcrResult, RetrievalResult, AnswerResult)


def value(values: Iterable[float | None]) -> Value:
    """Mean and bootstrap interval of the values that are there."""
    interval = bootstrap([v for v in values if v is not None])
    if not interval.n:
        return Value(mean=None, n=0)
    return Value(mean=interval.mean, low=interval.low, high=interval.high, n=interval.n)


def _point(number: float, n: int) -> Value:
    return Value(mean=None if math.isnan(number) else number, n=n)


def by_tag(items: Sequence[_T], summarise: Callable[[Sequence[_T]], dict[str, Value]]) -> Summary:
    """Summaries of all items and of each tag's."""
    if not items:
        return {}
    tags = sorted({tag for item in items for tag in item.tags})
    parts = {"all": items, **{tag: [item for item in items if tag in item.tags] for tag in tags}}
    return {tag: summarise(part) for tag, part in parts.items()}


def summarise_ocr(items: Sequence[OcrResult]) -> dict[str, Value]:
    """Means over pages, and the accuracy over all characters together (micro)."""
    whole = [item for item in items if item.accuracy is not None]
    total = sum(item.characters for item in whole)
    micro = sum((item.accuracy or 0.0) * item.characters for item in whole) / total if total else math.nan
    return {
        "character_accuracy": value(item.accuracy for item in items),
        "character_accuracy_micro": _point(micro, len(whole)),
        "character_f1": value(item.f1 for item in items),
        "contained": value(item.contained for item in items),
    }


def summarise_retrieval(items: Sequence[RetrievalResult]) -> dict[str, Value]:
    """Means over questions, and timings."""
    times = [item.ms for item in items]
    return {
        "hit@1": value(item.hit_1 for item in items),
        "hit@5": value(item.hit_5 for item in items),
        "recall@1": value(item.recall_1 for item in items),
        "recall@5": value(item.recall_5 for item in items),
        "recall@10": value(item.recall_10 for item in items),
        "mrr@10": value(item.mrr_10 for item in items),
        "ndcg@10": value(item.ndcg_10 for item in items),
        "search_ms_p50": _point(percentile(times, 50), len(times)),
        "search_ms_p95": _point(percentile(times, 95), len(times)),
    }


def summarise_answers(items: Sequence[AnswerResult]) -> dict[str, Value]:
    """Means over questions, and timings."""
    answered = [item for item in items if not item.refused]
    cited = sum(item.citations for item in answered)
    resolved = sum(item.citations_resolved for item in answered)
    times = [item.ms for item in items]
    return {
        "containment": value(item.containment for item in items),
        "containment_simplified": value(item.containment_simplified for item in items),
        "em": value(item.em for item in items),
        "f1": value(item.f1 for item in items),
        "refusal_accuracy": value(float(item.refused) for item in items if not item.answerable),
        "false_refusals": value(float(item.refused) for item in items if item.answerable),
        "answer_length": value(float(item.length) for item in answered if item.answerable),
        "citation_precision": value(item.citation_precision for item in items),
        "citation_recall": value(item.citation_recall for item in items),
        "citations_resolved": _point(resolved / cited if cited else math.nan, cited),
        "answers_without_citation": value(float(item.citations == 0) for item in answered),
        "ask_ms_p50": _point(percentile(times, 50), len(times)),
        "ask_ms_p95": _point(percentile(times, 95), len(times)),
    }


class Change(_Record):
    """A question whose outcome is another than in the earlier run."""

    id: str
    what: str
    before: str
    after: str


def changes(before: Report, after: Report) -> list[Change]:
    """Questions that changed: rank of the first relevant page, refused or not, gold in the answer or not."""
    ranks = {item.id: item.rank for item in before.retrieval_items}
    found = [
        Change(id=item.id, what="rank", before=_text(ranks[item.id]), after=_text(item.rank))
        for item in after.retrieval_items
        if item.id in ranks and ranks[item.id] != item.rank
    ]
    answers = {item.id: item for item in before.answer_items}
    for answered in after.answer_items:
        earlier = answers.get(answered.id)
        if earlier is not None and _outcome(earlier) != _outcome(answered):
            found.append(Change(id=answered.id, what="answer", before=_outcome(earlier), after=_outcome(answered)))
    return found


def _text(rank: int | None) -> str:
    return "> 10" if rank is None else str(rank)


def _outcome(item: AnswerResult) -> str:
    if item.refused:
        return "refused"
    if not item.answerable:
        return "answered the unanswerable"
    return "right" if item.containment else "wrong"
