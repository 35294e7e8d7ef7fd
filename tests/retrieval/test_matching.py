"""Which lines of a passage a hit highlights."""

from __future__ import annotations

import pytest

from retrieval.matching import matched_boxes
from tests.retrieval.pages import page_of, words_in
from tuwen.types import Passage, PassageSpan


def highlighted(query: str, *lines: str) -> str:
    """What is highlighted on a page of ``lines`` that is one passage."""
    text = "\n".join(lines)
    record = page_of(text)
    passage = Passage(ordinal=0, text=text, spans=(PassageSpan(1, 0, len(record.words)),))
    return words_in(record, matched_boxes(query, record, passage))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("年假有几天", "员工每年享有十天年假。"),
        ("annual leave", "Annual leave is ten days"),
        ("Is the salary paid monthly?", "Salary is paid monthly"),
        ("Python 工程师", "招聘 Python 3 工程师两名"),
        ("KPI 考核", "每季度 KPI review 考核一次"),
        ("10,000", "Deposit 3 10,000 yuan"),
        ("20000元", "押金 20,000 元"),
        ("30,000", "罚款30，000元"),
        ("450,000", "合计 12 450,000 7"),
    ],
)
def test_the_line_with_the_terms_is_shown(query, expected):
    lines = [
        "员工每年享有十天年假。",
        "Annual leave is ten days",
        "Salary is paid monthly",
        "招聘 Python 3 工程师两名",
        "每季度 KPI review 考核一次",
        "Deposit 3 10,000 yuan",
        "押金 20,000 元",
        "罚款30，000元",
        "合计 12 450,000 7",
    ]
    assert highlighted(query, *lines) == expected.replace(" ", "")


def test_words_that_only_touch_in_print_are_no_term():
    assert highlighted("30", "3 0 items", "30 items") == "30items"


def test_all_lines_are_shown_where_none_holds_a_term():
    assert highlighted("vacation", "员工每年享有", "十天年假。") == "员工每年享有十天年假。"
