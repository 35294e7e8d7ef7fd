"""The checks that the runner makes by itself, and a whole run over a small dataset with the real engine."""

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pymupdf
import pytest
from rich.console import Console

from evals import measure, near_topic, render, run
from evals.dataset import PageRef
from evals.results import Report
from retrieval.base import PointPayload, Scored, VectorQuery
from tuwen.errors import InvalidRequestError
from tuwen.settings import load_settings
from tuwen.types import Answer, Box, Citation, HitKind, PageRecord, Word

PAGE = PageRecord(
    page=1,
    width=100,
    height=100,
    words=tuple(Word(text=c, box=Box(0.1 * n, 0.1, 0.1 * n + 0.1, 0.2)) for n, c in enumerate("年假为十天。")),
)


def citation(quote: str, *boxes: Box) -> Citation:
    return Citation(marker=1, document_id="d", document_name="d.pdf", page=1, quote=quote, boxes=boxes, verified=True)


@pytest.mark.parametrize(
    ("quote", "boxes", "holds"),
    [
        ("年假为十天", (Box(0, 0.1, 0.5, 0.2),), True),
        ("年假 为十天", (Box(0, 0.1, 0.3, 0.2), Box(0.3, 0.1, 0.5, 0.2)), True),
        ("年假为十天", (Box(0, 0.1, 0.3, 0.2),), False),  # the box is too short
        ("年假为七天", (Box(0, 0.1, 0.5, 0.2),), False),  # the page says otherwise
        ("年假为十天", (Box(0, 0.5, 0.5, 0.6),), False),  # the box is elsewhere
        ("年假为十天", (), False),
        (" ", (Box(0, 0, 1, 1),), False),
    ],
)
def test_a_citation_resolves_only_when_the_words_in_its_boxes_hold_the_quote(
    quote: str, boxes: tuple[Box, ...], holds: bool
) -> None:
    assert measure.resolves(citation(quote, *boxes), PAGE) is holds


def test_markers_are_no_part_of_an_answer() -> None:
    assert (
        measure.plain(Answer(question="?", answer="年假为十天。[1] 婚假为 13 天。 [12]"))
        == "年假为十天。 婚假为 13 天。"
    )


def test_pages_of_files_that_failed_stay_relevant_and_are_never_found() -> None:
    corpus = measure.Corpus({"a.pdf": "id-a"}, ())
    assert corpus.places([PageRef(file="a.pdf", page=2), PageRef(file="b.pdf", page=1)]) == {
        ("id-a", 2),
        ("missing:b.pdf", 1),
    }


def test_the_sample_is_the_same_every_time_and_keeps_the_order() -> None:
    items = list(range(100))
    picked = run.chosen(items, None, 10)
    assert picked == run.chosen(items, None, 10)
    assert picked == sorted(picked)
    assert picked != items[:10]
    assert run.chosen(items, 3, None) == [0, 1, 2]
    assert run.chosen(items, None, 1000) == items


@pytest.fixture
def small_dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "documents").mkdir(parents=True)
    pages = {
        "leave.pdf": "第一章 年休假\n员工每年享受带薪年休假十天。\n年休假由部门经理批准。",
        "travel.pdf": "第二章 差旅\n出差住宿标准为每晚四百五十元。\n报销应在三十日内提交。",
    }
    for name, text in pages.items():
        with pymupdf.open() as document:
            document.new_page().insert_text((72, 90), text.split("\n"), fontname="china-s", fontsize=12)
            document.save(folder / "documents" / name)
    gold = [
        ("q1", "带薪年休假有几天？", "十天", "leave.pdf"),
        ("q2", "出差住宿标准是多少？", "四百五十元", "travel.pdf"),
    ]
    queries: list[dict[str, object]] = [
        {"id": name, "question": question, "answers": [answer], "relevant": [{"file": file, "page": 1}]}
        for name, question, answer, file in gold
    ]
    queries.append({"id": "u1", "question": "火星探测器的质量是多少？", "answerable": False})
    ocr = [{"file": name, "page": 1, "text": text} for name, text in pages.items()]
    ocr.append({"file": "leave.pdf", "page": 1, "text": "部门经理", "match": "contains"})
    for name, records in (("queries.jsonl", queries), ("ocr.jsonl", ocr)):
        (folder / name).write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in records), "utf-8")
    return folder


def test_a_whole_run_and_a_second_one_that_reads_nothing_again(small_dataset: Path, tmp_path: Path) -> None:
    command = [str(small_dataset), "--home", str(tmp_path / "home")]
    quiet = Console(quiet=True)
    report = run.run(run.parse_args(command), load_settings(environ={}), quiet)
    assert report.failed_documents == ()
    assert report.ocr["all"]["character_accuracy"].mean == 1.0
    assert report.ocr["all"]["contained"].mean == 1.0
    assert report.retrieval["all"]["recall@1"].mean == 1.0
    assert report.answers["all"]["citations_resolved"].mean == 1.0
    assert [item.id for item in report.answer_items] == ["q1", "q2", "u1"]

    again = run.run(run.parse_args([*command, "--only", "ocr"]), load_settings(environ={}), quiet)
    assert again.ocr == report.ocr
    assert again.retrieval == again.answers == {}
    assert again.ingest_s < report.ingest_s / 2

    outcomes = near_topic.measure_set(small_dataset, load_settings(environ={}), tmp_path / "home", 1)
    assert [(one.id, one.hidden, one.right) for one in outcomes] in (
        [("q1", True, False), ("q2", False, True)],
        [("q1", False, True), ("q2", True, False)],
    )
    summary = near_topic.summarise(outcomes)
    assert (summary.contained.mean, summary.false_refusals.mean, summary.held.n) == (1.0, 0.0, 1)


def test_the_table_shows_differences(capsys: pytest.CaptureFixture[str]) -> None:
    def report(mean: float) -> Report:
        summary = {"all": {"recall@1": {"mean": mean, "low": 0.1, "high": 0.9, "n": 3}}}
        fields = {"dataset": "d", "created_at": "", "tuwen_version": "0", "preset": "p", "settings": {}, "command": ""}
        return Report.model_validate({**fields, "ingest_s": 1, "documents": 1, "retrieval": summary})

    render.print_report(report(0.75), report(0.5), render.wide_console())
    assert "0.7500 [0.1000, 0.9000] (+0.2500)" in capsys.readouterr().out


class _Points:
    """An index that finds what it is told to."""

    def __init__(self, *pages: tuple[int, ...]) -> None:
        self._points = [
            Scored(
                uuid4(),
                1.0,
                PointPayload(
                    tenant="t",
                    collection="c",
                    document_id="d",
                    page=found[0],
                    pages=found,
                    kind=HitKind.TEXT,
                    ordinal=0,
                ),
            )
            for found in pages
        ]

    def query(self, queries: Sequence[VectorQuery]) -> list[list[Scored]]:
        return [self._points[: query.limit] for query in queries]


def test_hidden_pages_leave_room_for_others() -> None:
    index = near_topic.WithoutPages(_Points((1,), (1, 2), (2,), (3,), (4,)), {("d", 1)})
    (found,) = index.query([VectorQuery("dense", np.zeros(1, np.float32), 3)])
    assert [point.payload.pages for point in found] == [(2,), (2,), (3,)]


def test_an_answer_from_another_page_counts_as_held() -> None:
    def outcome(*, hidden: bool, refused: bool, right: bool) -> near_topic.Outcome:
        return near_topic.Outcome(id="q", question="", hidden=hidden, refused=refused, right=right, answer="")

    summary = near_topic.summarise(
        [
            outcome(hidden=True, refused=True, right=False),
            outcome(hidden=True, refused=False, right=True),
            outcome(hidden=True, refused=False, right=False),
            outcome(hidden=False, refused=True, right=False),
            outcome(hidden=False, refused=False, right=True),
        ]
    )
    assert summary.held.mean == pytest.approx(2 / 3)
    assert summary.refused.mean == pytest.approx(1 / 3)
    assert (summary.false_refusals.mean, summary.contained.mean) == (0.5, 0.5)


def test_an_earlier_report_that_is_none_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    with pytest.raises(InvalidRequestError, match=r"bad\.json: not a report"):
        run._earlier(bad)
