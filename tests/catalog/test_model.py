"""Any sequence of adding, finishing, failing, retrying and deleting agrees with a model of a few lines."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.catalog.conftest import add_file, answering
from tuwen.catalog import Catalog, document_id_for, sqlite_url
from tuwen.types import DocumentStatus, Problem

PATHS = st.sampled_from(["a.pdf", "b.pdf"])
CONTENTS = st.sampled_from(["1", "2", "3"])


@dataclass
class Entry:
    """A document as the model remembers it."""

    path: str
    content: str
    version: int
    status: str
    answers: bool = False

    @property
    def replaced(self) -> bool:
        return self.status == "ready" and not self.answers


class CatalogMachine(RuleBasedStateMachine):
    """The model keeps entries by (path, content); DESIGN section 2 in plain Python."""

    @initialize()
    def open(self) -> None:
        memory = Path("/dev/shm")
        self.folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.catalog = Catalog.open(sqlite_url(Path(self.folder.name) / "catalog.db"))
        self.collection = self.catalog.collection(create=True)
        self.entries: dict[str, Entry] = {}

    def teardown(self) -> None:
        if hasattr(self, "catalog"):
            self.catalog.close()
            self.folder.cleanup()

    @rule(path=PATHS, content=CONTENTS)
    def add(self, path: str, content: str) -> None:
        added = add_file(self.catalog, self.collection, path, content)
        document_id = document_id_for("default", "default", path, content.encode().hex().ljust(64, "0"))
        known = self.entries.get(document_id)
        if known:
            newest = max(entry.version for entry in self.entries.values() if entry.path == path)
            known.version = newest if known.version == newest else newest + 1
            if known.status == "ready" and known.answers:
                expected = (document_id, False)
            else:
                known.status = "queued"
                expected = (None, True)
        elif twin := self.twin(content):
            expected = (twin, False)
        else:
            versions = [entry.version for entry in self.entries.values() if entry.path == path]
            self.entries[document_id] = Entry(path, content, max(versions, default=0) + 1, "queued")
            expected = (None, True)
        assert (added.document.duplicate_of, added.is_new) == expected
        assert (added.document.status is DocumentStatus.DUPLICATE) == (not added.is_new)

    def twin(self, content: str) -> str | None:
        """A document with these bytes that answers, or will, as the newest that its path holds."""
        candidates = [
            document_id
            for document_id, entry in self.entries.items()
            if entry.content == content
            and (entry.answers or entry.status == "queued")
            and not any(
                other.path == entry.path and other.version > entry.version and other.status != "failed"
                for other in self.entries.values()
            )
        ]
        return candidates[0] if candidates else None  # insertion order is age

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        document_id = self.pick(data, lambda entry: entry.status == "queued")
        if document_id is None:
            return
        entry = self.entries[document_id]
        finished = self.catalog.finish(document_id)
        rivals = {i: e for i, e in self.entries.items() if e.path == entry.path and e.answers and e is not entry}
        entry.status = "ready"
        if any(rival.version > entry.version for rival in rivals.values()):
            entry.answers = False
            assert finished.replaced == (document_id,)
            return
        for rival in rivals.values():
            rival.answers = False
        entry.answers = True
        assert set(finished.replaced) == set(rivals)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        document_id = self.pick(data, lambda entry: entry.status == "queued")
        if document_id is not None:
            self.catalog.fail(document_id, Problem(code="corrupt_file", message="坏了"))
            self.entries[document_id].status = "failed"
            self.entries[document_id].answers = False  # its points may come from an earlier reading

    @rule()
    def retry(self) -> None:
        failed = {i for i, entry in self.entries.items() if entry.status == "failed"}
        assert {d.document_id for d in self.catalog.retry_failed(self.collection)} == failed
        for document_id in failed:
            self.entries[document_id].status = "queued"

    @rule(data=st.data())
    def reread(self, data: st.DataObject) -> None:
        document_id = self.pick(data, lambda entry: entry.answers)
        if document_id is not None:
            self.catalog.requeue(document_id)
            self.entries[document_id].status = "queued"

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        document_id = self.pick(data, lambda _: True)
        if document_id is not None:
            chosen = self.entries[document_id]
            older = {i for i, e in self.entries.items() if chosen.answers and e.path == chosen.path and e.replaced}
            buried = self.catalog.tombstone(document_id)
            assert buried[-1] == document_id
            assert set(buried) == older | {document_id}
            for one in buried:
                assert self.catalog.delete(one) == 1
                del self.entries[one]

    def pick(self, data: st.DataObject, wanted: object) -> str | None:
        ids = [document_id for document_id, entry in self.entries.items() if wanted(entry)]  # type: ignore[operator]
        return data.draw(st.sampled_from(ids)) if ids else None

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "catalog"):
            return
        everything = self.catalog.documents(self.collection, include_replaced=True).documents
        seen = {d.document_id: (d.path, d.version, d.status.value) for d in everything}
        assert seen == {i: (e.path, e.version, e.status) for i, e in self.entries.items()}
        listed = {d.document_id for d in self.catalog.documents(self.collection).documents}
        assert listed == {i for i, e in self.entries.items() if not e.replaced}
        expected = {i for i, e in self.entries.items() if e.answers}
        assert answering(self.catalog, self.entries) == expected
        assert len({self.entries[i].path for i in expected}) == len(expected), "two versions of a path answer"


TestCatalogMachine = CatalogMachine.TestCase
TestCatalogMachine.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
