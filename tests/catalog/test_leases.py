"""The queue: each document to one worker at a time, also when workers die."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import pytest

from tests.catalog.conftest import AddFile
from tuwen.catalog import Catalog, this_owner
from tuwen.catalog.owners import has_died
from tuwen.errors import LeaseLostError, NotFoundError
from tuwen.types import DocumentStatus, Problem

ERROR = Problem(code="corrupt_file", message="坏了")
SPAWN = multiprocessing.get_context("spawn")


def lease_all(catalog: Catalog, owner: str) -> list[str]:
    taken = []
    while (document := catalog.lease(owner, 60)) is not None:
        taken.append(document.document_id)
    return taken


def test_oldest_first(catalog: Catalog, add: AddFile) -> None:
    documents = [add(f"{n}.pdf", str(n)).document for n in range(5)]
    assert lease_all(catalog, "w") == [d.document_id for d in documents]


def test_a_lease_carries_what_a_worker_needs(catalog: Catalog, add: AddFile) -> None:
    document = add("法务/a.pdf").document
    catalog.set_pages(document.document_id, 12)
    leased = catalog.lease("w", 60)
    assert leased is not None
    assert (leased.document_id, leased.tenant, leased.collection) == (document.document_id, "acme", "合同")
    assert (leased.media_type, leased.pages, leased.attempts, leased.owner) == ("application/pdf", 12, 1, "w")
    assert catalog.document(document.document_id, tenant="acme").status is DocumentStatus.PROCESSING


def test_only_chosen_documents(catalog: Catalog, add: AddFile) -> None:
    ids = [add(f"{n}.pdf", str(n)).document.document_id for n in range(3)]
    leased = catalog.lease("w", 60, ids[1:])
    assert leased is not None
    assert leased.document_id == ids[1]
    assert catalog.lease("w", 60, []) is None
    many = [f"no-such-{n}" for n in range(25_000)]
    leased = catalog.lease("w", 60, [*many, ids[2]])
    assert leased is not None
    assert leased.document_id == ids[2]


def test_an_expired_lease_is_taken_over_and_the_loser_notices(catalog: Catalog, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    assert catalog.lease("slow", 0.2) is not None
    assert catalog.lease("quick", 60) is None
    assert catalog.renew(document_id, "slow", 0.2)
    time.sleep(0.25)
    taken = catalog.lease("quick", 60)
    assert taken is not None
    assert taken.attempts == 2
    assert not catalog.renew(document_id, "slow", 60)
    assert not catalog.release(document_id, "slow")
    with pytest.raises(LeaseLostError):
        catalog.finish(document_id, owner="slow")
    with pytest.raises(LeaseLostError):
        catalog.fail(document_id, ERROR, owner="slow")
    assert catalog.finish(document_id, owner="quick").document.status is DocumentStatus.READY


def test_a_renewed_lease_is_not_taken_over(catalog: Catalog, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    assert catalog.lease("w", 0.2) is not None
    assert catalog.renew(document_id, "w", 60)
    time.sleep(0.25)
    assert catalog.lease("other", 60) is None


def test_release_gives_the_place_in_the_queue_back(catalog: Catalog, add: AddFile) -> None:
    first, _ = add("a.pdf", "a").document, add("b.pdf", "b").document
    assert catalog.lease("w", 60) is not None
    assert catalog.release(first.document_id, "w")
    again = catalog.lease("w", 60)
    assert again is not None
    assert (again.document_id, again.attempts) == (first.document_id, 1)


def test_what_is_queued_again_goes_to_the_end(catalog: Catalog, add: AddFile) -> None:
    first, second = add("a.pdf", "a").document, add("b.pdf", "b").document
    catalog.fail(first.document_id, ERROR)
    catalog.requeue(first.document_id)
    assert lease_all(catalog, "w") == [second.document_id, first.document_id]


def test_a_deleted_document_is_lost(catalog: Catalog, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    catalog.lease("w", 60)
    catalog.delete(document_id)
    assert not catalog.renew(document_id, "w", 60)
    assert not catalog.release(document_id, "w")
    for late in (
        lambda: catalog.finish(document_id, owner="w"),
        lambda: catalog.fail(document_id, ERROR, owner="w"),
        lambda: catalog.set_pages(document_id, 3),
        lambda: catalog.warn(document_id, 1, "x", "y"),
        lambda: catalog.ledger.done(document_id, 1, "read", "f"),
        lambda: catalog.ledger.failed(document_id, 1, "read", "f", ERROR, 3),
    ):
        with pytest.raises(NotFoundError):
            late()


def test_threads_lease_each_document_once(catalog: Catalog, add: AddFile) -> None:
    ids = [add(f"{n}.pdf", str(n)).document.document_id for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: lease_all(catalog, f"thread-{n}"), range(8)))
    assert Counter(i for part in taken for i in part) == Counter(ids)


def lease_in_child(url: str, pipe: Connection) -> None:
    with Catalog.open(url) as catalog:
        pipe.send("ready")
        pipe.recv()
        pipe.send(lease_all(catalog, this_owner()))


def test_processes_lease_each_document_once(url: str, catalog: Catalog, add: AddFile) -> None:
    ids = [add(f"{n}.pdf", str(n)).document.document_id for n in range(40)]
    pipes, children = [], []
    for _ in range(4):
        ours, theirs = SPAWN.Pipe()
        child = SPAWN.Process(target=lease_in_child, args=(url, theirs))
        child.start()
        pipes.append(ours)
        children.append(child)
    for pipe in pipes:
        assert pipe.recv() == "ready"
    for pipe in pipes:
        pipe.send("go")
    taken = [pipe.recv() for pipe in pipes]
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert Counter(i for part in taken for i in part) == Counter(ids)


def hold_lease(url: str, pipe: Connection) -> None:
    with Catalog.open(url) as catalog:
        leased = catalog.lease(this_owner(), 3600)
        assert leased is not None
        pipe.send(leased.owner)
        time.sleep(60)


def test_leases_of_a_killed_process_are_freed_at_once(url: str, catalog: Catalog, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=hold_lease, args=(url, theirs))
    child.start()
    owner = ours.recv()
    assert catalog.release_dead() == 0  # alive
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert has_died(owner)
    assert catalog.lease("next", 60) is None
    assert catalog.release_dead() == 1
    leased = catalog.lease("next", 60)
    assert leased is not None
    assert leased.document_id == document_id


def test_owners_that_cannot_be_judged_are_left_alone() -> None:
    machine, pid, started, _ = this_owner().split("/")
    assert this_owner() != this_owner()
    assert not has_died(this_owner())
    assert not has_died("someone")
    assert not has_died(f"other-machine/{pid}/{started}/x")
    assert has_died(f"{machine}/{pid}/{int(started) - 100}/x")  # the number was used before by another process
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    time.sleep(0.3)  # ended, and not waited for: a zombie
    assert has_died(f"{machine}/{zombie.pid}/{started}/x")
    zombie.wait()
