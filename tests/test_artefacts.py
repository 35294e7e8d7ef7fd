"""Artefacts come back as they were stored, and damage is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.base import SparseVector, Vector
from tuwen.artefacts import Artefacts, Fingerprints, PageVectors
from tuwen.blobs import FolderBlobs
from tuwen.errors import CorruptFileError, NotFoundError
from tuwen.types import Box, PageRecord, Passage, PassageSpan, Word

PRINTS = Fingerprints("c1", "r1", "p1", "e1")


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    return Artefacts(FolderBlobs(tmp_path), PRINTS)


def sparse(ids: list[int]) -> SparseVector:
    indices = np.array(sorted(set(ids)), np.uint32)
    return SparseVector(indices, np.linspace(0.5, 1.5, len(indices), dtype=np.float32))


ids = st.lists(st.integers(0, 2**32 - 1), max_size=6).map(sparse)
dense = st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4).map(lambda v: np.array(v, np.float32))
late = st.lists(dense, min_size=1, max_size=3).map(np.stack)
rows = st.fixed_dictionaries({"dense": dense, "sparse": ids, "late": late})
pages = st.fixed_dictionaries({"image": dense, "page": ids, "late": late})


def same(one: Vector, other: Vector) -> bool:
    if isinstance(one, SparseVector):
        return isinstance(other, SparseVector) and all(map(np.array_equal, one, other))
    return np.array_equal(one, other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(rows, max_size=4), pages)
def test_vectors_round_trip(artefacts: Artefacts, passages: list[dict[str, Vector]], page: dict[str, Vector]) -> None:
    artefacts.put_vectors("d", 3, PageVectors(tuple(passages), page))
    back = artefacts.vectors("d", 3)
    assert len(back.passages) == len(passages)
    for before, after in zip([*passages, page], [*back.passages, back.page], strict=True):
        assert before.keys() == after.keys()
        assert all(same(before[name], after[name]) for name in before)


def test_pages_and_passages_round_trip(artefacts: Artefacts) -> None:
    record = PageRecord(page=2, width=595, height=842, words=(Word(text="年", box=Box(0, 0, 0.5, 0.5)),))
    passage = Passage(ordinal=0, text="年假", heading_path=("第一章",), spans=(PassageSpan(2, 0, 1),))
    artefacts.put_page("d", record, b"jpeg")
    artefacts.put_passages("d", 2, [passage])
    assert artefacts.page("d", 2) == record
    assert artefacts.page_image("d", 2) == b"jpeg"
    assert artefacts.passages("d", 2) == (passage,)


def test_another_fingerprint_reads_nothing_old(artefacts: Artefacts, tmp_path: Path) -> None:
    artefacts.put_passages("d", 1, [])
    with pytest.raises(NotFoundError):
        Artefacts(FolderBlobs(tmp_path), Fingerprints("c1", "r1", "p2", "e1")).passages("d", 1)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"PK\x03\x04 but no archive"])
def test_damage_is_named(artefacts: Artefacts, tmp_path: Path, damage: bytes) -> None:
    record = PageRecord(page=1, width=1, height=1)
    artefacts.put_page("d", record, b"jpeg")
    artefacts.put_passages("d", 1, [])
    artefacts.put_vectors("d", 1, PageVectors((), {"image": np.ones(2, np.float32)}))
    for file in [*tmp_path.rglob("*.json.z"), *tmp_path.rglob("*.npz")]:
        file.write_bytes(damage)
    for read in (artefacts.page, artefacts.passages, artefacts.vectors):
        with pytest.raises(CorruptFileError, match="000001"):
            read("d", 1)


def test_remove_takes_everything(artefacts: Artefacts, tmp_path: Path) -> None:
    artefacts.put_passages("d", 1, [])
    artefacts.put_passages("e", 1, [])
    assert artefacts.remove("d") == (0, 1)
    assert [path.parts[-3] for path in tmp_path.rglob("*.json.z")] == ["e"]
