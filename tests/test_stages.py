"""Stages as pure functions; what they do in child processes is tested in ``tests/engine``."""

from tuwen.stages import _by_page
from tuwen.types import Passage, PassageSpan


def passage(ordinal: int, page: int) -> Passage:
    return Passage(ordinal=ordinal, text="年假", spans=(PassageSpan(page, 0, 2),))


def test_every_page_gets_its_passages_one_page_at_a_time() -> None:
    given = [passage(0, 2), passage(1, 2), passage(2, 5)]
    taken = []
    stream = (taken.append(one.page) or one for one in given)
    grouped = _by_page(stream, [1, 2, 4, 5, 6])
    assert next(grouped) == (1, ())
    assert next(grouped) == (2, tuple(given[:2]))
    assert taken == [2, 2, 5], "read ahead by one passage only"
    assert list(grouped) == [(4, ()), (5, (given[2],)), (6, ())]


def test_a_document_without_passages_has_none_on_any_page() -> None:
    assert list(_by_page(iter(()), [1, 2])) == [(1, ()), (2, ())]
