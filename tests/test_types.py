"""Geometry and records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuwen.types import Box, PageRecord, Verdict, VerdictCode, Word, WordSpan, fold_space, is_cjk

fractions = st.floats(0, 1, allow_nan=False)
boxes = st.builds(lambda a, b, c, d: Box(min(a, b), min(c, d), max(a, b), max(c, d)), *[fractions] * 4)


@given(st.lists(boxes, min_size=1, max_size=5))
def test_a_union_holds_its_parts(parts: list[Box]) -> None:
    union = Box.union(parts)
    for part in parts:
        assert union.intersection(part) == part


def test_a_union_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="unpack"):
        Box.union([])


@given(boxes, boxes)
def test_overlap_is_a_share(one: Box, other: Box) -> None:
    assert 0 <= one.overlap(other) <= 1.0000001


@given(st.builds(Box, *[st.floats(-2, 3, allow_nan=False)] * 4))
def test_clamped_boxes_lie_on_the_page(box: Box) -> None:
    x0, y0, x1, y1 = box.clamped()
    assert 0 <= x0 <= x1 <= 1
    assert 0 <= y0 <= y1 <= 1


def test_line_boxes_are_one_a_line() -> None:
    words = [Word(text=c, box=Box(i / 10, 0.1 * line, (i + 1) / 10, 0.1 * line + 0.05), line=line)
             for line in (0, 1) for i, c in enumerate("报告")]  # fmt: skip
    record = PageRecord(page=1, width=595, height=842, words=tuple(words))
    assert record.line_boxes(WordSpan(1, 3)) == (Box(0.1, 0, 0.2, 0.05), Box(0, 0.1, 0.1, 0.15))
    assert record.line_boxes([0, 1]) == (Box(0, 0, 0.2, 0.05),)


def test_boxes_keep_to_a_line_that_is_not_level() -> None:
    words = [Word(text="字", box=Box(i / 20, 0.1 + i / 200, (i + 1) / 20, 0.12 + i / 200)) for i in range(16)]
    boxes = PageRecord(page=1, width=595, height=842, words=tuple(words)).line_boxes(WordSpan(0, 16))
    assert len(boxes) > 3
    assert all(box.height <= 0.031 for box in boxes)
    assert all(any(box.contains_point(*word.box.center) for box in boxes) for word in words)


def test_records_survive_json() -> None:
    record = PageRecord(
        page=2, width=1, height=2, words=(Word(text="页", box=Box(0, 0, 1, 1)),), verdict=Verdict(codes=("blank",))
    )
    assert PageRecord.model_validate_json(record.model_dump_json()) == record
    assert record.verdict.status == "suspect"
    assert record.verdict.codes == (VerdictCode.BLANK,)


@pytest.mark.parametrize("char", "中々あㄅ가，。：（𠀀")
def test_one_word_each(char: str) -> None:
    assert is_cjk(char)


@pytest.mark.parametrize("char", "a1-é%Ａ０")
def test_run_of_other_script(char: str) -> None:
    assert not is_cjk(char)


def test_fold_space() -> None:
    assert fold_space(" 第 一\n章　总则\t") == "第一章总则"


def test_a_verdict_is_written_with_its_status_and_read_back() -> None:
    verdict = Verdict(codes=(VerdictCode.HIDDEN_TEXT,))
    assert verdict.model_dump(mode="json") == {"codes": ["hidden_text"], "status": "suspect"}
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert Verdict().model_dump(mode="json") == {"codes": [], "status": "ok"}
