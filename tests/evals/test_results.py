"""Summaries by tag, and the comparison of two runs."""

from typing import Any

import pytest

from evals.results import (
    AnswerResult,
    Change,
    OcrResult,
    Report,
    RetrievalResult,
    by_tag,
    changes,
    summarise_answers,
    summarise_ocr,
    summarise_retrieval,
)


def ranked(name: str, rank: int | None, *tags: str) -> RetrievalResult:
    found = float(rank == 1)
    return RetrievalResult(
        id=name,
        tags=tags,
        rank=rank,
        hit_1=found,
        hit_5=found,
        recall_1=found,
        recall_5=found,
        recall_10=found,
        mrr_10=found,
        ndcg_10=found,
        ms=5,
    )


def answered(name: str, **fields: Any) -> AnswerResult:
    defaults: dict[str, Any] = {
        "answerable": True, "refused": False, "answer": "", "length": 10, "citations": 1, "citations_resolved": 1,
        "containment": 1.0, "retrieve_ms": 1, "answer_ms": 1, "ms": 2,
    }  # fmt: skip
    return AnswerResult(id=name, **{**defaults, **fields})


def report(**parts: Any) -> Report:
    return Report(
        dataset="d", created_at="2026-11-01T00:00:00+00:00", tuwen_version="0", preset="p", settings={}, command="c",
        ingest_s=1, documents=1, **parts,
    )  # fmt: skip


def test_each_tag_has_its_own_summary() -> None:
    items = [ranked("a", 1, "scan"), ranked("b", None, "scan"), ranked("c", 1, "born-digital")]
    summary = by_tag(items, summarise_retrieval)
    assert list(summary) == ["all", "born-digital", "scan"]
    assert summary["all"]["recall@1"].mean == pytest.approx(2 / 3)
    assert summary["scan"]["recall@1"].mean == 0.5
    assert summary["scan"]["recall@1"].n == 2
    assert by_tag([], summarise_retrieval) == {}


def test_micro_accuracy_weighs_pages_by_their_characters() -> None:
    pages = [
        OcrResult(file="a", page=1, accuracy=1.0, f1=1.0, characters=300),
        OcrResult(file="a", page=2, accuracy=0.5, f1=0.5, characters=100),
        OcrResult(file="b", page=1, contained=1.0, characters=5),
    ]
    summary = summarise_ocr(pages)
    assert summary["character_accuracy"].mean == 0.75
    assert summary["character_accuracy_micro"].mean == pytest.approx(350 / 400)
    assert summary["contained"].n == 1


def test_answers_are_summarised_over_the_questions_that_each_metric_is_about() -> None:
    items = [
        answered("right", length=20, citations=2, citations_resolved=2, citation_recall=1.0),
        answered("wrong", containment=0.0, length=40, citations_resolved=0, citation_recall=0.0),
        answered("shy", refused=True, containment=0.0, citations=0, citations_resolved=0),
        answered("good refusal", answerable=False, refused=True, containment=None, citations=0, citations_resolved=0),
        answered("bad answer", answerable=False, containment=None, length=900),
    ]
    summary = summarise_answers(items)
    assert summary["containment"].mean == pytest.approx(1 / 3)
    assert summary["refusal_accuracy"].mean == 0.5
    assert summary["false_refusals"].mean == pytest.approx(1 / 3)
    assert summary["answer_length"].mean == 30
    assert summary["citations_resolved"].mean == pytest.approx(3 / 4)
    assert summary["citation_recall"].mean == 0.5


def test_changes_name_the_questions_whose_outcome_is_another() -> None:
    before = report(
        retrieval_items=(ranked("a", 1), ranked("b", None)),
        answer_items=(answered("a"), answered("b", refused=True), answered("u", answerable=False, refused=True)),
    )
    after = report(
        retrieval_items=(ranked("a", 1), ranked("b", 3), ranked("new", 1)),
        answer_items=(answered("a", containment=0.0), answered("b"), answered("u", answerable=False)),
    )
    assert changes(before, after) == [
        Change(id="b", what="rank", before="> 10", after="3"),
        Change(id="a", what="answer", before="right", after="wrong"),
        Change(id="b", what="answer", before="refused", after="right"),
        Change(id="u", what="answer", before="refused", after="answered the unanswerable"),
    ]
    assert changes(after, after) == []


def test_a_report_survives_its_json() -> None:
    written = report(retrieval_items=(ranked("a", 1),), retrieval=by_tag([ranked("a", 1)], summarise_retrieval))
    assert Report.model_validate_json(written.model_dump_json()) == written
