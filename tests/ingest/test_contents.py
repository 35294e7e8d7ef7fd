from collections.abc import Sequence

import pymupdf
import pytest

from ingest.base import word_spans
from ingest.contents import is_contents, is_contents_heading
from ingest.layout import arrange
from ingest.text_layer import read_lines
from tests.ingest.layout_pages import SAMPLES, opened, record
from tuwen.types import Block, BlockKind, Box, Source, Word, WordSpan

Cell = tuple[float, str]
"""Left edge in hundredths of the page's width, and what stands there; negative: the right edge."""


def page(*rows: Sequence[Cell], heading: str = "") -> tuple[list[Block], list[Word]]:
    """A page of these rows, all in one block below ``heading``."""
    words: list[Word] = []
    blocks: list[Block] = []
    if heading:
        words += [
            Word(text=heading[a:b], box=Box(0.4 + a / 50, 0.05, 0.42 + a / 50, 0.07)) for a, b in word_spans(heading)
        ]
        span = WordSpan(0, len(words))
        blocks.append(Block(kind=BlockKind.TITLE, order=0, box=Box(0.4, 0.05, 0.6, 0.07), text=heading, words=span))
    start = len(words)
    for n, row in enumerate(rows):
        y = 0.1 + 0.02 * n
        for x, text in row:
            left = x / 100 if x >= 0 else -x / 100 - 0.012 * len(text)
            words += [
                Word(text=text[a:b], box=Box(left + 0.012 * a, y, left + 0.012 * b, y + 0.012), line=n)
                for a, b in word_spans(text)
            ]
    span = WordSpan(start, len(words))
    body = "\n".join(" ".join(text for _, text in row) for row in rows)
    blocks.append(Block(kind=BlockKind.TEXT, order=len(blocks), box=Box(0.1, 0.1, 0.9, 0.9), text=body, words=span))
    return blocks, words


ENTRIES = ["1 总则", "1.1 目的", "1.2 适用范围", "2 聘用", "2.1 入职材料", "2.2 试用期", "3 考勤", "3.1 标准工时"]
LED = [[(10, entry), (40, ". . . . . . . . ."), (-90, str(3 + 2 * n))] for n, entry in enumerate(ENTRIES)]
BARE = [[(10, entry), (-90, str(3 + 2 * n))] for n, entry in enumerate(ENTRIES)]
PLAIN = [[(10, name), (-90, str(3 + n))] for n, name in enumerate(["致股东", "主要财务数据", "经营情况", "研发与创新"])]
DATA = [
    [(10, name), (40, str(90 - n)), (60, f"{n * 3}.5%"), (-90, str(1000 + n))]
    for n, name in enumerate(["压力传感器", "温度变送器", "振动传感器", "车载芯片", "边缘网关", "气象站"])
]
RANKING = [[(10, str(n + 1)), (20, name), (-90, str(900 - 70 * n))] for n, name in enumerate("甲乙丙丁戊己庚辛")]
INDEX = [
    [(10, f"{word}, {n}, {n + 9}")] for n, word in enumerate(sorted(f"{a}{b}rt" for a in "abcde" for b in "aeiou"))
]
PROSE = [[(10, "公司实行每周五天每天八小时的工作制度并在此说明具体的安排")] for _ in range(8)]


@pytest.mark.parametrize(
    ("rows", "heading"),
    [(LED, ""), (LED, "目录"), (BARE, ""), (PLAIN, "目 录"), (INDEX, "索引"), (INDEX, ""), (BARE, "Contents")],
    ids=["leaders", "headed leaders", "numbered, bare", "headed, bare", "index", "index, next page", "English"],
)
def test_contents_and_indexes_are_known(rows: list[Sequence[Cell]], heading: str) -> None:
    assert is_contents(*page(*rows, heading=heading))


@pytest.mark.parametrize(
    ("rows", "heading"),
    [
        (DATA, ""),
        (RANKING, ""),
        (PROSE, "目录"),
        (PLAIN, ""),
        (DATA, "主要数据"),
        (LED[:2], ""),
        (LED[:3] + PROSE, "目录"),
    ],
    ids=["data", "ranking", "prose", "few bare rows", "headed data", "two rows", "contents, then text"],
)
def test_data_and_text_are_not(rows: list[Sequence[Cell]], heading: str) -> None:
    assert not is_contents(*page(*rows, heading=heading))


def test_two_columns_of_contents_are_known() -> None:
    rows = [
        [(8, left), (-46, str(n + 1)), (54, right), (-92, str(n + 20))]
        for n, (left, right) in enumerate(zip(ENTRIES, ENTRIES, strict=True))
    ]
    assert is_contents(*page(*rows, heading="目录"))


def test_roman_numbers_come_before_arabic_ones() -> None:
    rows = [
        [(10, name), (40, "......"), (-90, number)]
        for name, number in zip(ENTRIES, ("i", "iv", "ix", "1", "2", "5", "8", "13"), strict=True)
    ]
    assert is_contents(*page(*rows))


def test_a_page_where_the_text_begins_is_none_but_its_block_of_contents_is() -> None:
    blocks, words = page(*LED, heading="目录")
    title, text = record(
        1, [(BlockKind.TITLE, "1 总则"), (BlockKind.TEXT, "本手册适用于与公司建立劳动关系的全体员工，另有约定的除外。")]
    ).blocks
    everything = [
        *blocks,
        title.model_copy(update={"words": WordSpan(0, 0)}),
        text.model_copy(update={"words": WordSpan(0, 0)}),
    ]
    assert not is_contents(everything, words)
    assert is_contents(blocks[1:2], words)


@pytest.mark.parametrize(
    "text", ["目录", "目　录", "目 次", "CONTENTS", "Table of Contents", "图表目录", "List of Figures", "Index"]
)
def test_headings_of_contents(text: str) -> None:
    assert is_contents_heading(record(1, [(BlockKind.TITLE, text)]).blocks[0])


@pytest.mark.parametrize("text", ["3.2 目录命令的用法", "目标", "索引的建立", "Indexing"])
def test_headings_that_only_mention_them(text: str) -> None:
    assert not is_contents_heading(record(1, [(BlockKind.TITLE, text)]).blocks[0])


@pytest.mark.parametrize("scanned", [False, True], ids=["born digital", "scanned"])
def test_the_handbook_has_one_page_of_contents(scanned: bool) -> None:
    with pymupdf.open(SAMPLES / "员工手册.pdf") as document:
        flagged = []
        for number in (2, 3, 5):
            shown = opened(document[number - 1])
            lines = read_lines(shown)
            if scanned:
                lines = tuple(line._replace(source=Source.OCR) for line in lines)
            words, blocks = arrange(shown, lines)
            flagged += [number] if is_contents(blocks, words) else []
    assert flagged == [2]
