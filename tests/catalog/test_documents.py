"""Documents: what is new, a duplicate, a version; listings, tenants, deletes (DESIGN section 2)."""

import pytest

from tests.catalog.conftest import AddFile, answering
from tuwen.catalog import Catalog, Collection, document_id_for
from tuwen.errors import InvalidRequestError, NotFoundError, StorageUnavailableError
from tuwen.types import Document, DocumentStatus, Problem

ERROR = Problem(code="corrupt_file", message="坏了")


def ready(catalog: Catalog, document: Document) -> tuple[str, ...]:
    return catalog.finish(document.document_id).replaced


def test_a_new_document_waits_in_the_queue(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    added = add("法务/合同.pdf")
    assert added.is_new
    assert added.document == catalog.document(added.document.document_id, tenant="acme")
    assert added.document.status is DocumentStatus.QUEUED
    assert (added.document.name, added.document.path, added.document.version) == ("合同.pdf", "法务/合同.pdf", 1)
    assert added.document.created_at.endswith("Z")
    assert added.document.document_id == document_id_for("acme", "合同", "法务/合同.pdf", added.document.sha256)


def test_same_bytes_elsewhere_are_a_duplicate(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    first = add("a.pdf").document
    for _ in ("while queued", "when ready"):
        again = add("b.pdf")
        assert not again.is_new
        assert again.document.status is DocumentStatus.DUPLICATE
        assert again.document.duplicate_of == first.document_id
        assert (again.document.name, again.document.path) == ("b.pdf", "b.pdf")
        ready(catalog, first)
    assert [d.path for d in catalog.documents(collection).documents] == ["a.pdf"]


def test_same_file_again_is_a_duplicate_only_once_it_is_ready(catalog: Catalog, add: AddFile) -> None:
    first = add("a.pdf").document
    assert add("a.pdf") == (first, True)
    ready(catalog, first)
    again = add("a.pdf")
    assert (again.is_new, again.document.duplicate_of) == (False, first.document_id)


def test_a_failed_file_sent_again_is_the_same_document_in_the_queue(catalog: Catalog, add: AddFile) -> None:
    first = add("a.pdf").document
    failed = catalog.fail(first.document_id, ERROR)
    assert (failed.status, failed.error) == (DocumentStatus.FAILED, ERROR)
    assert add("a.pdf") == (first, True)


def test_a_failed_document_is_no_reason_to_refuse_its_bytes_elsewhere(catalog: Catalog, add: AddFile) -> None:
    first = add("a.pdf").document
    catalog.fail(first.document_id, ERROR)
    assert add("b.pdf").is_new


def test_same_bytes_in_another_collection_are_another_document(catalog: Catalog, add: AddFile) -> None:
    first = add("a.pdf").document
    for tenant, name in (("acme", "财务"), ("rival", "合同")):
        other = add("a.pdf", into=catalog.collection(tenant, name, create=True))
        assert other.is_new
        assert other.document.document_id != first.document_id


def test_a_version_replaces_the_one_before_when_it_is_ready(
    catalog: Catalog, collection: Collection, add: AddFile
) -> None:
    old = add("a.pdf", "1").document
    assert ready(catalog, old) == ()
    new = add("a.pdf", "2").document
    assert (new.version, new.status) == (2, DocumentStatus.QUEUED)
    assert answering(catalog, [old.document_id, new.document_id]) == {old.document_id}
    assert ready(catalog, new) == (old.document_id,)
    assert answering(catalog, [old.document_id, new.document_id]) == {new.document_id}
    assert [d.version for d in catalog.documents(collection).documents] == [2]
    assert [d.version for d in catalog.documents(collection, include_replaced=True).documents] == [1, 2]
    assert catalog.replaced() == [old.document_id]
    assert catalog.stats(collection).documents == {"ready": 1}


def test_a_version_that_fails_leaves_the_old_one_answering(catalog: Catalog, add: AddFile) -> None:
    old, new = add("a.pdf", "1").document, None
    ready(catalog, old)
    new = add("a.pdf", "2").document
    catalog.fail(new.document_id, ERROR)
    assert answering(catalog, [old.document_id, new.document_id]) == {old.document_id}


def test_an_older_version_that_ends_later_does_not_replace_a_newer_one(catalog: Catalog, add: AddFile) -> None:
    old, new = add("a.pdf", "1").document, add("a.pdf", "2").document
    assert ready(catalog, new) == ()
    assert ready(catalog, old) == (old.document_id,)
    assert answering(catalog, [old.document_id, new.document_id]) == {new.document_id}


def test_a_file_put_back_to_its_old_bytes_is_a_version_of_its_own(catalog: Catalog, add: AddFile) -> None:
    old, new = add("a.pdf", "1").document, add("a.pdf", "2").document
    ready(catalog, old)
    ready(catalog, new)
    back = add("a.pdf", "1")
    assert (back.is_new, back.document.document_id, back.document.version) == (True, old.document_id, 3)
    assert back.document.status is DocumentStatus.QUEUED
    assert ready(catalog, back.document) == (new.document_id,)


def test_putting_back_the_old_bytes_before_the_new_version_is_ready_keeps_the_old(
    catalog: Catalog, add: AddFile
) -> None:
    old = add("a.pdf", "1").document
    ready(catalog, old)
    new = add("a.pdf", "2").document
    assert not add("a.pdf", "1").is_new
    assert ready(catalog, new) == (new.document_id,)
    assert answering(catalog, [old.document_id, new.document_id]) == {old.document_id}


def test_bytes_that_are_about_to_be_replaced_are_no_reason_for_a_duplicate(catalog: Catalog, add: AddFile) -> None:
    ready(catalog, add("a.pdf", "1").document)
    add("a.pdf", "2")
    assert add("b.pdf", "1").is_new


def test_warnings_make_it_ready_with_warnings(catalog: Catalog, add: AddFile) -> None:
    document = add("a.pdf").document
    for message in ("第一次", "第二次"):
        catalog.warn(document.document_id, 3, "page_failed", message)
    catalog.warn(document.document_id, 2, "low_ocr_confidence", "NUL \0 and a surrogate \udcff")
    finished = catalog.finish(document.document_id).document
    assert finished.status is DocumentStatus.READY_WITH_WARNINGS
    assert [(w.page, w.code) for w in finished.warnings] == [(2, "low_ocr_confidence"), (3, "page_failed")]
    assert finished.warnings[1].message == "第二次"
    catalog.clear_warnings(document.document_id, [3])
    assert [w.page for w in catalog.document(document.document_id, tenant="acme").warnings] == [2]


def test_documents_are_found_by_the_beginning_of_their_id(catalog: Catalog, add: AddFile) -> None:
    documents = [add(f"{n}.pdf", str(n)).document for n in range(20)]
    for document in documents:
        assert catalog.document(document.document_id[:13].upper(), tenant="acme") == document
    beginnings = {document.document_id[0] for document in documents}
    assert len(beginnings) < 20
    twice = next(b for b in beginnings if sum(d.document_id[0] == b for d in documents) > 1)
    with pytest.raises(InvalidRequestError, match="more of the id"):
        catalog.document(twice, tenant="acme")
    for nothing in ("", "%", "zzz", "_"):
        with pytest.raises(NotFoundError):
            catalog.document(nothing, tenant="acme")


def test_tenants_do_not_see_each_other(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    document = add("a.pdf").document
    rivals = catalog.collection("rival", "合同", create=True)
    with pytest.raises(NotFoundError):
        catalog.document(document.document_id, tenant="rival")
    with pytest.raises(NotFoundError):
        catalog.document(document.document_id, collection=rivals)
    assert catalog.documents(rivals).documents == ()
    assert catalog.documents(tenant="rival").documents == ()
    assert [c.name for c in catalog.collections("rival")] == ["合同"]
    assert catalog.retry_failed(tenant="rival") == []
    assert catalog.stats(tenant="rival").documents == {}
    with pytest.raises(NotFoundError):
        catalog.collection("rival", "财务")


def test_listing_by_cursor_sees_each_document_once(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    for n in range(7):
        add(f"{n}.pdf", str(n))
    seen: list[str] = []
    cursor = None
    while True:
        page = catalog.documents(collection, limit=3, cursor=cursor)
        seen += [document.name for document in page.documents]
        cursor = page.next_cursor
        if cursor is None:
            break
        if len(seen) == 3:
            catalog.delete(catalog.documents(collection, name="2.pdf").documents[0].document_id)
    assert seen == [f"{n}.pdf" for n in range(7)]
    for wrong in ("", "!", "YWJj", "é", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS94"):
        with pytest.raises(InvalidRequestError, match="cursor"):
            catalog.documents(collection, cursor=wrong)


def test_listing_filters(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    names = ["年报2024.PDF", "年报_2025.pdf", "合同%.pdf"]
    ids = [add(name, name).document.document_id for name in names]
    catalog.fail(ids[1], ERROR)

    def listed(**filters: object) -> list[str]:
        return [d.name for d in catalog.documents(collection, **filters).documents]  # type: ignore[arg-type]

    assert listed(name="年报") == names[:2]
    assert listed(name=".pdf") == names
    assert listed(name="%") == names[2:]
    assert listed(name="_") == names[1:2]
    assert listed(status=DocumentStatus.FAILED) == names[1:2]
    assert listed(status=[DocumentStatus.FAILED, DocumentStatus.QUEUED]) == names
    assert listed(ids=ids[1:]) == names[1:]
    assert listed(ids=[]) == []


@pytest.mark.parametrize("path", ["", "\udcff.pdf", "a\0.pdf"])
def test_paths_that_are_not_text_are_refused(add: AddFile, path: str) -> None:
    with pytest.raises(InvalidRequestError, match="path"):
        add(path)


def test_a_tombstone_hides_at_once_and_delete_counts_rows(
    catalog: Catalog, collection: Collection, add: AddFile
) -> None:
    document_id = add("a.pdf").document.document_id
    catalog.ledger.done(document_id, [1, 2, 3], "read", "f")
    catalog.warn(document_id, 1, "x", "y")
    catalog.finish(document_id)
    catalog.tombstone(document_id)
    assert catalog.documents(collection).documents == ()
    assert answering(catalog, [document_id]) == set()
    assert catalog.hidden(collection) == {document_id}
    assert catalog.lease("w", 60) is None
    with pytest.raises(NotFoundError):
        catalog.finish(document_id)
    with pytest.raises(StorageUnavailableError, match="being deleted"):
        add("a.pdf")
    assert catalog.tombstones() == [document_id]
    assert catalog.delete(document_id) == 5
    assert catalog.delete(document_id) == 0
    assert catalog.tombstones() == []
    assert add("a.pdf").is_new


def test_hidden_are_those_that_left_traces_and_do_not_answer(
    catalog: Catalog, collection: Collection, add: AddFile
) -> None:
    waiting, begun, ready_one = (add(f"{n}.pdf", str(n)).document.document_id for n in range(3))
    for document_id in (begun, ready_one):
        catalog.ledger.done(document_id, 1, "read", "f")
    catalog.finish(ready_one)
    assert waiting not in catalog.hidden(collection)
    assert catalog.hidden(collection) == {begun}
    catalog.requeue(ready_one)  # reread: it answers as before meanwhile
    assert catalog.hidden(collection) == {begun}


def test_stale_are_those_that_answer_from_an_earlier_reading(catalog: Catalog, add: AddFile) -> None:
    old, new, waiting = (add(f"{n}.pdf", str(n)).document.document_id for n in range(3))
    for document_id, fingerprint in ((old, "f1"), (new, "f2")):
        catalog.ledger.done(document_id, [1, 2], "index", fingerprint)
        catalog.finish(document_id)
    assert catalog.stale("index", "f1") == [new]
    assert catalog.stale("index", "f2") == [old]
    assert set(catalog.stale("index", "f3")) == {old, new}
    assert waiting not in catalog.stale("index", "f3")
    catalog.requeue(old)  # once it is queued again, it is not asked for twice
    assert catalog.stale("index", "f2") == []


def test_retry_failed(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    failed, lame, fine = (add(f"{n}.pdf", str(n)).document.document_id for n in range(3))
    catalog.fail(failed, ERROR)
    catalog.ledger.done(lame, 1, "read", "f")
    assert catalog.ledger.failed(lame, 2, "read", "f", ERROR, max_attempts=1)
    catalog.warn(lame, 1, "hidden_text", "stays")
    catalog.warn(lame, 2, "page_failed", "goes")
    catalog.finish(lame)
    catalog.finish(fine)
    retried = catalog.retry_failed(collection)
    assert [(d.document_id, d.status, d.error) for d in retried] == [
        (failed, DocumentStatus.QUEUED, None),
        (lame, DocumentStatus.QUEUED, None),
    ]
    assert [w.page for w in retried[1].warnings] == [1]
    assert catalog.ledger.closed_pages(lame, "read", "f") == {1}
    assert catalog.retry_failed(collection) == []


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_what_ended_without_result_starts_afresh_when_it_is_added_again(
    catalog: Catalog, add: AddFile, end: str
) -> None:
    document_id = add("a.pdf").document.document_id
    catalog.ledger.done(document_id, 1, "read", "f")
    catalog.ledger.failed(document_id, 2, "read", "f", ERROR, max_attempts=1)
    catalog.warn(document_id, 2, "page_failed", "goes")
    if end == "fail":
        catalog.fail(document_id, ERROR)
    else:
        catalog.cancel(document_id)
    again = add("a.pdf").document
    assert (again.status, again.warnings) == (DocumentStatus.QUEUED, ())
    assert catalog.ledger.closed_pages(document_id, "read", "f") == {1}


def test_what_was_made_of_a_document_without_a_page_is_made_again_with_it(catalog: Catalog, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    for stage in ("read", "encode", "index"):
        catalog.ledger.done(document_id, 1, stage, "f")
    catalog.ledger.done(document_id, 0, "passages", "f")
    catalog.ledger.failed(document_id, 2, "read", "f", ERROR, max_attempts=1)
    catalog.finish(document_id)
    catalog.retry_failed(tenant="acme")
    kept = {stage for stage in ("read", "passages", "encode", "index") if catalog.ledger.state(document_id, stage, "f")}
    assert kept == {"read", "encode", "index"}


def test_deleting_a_document_takes_along_the_versions_that_it_replaced(catalog: Catalog, add: AddFile) -> None:
    old, new, other = (add(*file).document.document_id for file in (("a.pdf", "1"), ("a.pdf", "2"), ("b.pdf", "3")))
    for document_id in (old, new, other):
        catalog.finish(document_id)
    newest = add("a.pdf", "4").document.document_id
    catalog.fail(newest, ERROR)
    assert catalog.tombstone(newest) == [newest], "it replaced none"
    assert catalog.tombstone(new) == [old, new]
    assert catalog.tombstone(new) == [new], "begun already"
    assert answering(catalog, [old, new, other, newest]) == {other}
    assert set(catalog.tombstones()) == {old, new, newest}
    with pytest.raises(NotFoundError):
        catalog.document(new, tenant="acme")
    assert catalog.document(new, tenant="acme", include_tombstones=True).document_id == new


def test_a_failed_new_reading_does_not_answer(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    ready(catalog, catalog.document(document_id, tenant="acme"))
    catalog.requeue(document_id)
    catalog.fail(document_id, ERROR)
    assert answering(catalog, [document_id]) == set()
    assert catalog.hidden(collection) == {document_id}
    assert add("b.pdf").is_new, "its bytes are not refused elsewhere"


def test_cancel(catalog: Catalog, add: AddFile) -> None:
    document_id = add("a.pdf").document.document_id
    assert catalog.lease("w", 60) is not None
    assert catalog.cancel(document_id).status is DocumentStatus.CANCELLED
    assert not catalog.renew(document_id, "w", 60)
    assert catalog.lease("w", 60) is None
    with pytest.raises(InvalidRequestError, match="cancelled"):
        catalog.cancel(document_id)
    assert add("a.pdf").document.status is DocumentStatus.QUEUED


def test_collections(catalog: Catalog, collection: Collection, add: AddFile) -> None:
    assert catalog.collection("acme", "合同", create=True) == collection
    add("a.pdf")
    with pytest.raises(InvalidRequestError, match="still holds"):
        catalog.delete_collection(collection)
    empty = catalog.collection("acme", "空", create=True, description="无")
    assert empty.description == "无"
    catalog.delete_collection(empty)
    with pytest.raises(NotFoundError):
        catalog.delete_collection(empty)
    with pytest.raises(NotFoundError):
        add("b.pdf", into=empty)
    with pytest.raises(InvalidRequestError):
        catalog.collection("acme", "", create=True)
