"""Pages that deceive or resist a reader (``evals/samples/hard``): what is read from them, and what is said."""

import json
from functools import cache
from pathlib import Path

import pytest

import evals.samples
from evals.metrics import character_accuracy
from evals.samples import hard_pages
from ingest.base import PageTask
from ingest.pipeline import read_page
from ingest.sniffing import sniff
from tuwen.settings import IngestSettings
from tuwen.types import BlockKind, Box, PageRecord, VerdictCode, fold_space

FOLDER = Path(evals.samples.__file__).parent / "hard"
TRUTH = {
    record["file"]: record
    for record in map(json.loads, (FOLDER / "truth.jsonl").read_text("utf-8").splitlines())
    if record["page"] == 1
}


@cache
def record(file: str) -> PageRecord:
    path = FOLDER / "documents" / file
    return read_page(PageTask(path, sniff(path), 1, None, IngestSettings())).record


@pytest.mark.parametrize(
    ("file", "codes", "accuracy"),
    [
        (hard_pages.GARBLED, (VerdictCode.GARBLED_TEXT_LAYER,), 0.98),
        (hard_pages.COVERED, (VerdictCode.HIDDEN_TEXT,), 1.0),
        (hard_pages.INJECTED, (VerdictCode.HIDDEN_TEXT,), 1.0),
        (hard_pages.SIDEWAYS, (), 0.98),
        (hard_pages.TWO_UP, (), 0.98),
    ],
)
def test_what_is_printed_is_read_in_order_and_doubts_are_said(file, codes, accuracy):
    read = record(file)
    assert read.verdict.codes == codes
    assert character_accuracy(TRUTH[file]["text"], read.text) >= accuracy


@pytest.mark.parametrize(
    ("file", "secret"), [(hard_pages.COVERED, hard_pages.HIDDEN_PRICE), (hard_pages.INJECTED, hard_pages.INJECTION)]
)
def test_hidden_words_are_nowhere_in_the_record(file, secret):
    read = record(file)
    words = "".join(word.text for word in read.words)
    for place in (words, read.text, read.markdown):
        assert fold_space(secret)[-8:] not in fold_space(place)
    assert "212" not in words
    assert "100" not in words


@pytest.mark.parametrize("file", [hard_pages.GARBLED, hard_pages.SIDEWAYS, hard_pages.TWO_UP])
def test_words_lie_where_they_are_printed(file):
    """At least 95 of 100 characters of a line lie within the line's true box, grown by half a character."""
    read = record(file)
    inside = total = 0
    for line in (line for block in TRUTH[file]["blocks"] for line in block["lines"]):
        box = Box(*line["box"])
        dx, dy = (min(box.width, box.height * read.height / read.width) / 2, min(box.height, box.width) / 2)
        grown = Box(box.x0 - dx, box.y0 - dy, box.x1 + dx, box.y1 + dy)
        found = "".join(word.text for word in read.words if grown.contains_point(*word.box.center))
        wanted = fold_space(line["text"])
        inside += sum(found.count(char) > 0 for char in wanted)
        total += len(wanted)
    assert inside >= 0.95 * total


def test_the_left_page_is_read_before_the_right_one():
    blocks = [block for block in record(hard_pages.TWO_UP).blocks if block.kind is not BlockKind.FOOTER]
    sides = [block.box.center[0] > 0.5 for block in blocks]
    assert sides == sorted(sides)
    assert 0.3 < sum(sides) / len(sides) < 0.7
    assert not any(block.box.x0 < 0.49 < 0.51 < block.box.x1 for block in blocks)


def test_the_table_of_the_sideways_scan_is_a_table():
    (table,) = (block for block in record(hard_pages.SIDEWAYS).blocks if block.kind is BlockKind.TABLE)
    rows = [fold_space(row) for row in table.text.split("\n")]
    assert rows[0] == "日期白班夜班值班地点"
    assert rows[3] == "10月3日苏未晞宋南乔动力站"
