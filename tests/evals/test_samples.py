"""The sample corpus and its ground truth: consistent with each other, and what the script still draws."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from PIL import Image

import evals.samples
from evals.dataset import load_dataset
from evals.samples import degrade, fonts, hard_pages, register, slides, truth
from evals.samples.common import Sample
from evals.samples.make import HARD, SETS
from tuwen.errors import UnavailableError
from tuwen.types import Box, fold_space

FOLDER = Path(evals.samples.__file__).parent
DOCUMENTS = FOLDER / "documents"
needs_fonts = pytest.mark.skipif(not fonts.available(), reason="fonts-noto-cjk is not installed")


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


TRUTH = records("truth.jsonl")
BORN_DIGITAL = [page for page in TRUTH if "born-digital" in page["tags"]]
EVIDENCE = [evidence for query in records("queries.jsonl") for evidence in query.get("evidence", ())]
DIGITAL_FILES = {page["file"] for page in BORN_DIGITAL}


@cache
def characters(file: str, page: int) -> tuple[tuple[str, Box], ...]:
    """What the text layer holds: characters with displayed boxes, by PyMuPDF."""
    with pymupdf.open(DOCUMENTS / file) as document:
        shown = document[page - 1]
        spans = [
            char
            for block in shown.get_text("rawdict")["blocks"]
            for line in block.get("lines", ())
            for span in line["spans"]
            for char in span["chars"]
        ]
        found = []
        for char in spans:
            box = pymupdf.Rect(char["bbox"]) * shown.rotation_matrix
            width, height = shown.rect.width, shown.rect.height
            found.append((char["c"], Box(box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height)))
        return tuple(found)


def test_it_is_a_dataset_with_enough_questions() -> None:
    loaded = load_dataset(FOLDER)
    assert len(loaded.files) == 7
    assert sum(query.answerable for query in loaded.queries) >= 40
    assert sum(not query.answerable for query in loaded.queries) >= 10
    assert {ref.file for query in loaded.queries for ref in query.relevant} == set(loaded.files)


def test_unanswerable_and_answerable_questions_differ() -> None:
    questions = [query["question"] for query in records("queries.jsonl")]
    assert len(questions) == len(set(questions))


@pytest.mark.parametrize("page", BORN_DIGITAL, ids=lambda page: f"{page['file']}-{page['page']}")
def test_the_text_layer_holds_exactly_the_text_of_the_truth(page: dict[str, Any]) -> None:
    drawn = Counter(fold_space(page["text"]))
    assert Counter(fold_space("".join(char for char, _ in characters(page["file"], page["page"])))) == drawn


@pytest.mark.parametrize("evidence", [e for e in EVIDENCE if e["file"] in DIGITAL_FILES], ids=lambda e: e["quote"][:12])
def test_every_quote_stands_inside_its_boxes(evidence: dict[str, Any]) -> None:
    boxes = [Box(*box) for box in evidence["boxes"]]
    inside = "".join(
        char
        for box in boxes
        for char, place in characters(evidence["file"], evidence["page"])
        if box.contains_point(*place.center)
    )
    assert fold_space(inside) == fold_space(evidence["quote"])


def test_every_answer_stands_in_its_quote_or_on_its_page() -> None:
    texts = {(page["file"], page["page"]): fold_space(page["text"]) for page in TRUTH}
    for query in records("queries.jsonl"):
        for place in query["relevant"]:
            assert any(fold_space(answer) in texts[place["file"], place["page"]] for answer in query["answers"])


def test_blocks_are_the_page_and_lie_on_it() -> None:
    for page in TRUTH:
        assert "\n".join(block["text"] for block in page["blocks"]) == page["text"]
        for block in page["blocks"]:
            assert fold_space("".join(line["text"] for line in block["lines"])) == fold_space(block["text"])
            assert all(0 <= value <= 1 for value in block["box"])


def test_tables_are_their_rows() -> None:
    tables = [block for page in TRUTH for block in page["blocks"] if block["kind"] == "table"]
    assert len(tables) >= 15
    for table in tables:
        assert [fold_space(row) for row in table["text"].split("\n")] == [fold_space("".join(r)) for r in table["rows"]]


def test_one_table_runs_over_two_pages_with_its_head_repeated() -> None:
    last, first = (next(p for p in TRUTH if p["file"] == "2025年年度报告.pdf" and p["page"] == n) for n in (7, 8))
    before, after = ([b for b in p["blocks"] if b["kind"] == "table"] for p in (last, first))
    assert before[-1]["rows"][0] == after[0]["rows"][0]
    assert int(after[0]["rows"][1][0]) == int(before[-1]["rows"][-1][0]) + 1


@pytest.mark.parametrize(("file", "contents_page", "offset"), [("员工手册.pdf", 2, 1), ("2025年年度报告.pdf", 2, 0)])
def test_the_printed_contents_name_the_right_pages(file: str, contents_page: int, offset: int) -> None:
    pages = {page["page"]: page for page in TRUTH if page["file"] == file}
    entries = re.findall(r"^(.*?)[ .]+(\d+)$", pages[contents_page]["blocks"][2]["text"], re.MULTILINE)
    assert len(entries) >= 6
    for title, number in entries:
        titles = [block["text"] for block in pages[int(number) + offset]["blocks"] if block["kind"] == "title"]
        assert title in titles


def test_the_scan_and_the_photo_are_pictures_only() -> None:
    with pymupdf.open(DOCUMENTS / "采购合同（扫描件）.pdf") as scan:
        assert [page.get_text() for page in scan] == [""] * 3
        assert all(len(page.get_images()) == 1 for page in scan)
    with Image.open(DOCUMENTS / "停电检修通知.jpg") as photo:
        assert photo.getexif()[0x0112] == 6
        assert photo.width > photo.height  # stored lying; the notice is upright when turned


def test_the_register_is_stored_turned_and_displays_wide() -> None:
    with pymupdf.open(DOCUMENTS / "计量设备台账.pdf") as document:
        assert document[0].rotation == 90
        assert document[0].rect.width > document[0].rect.height


def test_the_placement_of_a_scan_follows_the_ink() -> None:
    """A dark patch is found where the truth says it went, after skew and after a photo."""
    import numpy as np

    page = np.full((1000, 800, 3), 255, np.uint8)
    page[600:620, 500:540] = 0
    drawn = Box(500 / 800, 600 / 1000, 540 / 800, 620 / 1000)
    corners = ((110, 90), (700, 130), (660, 930), (80, 880))
    for picture, place in (
        degrade.scan(page, np.random.default_rng(0), 1.0),
        degrade.photo(page, np.random.default_rng(0), (800, 1000), corners),
    ):
        box = place(drawn)
        height, width = picture.shape[:2]
        inside = picture[round(box.y0 * height) : round(box.y1 * height), round(box.x0 * width) : round(box.x1 * width)]
        assert inside.mean() < 90
        x, y = (round(value * size) for value, size in zip(box.center, (width, height), strict=True))
        assert picture[y, x].max() < 60


@needs_fonts
@pytest.mark.parametrize("build", [register.build, slides.build], ids=["register", "slides"])
def test_the_script_still_draws_what_is_committed(build: Any) -> None:
    sample: Sample = build()
    committed = [page for page in TRUTH if page["file"] == sample.file]
    assert json.loads(json.dumps(list(truth.pages(sample)))) == committed
    with pymupdf.open(stream=sample.data) as drawn, pymupdf.open(DOCUMENTS / sample.file) as kept:
        for ours, theirs in zip(drawn, kept, strict=True):
            assert ours.get_text() == theirs.get_text()
            assert ours.get_pixmap(dpi=50).samples == theirs.get_pixmap(dpi=50).samples


@needs_fonts
def test_the_same_script_writes_the_same_bytes() -> None:
    assert register.build().data == register.build().data


@pytest.mark.parametrize("name", SETS)
def test_every_document_has_a_builder(name: str) -> None:
    assert set(SETS[name].builders) == {path.name for path in (FOLDER / name / "documents").iterdir()}


@needs_fonts
@pytest.mark.parametrize("file", [hard_pages.GARBLED, hard_pages.INJECTED, hard_pages.TWO_UP])
def test_the_script_still_draws_the_hard_pages_that_are_committed(file: str) -> None:
    sample = SETS[HARD].builders[file]()
    committed = [page for page in records(f"{HARD}/truth.jsonl") if page["file"] == file]
    assert json.loads(json.dumps(list(truth.pages(sample)))) == committed
    with pymupdf.open(stream=sample.data) as drawn, pymupdf.open(FOLDER / HARD / "documents" / file) as kept:
        assert drawn[0].get_text() == kept[0].get_text()
        assert drawn[0].get_pixmap(dpi=50).samples == kept[0].get_pixmap(dpi=50).samples


def test_the_hard_set_is_a_dataset() -> None:
    loaded = load_dataset(FOLDER / HARD)
    assert {ref.file for query in loaded.queries for ref in query.relevant} == set(loaded.files)


def test_missing_fonts_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fonts, "FONT_DIR", tmp_path)
    with pytest.raises(UnavailableError, match="apt-get install fonts-noto-cjk"):
        fonts.require()
