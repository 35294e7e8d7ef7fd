import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.layout import arrange
from ingest.prose import Page
from ingest.regions import Grid
from ingest.rules import Rule, RuleFinder, Rules
from ingest.tables import Table, read_table
from ingest.text_layer import read_lines
from tests.ingest.layout_pages import HEIGHT, WIDTH, blank_page, check, line, opened, write
from tuwen.types import Block, BlockKind, Box, fold_space

A4 = Page(WIDTH, HEIGHT)
XS = (100, 200, 300, 400)
YS = (200, 230, 260, 290)
BOX = Box(100 / WIDTH, 200 / HEIGHT, 400 / WIDTH, 290 / HEIGHT)
CELLS = {
    (110, 220): "部门",
    (230, 220): "二〇二五年费用",  # over two columns
    (110, 250): "研发部",
    (210, 250): "1,240",
    (310, 250): "含差旅",
    (210, 280): "980",  # its first column is merged with the row above
    (310, 280): "A|B",
}
EXPECTED = [["部门", "二〇二五年费用", ""], ["研发部", "1,240", "含差旅"], ["", "980", "A|B"]]


def draw(page: pymupdf.Page, width: float = 0.7, color: tuple[float, ...] = (0.3, 0.3, 0.3)) -> None:
    """A table of 3 × 3 with a cell over two columns and a cell over two rows."""
    for y in (200, 230, 290):
        page.draw_line((100, y), (400, y), width=width, color=color)
    page.draw_line((200, 260), (400, 260), width=width, color=color)
    for x in (100, 200, 400):
        page.draw_line((x, 200), (x, 290), width=width, color=color)
    page.draw_line((300, 230), (300, 290), width=width, color=color)
    for (x, y), text in CELLS.items():
        write(page, x, y, text, 9)


def table_of(rows: list[list[str]]) -> Table:
    return Table([], rows)


@pytest.mark.parametrize("digital", [True, False], ids=["drawn", "scanned"])
def test_rules_part_cells_and_merged_cells_stay_whole(digital: bool) -> None:
    with blank_page() as page:
        draw(page)
        shown = opened(page)
        rules = RuleFinder(shown, digital=digital).within(BOX)
        table = read_table(BOX, read_lines(shown), None, rules, A4)
    assert table is not None
    assert table.rows == EXPECTED
    assert table.text == "部门 二〇二五年费用\n研发部 1,240 含差旅\n980 A|B"
    assert fold_space(table.text) == "".join(word.text for word in table.words)


def test_hairlines_and_frames_are_rules_and_strokes_of_characters_are_not() -> None:
    with blank_page() as page:
        page.draw_rect(pymupdf.Rect(100, 200, 400, 290), width=0.4, color=(0.8, 0.8, 0.8))
        page.draw_rect(pymupdf.Rect(100, 230, 400, 230.6), width=0, fill=(0.7, 0.7, 0.7))
        write(page, 110, 260, "一二三十工", 12)
        rules = RuleFinder(opened(page), digital=True).within(BOX)
        seen = RuleFinder(opened(page), digital=False).within(BOX)
    assert sorted(round(rule.at * HEIGHT) for rule in rules.horizontal) == [200, 230, 290]
    assert sorted(round(rule.at * WIDTH) for rule in rules.vertical) == [100, 400]
    assert not [rule for rule in seen.vertical if 105 < rule.at * WIDTH < 395]


def test_a_table_without_rules_follows_the_grid() -> None:
    lines = [line(text, x, y - 9, 9) for (x, y), text in CELLS.items() if text != "二〇二五年费用"]
    lines.append(line("二〇二五年费用合计", 215, 211, 18))
    grid = Grid((200 / WIDTH, 300 / WIDTH), (232 / HEIGHT, 260 / HEIGHT))
    table = read_table(BOX, lines, grid, Rules((), ()), A4)
    assert table is not None
    assert table.rows == [["部门", "二〇二五年费用合计", ""], ["研发部", "1,240", "含差旅"], ["", "980", "A|B"]]


def test_a_line_recognised_across_columns_is_cut_at_them() -> None:
    words = line("华东", 110, 240, 9), line("39.0%", 205, 240, 9)
    across = words[0]._replace(
        words=words[0].words + words[1].words,
        spaces=(False, False, True),
        box=Box.union((words[0].box, words[1].box)),
    )
    header = line("地区", 110, 210, 9), line("占比", 210, 210, 9)
    table = read_table(BOX, [*header, across], Grid((200 / WIDTH,), (232 / HEIGHT,)), Rules((), ()), A4)
    assert table is not None
    assert table.rows == [["地区", "占比"], ["华东", "39.0%"]]


def test_one_column_or_one_row_is_no_table() -> None:
    grid = Grid((200 / WIDTH,), (232 / HEIGHT,))
    column = [line("甲", 110, 210, 9), line("乙", 110, 240, 9)]
    row = [line("甲", 110, 210, 9), line("乙", 250, 210, 9)]
    assert read_table(BOX, column, grid, Rules((), ()), A4) is None
    assert read_table(BOX, row, grid, Rules((), ()), A4) is None


def test_markdown_escapes_pipes_and_keeps_empty_cells() -> None:
    table = table_of(EXPECTED)
    assert table.markdown.splitlines() == [
        "| 部门 | 二〇二五年费用 |  |",
        "| --- | --- | --- |",
        "| 研发部 | 1,240 | 含差旅 |",
        "|  | 980 | A\\|B |",
    ]


def arranged(page: pymupdf.Page) -> list[Block]:
    shown = opened(page)
    lines = read_lines(shown)
    words, blocks = arrange(shown, lines)
    check(lines, words, blocks)
    return list(blocks)


def test_a_page_with_a_ruled_table_has_a_table_block() -> None:
    with blank_page() as page:
        for n in range(4):
            write(page, 90, 100 + 20 * n, "各部门的费用见下表，其中差旅费按照公司的标准据实报销，并由负责人签字。", 9)
        draw(page)
        write(page, 90, 330, "以上数据由财务部提供，单位为万元，最终以审计报告披露的数字为准。", 9)
        blocks = arranged(page)
    (table,) = [block for block in blocks if block.kind is BlockKind.TABLE]
    assert table.text.splitlines() == ["部门 二〇二五年费用", "研发部 1,240 含差旅", "980 A|B"]


def test_rows_of_cells_without_any_rule_are_a_table() -> None:
    with blank_page() as page:
        for n, row in enumerate(("客户 场景 规模", "青屿水务 管网监测 千个测点", "远岫化工 反应釜温压 三十六台")):
            for x, cell in zip((80, 230, 400), row.split(" "), strict=True):
                write(page, x, 120 + 26 * n, cell, 12)
        blocks = arranged(page)
    (table,) = [block for block in blocks if block.kind is BlockKind.TABLE]
    assert table.text.splitlines()[1] == "青屿水务 管网监测 千个测点"


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 90), st.text("甲乙1a.", min_size=1, max_size=6)), max_size=14
    ),
    st.lists(st.floats(0.01, 0.99), max_size=4, unique=True),
    st.lists(st.floats(0.01, 0.99), max_size=4, unique=True),
    st.booleans(),
)
def test_every_word_is_in_one_cell_wherever_the_rules_are(
    places: list[tuple[int, int, str]], xs: list[float], ys: list[float], ruled: bool
) -> None:
    lines = [line(text, 100 + x, 200 + y, 8) for x, y, text in places]
    inner_x = sorted(BOX.x0 + x * BOX.width for x in xs)
    inner_y = sorted(BOX.y0 + y * BOX.height for y in ys)
    rules = Rules(
        tuple(Rule(y, BOX.x0, BOX.x1) for y in inner_y if ruled),
        tuple(Rule(x, BOX.y0, BOX.y0 + BOX.height * 0.7) for x in inner_x if ruled),
    )
    table = read_table(BOX, lines, Grid(tuple(inner_x), tuple(inner_y)), rules, A4)
    if table is not None:
        assert sorted(w.text for w in table.words) == sorted(w.text for each in lines for w in each.words)
        assert fold_space(table.text) == "".join(word.text for word in table.words)
        assert len({len(row) for row in table.rows}) == 1
