"""Sentences, clauses and table cells are cut where a reader would cut them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.sentences import Span, block_sentences, clauses, sentences, table
from tuwen.types import Block, BlockKind, Box, fold_space


def cut(text: str, *, lines: bool = False) -> list[str]:
    return [text[a:b] for a, b in sentences(text, lines=lines)]


def block(text: str, kind: BlockKind = BlockKind.TEXT, markdown: str = "") -> Block:
    return Block(kind=kind, order=0, box=Box(0, 0, 1, 1), text=text, markdown=markdown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("第一句。第二句！第三句？", ["第一句。", "第二句！", "第三句？"]),
        ("他说：“好。我来。”然后走了。", ["他说：“好。我来。”", "然后走了。"]),
        ("史称「牛车水事件。」的冲突。", ["史称「牛车水事件。」的冲突。"]),
        ("身高2.11米；体重118公斤。", ["身高2.11米；", "体重118公斤。"]),
        ("等一下……好了。", ["等一下……", "好了。"]),
        ("真的吗？！真的。", ["真的吗？！", "真的。"]),
        ("（见第3条。附件另行规定）如下。完", ["（见第3条。附件另行规定）如下。", "完"]),
        ("少了一半的“引号。后面还有。", ["少了一半的“引号。", "后面还有。"]),
        ("1. 先登记\n2. 再缴费\n3. 最后领证", ["1. 先登记", "2. 再缴费", "3. 最后领证"]),
        ("（一）总则\n（二）分则。", ["（一）总则", "（二）分则。"]),
        ("一行写不完的\n句子。", ["一行写不完的\n句子。"]),
        ("William J. Laimbeer Jr. retired. He coaches.", ["William J. Laimbeer Jr. retired.", "He coaches."]),
        ("版本 v1.2.3 已发布。", ["版本 v1.2.3 已发布。"]),
        ("", []),
        ("  。", ["。"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_every_line_of_a_list_is_a_sentence() -> None:
    item = block("身份证复印件\n毕业证书复印件\n体检报告", BlockKind.LIST)
    assert [item.text[a:b] for a, b in block_sentences(item)] == ["身份证复印件", "毕业证书复印件", "体检报告"]
    assert len(block_sentences(block(item.text))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("生于1949年，卒于2001年。", ["生于1949年，", "卒于2001年。"]),
        ("收入 1,250,000 元，同比增长（按，可比口径）5%。", ["收入 1,250,000 元，", "同比增长（按，可比口径）5%。"]),
        ("时间：12:30开始。", ["时间：", "12:30开始。"]),
    ],
)
def test_clauses(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in clauses(text, Span(0, len(text)))] == expected


@given(st.text("甲乙。；，！“”（）「」.1a \n…：", max_size=80), st.booleans())
def test_nothing_but_white_space_is_lost(text: str, lines: bool) -> None:
    spans = sentences(text, lines=lines)
    assert fold_space("".join(text[a:b] for a, b in spans)) == fold_space(text)
    for span in spans:
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        parts = clauses(text, span)
        assert fold_space("".join(text[a:b] for a, b in parts)) == fold_space(text[span.start : span.end])


def test_cells_come_from_the_markdown() -> None:
    text = "城市 住宿 伙食 补助\n北京 500 120\n其他 地区 350 100"
    markdown = "|城市|住宿|伙食 补助|\n|---|:-:|---|\n|北京|500|120|\n|其他 地区||350 100|"
    item = block(text, BlockKind.TABLE, markdown)
    grid = table(item)
    assert grid.header == ("城市", "住宿", "伙食 补助")
    assert [[text[a:b] for a, b in row.cells] for row in grid.rows] == [
        ["城市", "住宿", "伙食 补助"],
        ["北京", "500", "120"],
        ["其他 地区", "350 100"],
    ]
    assert [row.columns for row in grid.rows] == [(0, 1, 2), (0, 1, 2), (0, 2)]
    assert [text[row.span.start : row.span.end] for row in grid.rows] == text.splitlines()


def test_without_markdown_cells_are_parted_by_spaces() -> None:
    grid = table(block("城市 住宿\n北京 500", BlockKind.TABLE, "|别的|字|"))
    assert grid.header == ("城市", "住宿")
    assert grid.rows[1].columns == (0, 1)


def test_an_empty_table_has_no_rows() -> None:
    assert table(block("", BlockKind.TABLE)).rows == ()
