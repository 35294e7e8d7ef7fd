"""Right answers have support, those of other questions none."""

import random

from evals.check_support import CASES, check
from evals.dataset import PageRef, Query


def query(number: int, question: str, answer: str) -> Query:
    ref = PageRef(file="手册.pdf", page=number)
    return Query(id=str(number), question=question, answers=(answer,), relevant=(ref,))


def test_each_case_is_tried() -> None:
    queries = [query(1, "年假有多少天？", "十天"), query(2, "病假最长多少天？", "15天")]
    pages = {
        PageRef(file="手册.pdf", page=1): "第四章\n员工每年享有的年假有十天。",
        PageRef(file="手册.pdf", page=2): "员工的病假最长15天。",
    }
    assert check(queries[0], queries, pages, random.Random(1)) == [True, True, False, False, False]
    assert (
        check(queries[0], queries[:1], {key: pages[key] for key in list(pages)[:1]}, random.Random(1))[2:] == [None] * 3
    )
    assert len(CASES) == 5
