"""The ledger: idempotent, quick, and it remembers failures."""

import time

import pytest

from tests.catalog.conftest import AddFile
from tuwen.catalog import Catalog, PageState
from tuwen.types import Problem

ERROR = Problem(code="parser_crashed", message="页面解析器崩溃 \0 \udcff")


@pytest.fixture
def document_id(add: AddFile) -> str:
    return add("a.pdf").document.document_id


def test_what_is_recorded_of_a_page(catalog: Catalog, document_id: str) -> None:
    ledger = catalog.ledger
    ledger.done(document_id, 2, "read", "f1", "pages/2.json", 0.5)
    state = ledger.state(document_id, "read", "f1")
    assert {page: entry.state for page, entry in state.items()} == {2: PageState.DONE}
    assert (state[2].artefact, state[2].seconds, state[2].attempts, state[2].error) == ("pages/2.json", 0.5, 1, None)
    assert ledger.done_pages(document_id, "read", "f1") == {2}


def test_another_fingerprint_or_stage_is_another_matter(catalog: Catalog, document_id: str) -> None:
    catalog.ledger.done(document_id, 1, "read", "f1")
    assert catalog.ledger.done_pages(document_id, "read", "f2") == set()
    assert catalog.ledger.done_pages(document_id, "encode", "f1") == set()


def test_failures_add_up_to_quarantine(catalog: Catalog, document_id: str) -> None:
    ledger = catalog.ledger
    assert [ledger.failed(document_id, 1, "read", "f", ERROR, 3) for _ in range(3)] == [False, False, True]
    entry = ledger.state(document_id, "read", "f")[1]
    assert (entry.state, entry.attempts) == (PageState.QUARANTINED, 3)
    assert entry.error is not None
    assert entry.error.code == "parser_crashed"
    assert "页面解析器崩溃" in entry.error.message
    assert ledger.closed_pages(document_id, "read", "f") == {1}
    assert ledger.done_pages(document_id, "read", "f") == set()


def test_success_after_a_failure_clears_the_error(catalog: Catalog, document_id: str) -> None:
    ledger = catalog.ledger
    assert not ledger.failed(document_id, 1, "read", "f", ERROR, 3)
    assert ledger.state(document_id, "read", "f")[1].state is PageState.FAILED
    assert ledger.closed_pages(document_id, "read", "f") == set()
    ledger.done(document_id, 1, "read", "f", "k")
    entry = ledger.state(document_id, "read", "f")[1]
    assert (entry.state, entry.attempts, entry.error, entry.artefact) == (PageState.DONE, 2, None, "k")


def test_forget_by_stage_and_page(catalog: Catalog, document_id: str) -> None:
    ledger = catalog.ledger
    for stage in ("read", "encode", "index"):
        ledger.done(document_id, range(1, 5), stage, "f")
    assert ledger.forget(document_id, ["encode", "index"], [2, 3]) == 4
    assert ledger.done_pages(document_id, "read", "f") == {1, 2, 3, 4}
    assert ledger.done_pages(document_id, "index", "f") == {1, 4}
    assert ledger.forget(document_id, pages=[1]) == 3
    assert ledger.forget(document_id) == 5
    assert ledger.forget(document_id) == 0


def test_many_pages_in_one_transaction_cost_little(catalog: Catalog, document_id: str) -> None:
    pages = range(1, 12_001)  # more than one statement's worth
    catalog.ledger.done(document_id, pages, "read", "f")
    started = time.perf_counter()
    catalog.ledger.done(document_id, pages, "read", "f")
    assert (time.perf_counter() - started) / len(pages) < 0.005
    assert catalog.ledger.done_pages(document_id, "read", "f") == set(pages)
    catalog.ledger.done(document_id, [], "read", "f")


def test_stats(catalog: Catalog, document_id: str, add: AddFile) -> None:
    catalog.ledger.done(document_id, [1, 2], "read", "f")
    catalog.ledger.failed(document_id, 1, "encode", "f", ERROR, 1)
    catalog.warn(document_id, 1, "blank", "x")
    catalog.warn(document_id, 2, "blank", "x")
    catalog.ledger.done(document_id, [1, 2], "read", "after a change of settings")
    add("b.pdf", "b")
    stats = catalog.stats()
    assert stats.documents == {"queued": 2}
    assert stats.pages == {"read": {"done": 2}, "encode": {"quarantined": 1}}
    assert stats.warnings == {"blank": 2}
    assert catalog.stats(tenant="acme") == stats
    assert catalog.stats(tenant="nobody").documents == {}
