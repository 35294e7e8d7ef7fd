"""Loading datasets: any part may be missing, and what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.dataset import load_dataset
from tuwen.errors import InvalidRequestError

QUERY = {"id": "q1", "question": "年假几天？", "answers": ["十天"], "relevant": [{"file": "a.pdf", "page": 2}]}
OCR = {"file": "a.pdf", "page": 1, "text": "年假"}


def dataset(folder: Path, queries: list[Any] | None = None, ocr: list[Any] | None = None) -> Path:
    (folder / "documents").mkdir()
    (folder / "documents" / "a.pdf").write_bytes(b"%PDF-1.7")
    for name, records in (("queries.jsonl", queries), ("ocr.jsonl", ocr)):
        if records is not None:
            lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
            (folder / name).write_text("\n".join(lines) + "\n\n")
    return folder


def test_reads_all_parts(tmp_path: Path) -> None:
    loaded = load_dataset(dataset(tmp_path, [QUERY | {"tags": ["scan"], "licence": "x"}], [OCR]))
    assert loaded.files == ("a.pdf",)
    assert loaded.document("a.pdf").read_bytes() == b"%PDF-1.7"
    assert loaded.queries[0].relevant[0].page == 2
    assert loaded.queries[0].tags == ("scan",)
    assert loaded.queries[0].answerable
    assert loaded.ocr[0].match == "full"


def test_only_a_newline_ends_a_record(tmp_path: Path) -> None:
    line = json.dumps(OCR | {"text": "年\u2028假\x85", "match": "full"}, ensure_ascii=False)
    assert load_dataset(dataset(tmp_path, ocr=[line])).ocr[0].text == "年\u2028假\x85"


@pytest.mark.parametrize("part", ["queries", "ocr"])
def test_a_part_may_be_missing(tmp_path: Path, part: str) -> None:
    given = {"queries": [QUERY]} if part == "queries" else {"ocr": [OCR]}
    loaded = load_dataset(dataset(tmp_path, **given))
    assert (len(loaded.queries), len(loaded.ocr)) == ((1, 0) if part == "queries" else (0, 1))


@pytest.mark.parametrize(
    ("queries", "ocr", "message"),
    [
        ([QUERY, "{not json"], None, r"queries\.jsonl:2: .*JSON"),
        ([QUERY | {"question": 7}], None, r"queries\.jsonl:1: question: "),
        ([QUERY | {"relevant": [{"file": "a.pdf", "page": 0}]}], None, r"queries\.jsonl:1: relevant\.0\.page: "),
        ([QUERY | {"relevant": [{"file": "b.pdf", "page": 1}]}], None, r"b\.pdf is not in documents/"),
        ([QUERY, QUERY], None, r"the id q1 stands twice"),
        ([QUERY | {"relevant": []}], None, r"q1 is answerable but names no relevant page"),
        (None, [OCR | {"match": "prefix"}], r"ocr\.jsonl:1: match: "),
        (None, None, r"neither ocr\.jsonl nor queries\.jsonl"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, queries: list[Any] | None, ocr: list[Any] | None, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        load_dataset(dataset(tmp_path, queries, ocr))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="no such dataset folder"):
        load_dataset(tmp_path / "nothing")
