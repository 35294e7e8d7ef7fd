import json
import os
import subprocess
import sys
from collections import defaultdict
from itertools import permutations

import pymupdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.fuzz import ratio

from ingest.base import TextLine
from ingest.headings import HeadingPath, heading_level, is_caption, is_quantity, numbering
from ingest.layout import arrange
from ingest.order import reading_order
from ingest.prose import Page, joined, paragraphs, rows_of
from ingest.text_layer import read_lines
from tests.ingest.layout_pages import HEIGHT, SAMPLES, WIDTH, blank_page, check, line, opened, record, write
from tuwen.types import BlockKind, Box, Source, fold_space

A4 = Page(WIDTH, HEIGHT)
TRUTH = defaultdict(dict)
for entry in (SAMPLES.parent / "truth.jsonl").read_text("utf-8").splitlines():
    page_truth = json.loads(entry)
    TRUTH[page_truth["file"]][page_truth["page"]] = page_truth


def as_scan(lines: tuple[TextLine, ...]) -> tuple[TextLine, ...]:
    return tuple(each._replace(source=Source.OCR, confidence=0.95) for each in lines)


@pytest.mark.parametrize("scanned", [False, True], ids=["born digital", "scanned"])
@pytest.mark.parametrize(
    ("file", "number"),
    [
        ("员工手册.pdf", 3),
        ("员工手册.pdf", 5),
        ("2025年年度报告.pdf", 5),
        ("自适应采样论文.pdf", 1),
        ("自适应采样论文.pdf", 3),
    ],
)
def test_pages_are_read_in_order_and_nothing_is_lost(file: str, number: int, scanned: bool) -> None:
    truth = TRUTH[file][number]
    with pymupdf.open(SAMPLES / file) as document:
        page = opened(document[number - 1])
        lines = read_lines(page)
        if scanned:
            lines = as_scan(lines)
        words, blocks = arrange(page, lines)
    check(lines, words, blocks)
    text = fold_space("".join(block.text for block in blocks))
    assert ratio(text, fold_space(truth["text"])) > 92  # labels of a chart have no order of their own
    kinds = [
        (part["kind"], min(around, key=lambda block: block.box.area).kind)
        for part in truth["blocks"]
        for row in part["lines"]
        if (around := [b for b in blocks if b.box.contains_point(*Box(*row["box"]).center)])
    ]
    assert sum(want == got for want, got in kinds) > 0.85 * len(kinds)


def test_columns_titles_captions_lists_and_tables_of_a_paper() -> None:
    with pymupdf.open(SAMPLES / "自适应采样论文.pdf") as document:
        page = opened(document[1])
        _, blocks = arrange(page, read_lines(page))
    titles = [block.text for block in blocks if block.kind is BlockKind.TITLE]
    assert titles == ["3.2 采样率切换", "3.3 事件重构", "4 实验", "4.1 数据与设置", "4.2 结果", "4.3 消融实验"]
    assert [block.level for block in blocks if block.kind is BlockKind.TITLE] == [2, 2, 1, 2, 2, 2]
    captions = [block.text for block in blocks if block.kind is BlockKind.CAPTION]
    assert captions[0] == "表 1 不同方法的比较"
    (table,) = [block for block in blocks if block.kind is BlockKind.TABLE]
    assert table.markdown.splitlines()[:3] == [
        "| 方法 | 电流/μA | 召回率/% | 误差/g | 寿命/年 |",
        "| --- | --- | --- | --- | --- |",
        "| 固定采样 64 Hz | 412 | 99.1 | 0.021 | 1.9 |",
    ]
    assert table.text.splitlines()[1] == "固定采样 64 Hz 412 99.1 0.021 1.9"
    paragraph = next(block for block in blocks if block.text.startswith("数据采自"))
    assert "时间为2025年3月至8月，共 1.27 亿个采样点，人工标注事件" in paragraph.text
    assert "\n" not in paragraph.text


def test_a_list_is_one_block_with_an_item_a_line() -> None:
    with pymupdf.open(SAMPLES / "员工手册.pdf") as document:
        page = opened(document[2])
        _, blocks = arrange(page, read_lines(page))
    (first, second) = [block for block in blocks if block.kind is BlockKind.LIST]
    assert [item[:3] for item in first.text.splitlines()] == ["（一）", "（二）", "（三）", "（四）"]
    assert len(second.text.splitlines()) == 5


def test_running_headers_and_page_numbers_are_apart() -> None:
    with pymupdf.open(SAMPLES / "员工手册.pdf") as document:
        page = opened(document[2])
        _, blocks = arrange(page, read_lines(page))
    assert [b.kind for b in blocks[:2]] == [BlockKind.HEADER, BlockKind.HEADER]
    assert blocks[-1].kind is BlockKind.FOOTER
    assert blocks[-1].text == "第 2 页 / 共 9 页"


def test_a_picture_without_text_is_a_figure_and_its_recognised_text_is_inside() -> None:
    with blank_page() as page:
        for n in range(6):
            write(page, 80, 100 + 18 * n, "本页说明设备的安装步骤与注意事项，请在通电之前仔细阅读。", 11)
        pixmap = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 300, 200))
        pixmap.set_rect(pixmap.irect, (90, 140, 200))
        page.insert_image(pymupdf.Rect(150, 300, 450, 500), pixmap=pixmap)
        shown = opened(page)
        lines = (*read_lines(shown), line("额定电压", 200, 350), line("220 V", 200, 380))
        words, blocks = arrange(shown, lines)
    check(lines, words, blocks)
    (figure,) = [block for block in blocks if block.kind is BlockKind.FIGURE]
    assert figure.text == "额定电压\n220 V"
    assert figure.box.x0 * WIDTH == pytest.approx(150, abs=2)
    assert figure.source is Source.OCR
    assert figure.confidence == pytest.approx(0.9)


def test_a_page_without_text_has_only_its_pictures() -> None:
    with blank_page() as page:
        assert arrange(opened(page), ()) == ((), ())


@settings(max_examples=8)
@given(
    st.lists(
        st.tuples(
            st.text("甲乙丙丁，。ABCabc012 -—（）", min_size=1, max_size=24).filter(str.strip),
            st.integers(20, 400),
            st.integers(20, 800),
            st.sampled_from([8.0, 10.5, 18.0]),
        ),
        max_size=25,
    ),
    st.booleans(),
)
def test_nothing_is_lost_wherever_lines_stand(places: list[tuple[str, int, int, float]], bold: bool) -> None:
    lines = tuple(line(text.strip(), x, y, size, bold=bold) for text, x, y, size in places)
    with blank_page() as page:
        words, blocks = arrange(opened(page), lines)
    check(lines, words, blocks)


# Reading order


def columns(*boxes: tuple[float, float, float, float]) -> list[Box]:
    return [Box(*box) for box in boxes]


TWO_COLUMNS = columns(
    (0.1, 0.05, 0.9, 0.10),  # title over both
    (0.1, 0.15, 0.48, 0.40),
    (0.1, 0.42, 0.48, 0.80),
    (0.52, 0.15, 0.9, 0.30),
    (0.52, 0.32, 0.9, 0.80),
    (0.1, 0.85, 0.9, 0.95),  # across both again
)
FORM = columns((0.1, 0.1, 0.2, 0.12), (0.4, 0.1, 0.8, 0.12), (0.1, 0.2, 0.2, 0.22), (0.4, 0.2, 0.8, 0.22))
CENTRED = columns((0.4, 0.1, 0.6, 0.12), (0.1, 0.2, 0.35, 0.4), (0.7, 0.5, 0.9, 0.52), (0.1, 0.6, 0.9, 0.7))


@pytest.mark.parametrize("shuffled", list(permutations(range(4)))[::5])
def test_columns_are_read_one_after_the_other_whatever_the_order_they_come_in(shuffled: tuple[int, ...]) -> None:
    order = [0, *(i + 1 for i in shuffled), 5]
    boxes = [TWO_COLUMNS[i] for i in order]
    assert [order[i] for i in reading_order(boxes)] == [0, 1, 2, 3, 4, 5]


def test_labels_and_their_values_are_read_row_by_row() -> None:
    assert reading_order(FORM, [1, 1, 1, 1]) == [0, 1, 2, 3]
    assert reading_order(FORM, [3, 3, 3, 3]) == [0, 2, 1, 3]


def test_things_beside_nothing_are_read_from_the_top() -> None:
    assert reading_order(CENTRED) == [0, 1, 2, 3]


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4).map(lambda b: Box(*b).clamped()), max_size=30))
def test_every_region_is_read_once(boxes: list[Box]) -> None:
    assert sorted(reading_order(boxes, [1] * len(boxes))) == list(range(len(boxes)))


# Prose


def prose(*rows: TextLine) -> str:
    words, text = paragraphs(rows_of(rows, A4))
    assert fold_space(text) == "".join(word.text for word in words)
    return text


def test_chinese_rows_join_without_and_latin_rows_with_a_space() -> None:
    assert prose(line("公司实行每周五天、每天八小时工作制。标准工作", 50, 100), line("时间为九点。", 50, 120)) == (
        "公司实行每周五天、每天八小时工作制。标准工作时间为九点。"
    )
    assert (
        prose(line("the quick brown fox jumps", 50, 100), line("over it", 50, 120))
        == "the quick brown fox jumps over it"
    )


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        ("we describe the implemen-", "tation of it", "we describe the implementation of it"),
        ("it is a well-known state-", "of-the-art one", "it is a well-known state- of-the-art one"),
        ("sold in the years 2019-", "2021 at most x", "sold in the years 2019- 2021 at most x"),
        ("see http://example.com/", "docs for more", "see http://example.com/docs for more"),
    ],
)
def test_only_broken_words_lose_their_hyphen(above: str, below: str, expected: str) -> None:
    assert prose(line(above, 50, 100), line(below, 50, 120)) == expected


def test_a_row_that_stops_early_ends_a_paragraph() -> None:
    rows = [line("第一段的最后一行。", 50, 100), line("第二段从这里开始，一直写到这一行的最右边", 50, 120)]
    assert prose(*rows) == "第一段的最后一行。\n第二段从这里开始，一直写到这一行的最右边"


def test_labels_programs_and_rows_of_cells_keep_their_line_ends() -> None:
    assert prose(line("甲方：霁川传感科技公司", 50, 100), line("乙方：青屿水务有限公司", 50, 120)).count("\n") == 1
    assert prose(line("export PATH=$PATH:/opt", 50, 100), line("make install --all x=1", 50, 120)).count("\n") == 1
    assert prose(line("数量", 50, 100), line("三十件", 150, 100), line("合计金额为人民币五", 50, 120)).count("\n") == 1


def test_text_running_up_the_page_is_read_from_left_to_right_of_its_own() -> None:
    with blank_page() as page:
        write(page, 100, 500, "第一行文字在左边，从下往上写去直到", rotate=90)
        write(page, 120, 500, "第二行。", rotate=90)
        lines = read_lines(opened(page))
    assert prose(*lines) == "第一行文字在左边，从下往上写去直到第二行。"


@given(
    st.lists(
        st.tuples(st.text("漢字，ab-Z9/.", min_size=1, max_size=12), st.integers(0, 300), st.integers(0, 40)),
        min_size=1,
        max_size=12,
    )
)
def test_prose_has_exactly_the_characters_of_its_words(places: list[tuple[str, int, int]]) -> None:
    lines = [
        each._replace(words=tuple(w.model_copy(update={"line": n}) for w in each.words))
        for n, each in enumerate(line(text, x, 20 * y) for text, x, y in places)
    ]
    rows = rows_of(lines, A4)
    for make in (paragraphs, joined):
        words, text = make(rows)
        assert fold_space(text) == "".join(word.text for word in words)


# Headings


@pytest.mark.parametrize(
    ("text", "scheme", "level"),
    [
        ("第三章 工作时间", "章", 1),
        ("第 12 章 Index", "章", 1),
        ("Chapter 2 Tools", "章", 1),
        ("附录 A 命令", "附录", 1),
        ("第二节 考勤", "节", 2),
        ("一、总则", "cn", 3),
        ("（二）分地区情况", "cn-bracket", 4),
        ("1 引言", "decimal-1", 1),
        ("3.2 采样率切换", "decimal-2", 2),
        ("3.2.1概述", "decimal-3", 3),
        ("A.1 Installing", "decimal-2", 2),
        ("5、其他", "arabic", 5),
    ],
)
def test_numbers_of_headings(text: str, scheme: str, level: int) -> None:
    found = numbering(text)
    assert found is not None
    assert (found.scheme, found.level) == (scheme, level)
    assert heading_level(text, 30, 10) == level


@pytest.mark.parametrize("text", ["2025年年度报告", "3.5 米", "12.5%", "项目概况", "Part of it", "1998 年至今", "100"])
def test_figures_are_no_numbers_of_headings(text: str) -> None:
    assert numbering(text) is None


def test_headings_without_a_number_go_by_their_size() -> None:
    assert [heading_level("公司概况", size, 10) for size in (20, 14, 12, 10)] == [1, 2, 3, 4]
    assert heading_level("参考文献", 10, 10) == 1


@pytest.mark.parametrize("text", ["图 1 组织结构", "表3.1：列格式", "Figure 2. Results", "附表1 股东名册", "图1-2"])
def test_captions(text: str) -> None:
    assert is_caption(text)


@pytest.mark.parametrize(
    "text", ["图 1 所示的结构", "表 2 给出了结果。", "图书馆", "表扬员工", "Table of contents", "图 3 是事件的波形"]
)
def test_sentences_about_figures_are_no_captions(text: str) -> None:
    assert not is_caption(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("73%", True), ("4.6 小时", True), ("1,240", True), ("18 个测点", False)]
)
def test_quantities(text: str, expected: bool) -> None:
    assert is_quantity(text) is expected


def test_the_path_of_headings_follows_their_numbers() -> None:
    path = HeadingPath()
    seen = []
    for text in ("第一章 总则", "一、目的", "（一）范围", "（二）原则", "二、职责", "第二章 聘用", "2.1 入职"):
        (title,) = record(1, [(BlockKind.TITLE, text)]).blocks
        path.enter(title.model_copy(update={"level": heading_level(text, 12, 10)}))
        seen.append(path.texts)
    assert seen[3] == ("第一章 总则", "一、目的", "（二）原则")
    assert seen[4] == ("第一章 总则", "二、职责")
    assert seen[6] == ("第二章 聘用", "2.1 入职")


def test_the_layout_model_takes_no_more_threads_than_it_may() -> None:
    """By itself it takes one a core, in every child process."""
    script = (
        "import onnxruntime, psutil, ingest.regions as regions\n"
        "before = psutil.Process().num_threads()\n"
        "regions._activate_layout()\n"
        "print(psutil.Process().num_threads() - before)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert ran.stdout.split() == ["0"], ran.stderr
