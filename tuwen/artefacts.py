"""What the stages of ingestion leave behind, by document and page, in the blob store.

Keys: ``documents/{document_id}/original`` and ``documents/{document_id}/{stage}-{fingerprint}/{page:06d}.{ext}``,
so that one prefix holds all of a document and a changed stage never reads an old artefact.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from retrieval.base import RGB, DenseVector, SparseVector, Vector
from tuwen.blobs.base import Blobs
from tuwen.errors import CorruptFileError
from tuwen.types import Model, PageRecord, Passage

_EXTENSIONS: Mapping[str, tuple[str, ...]] = {
    "convert": ("pdf",),
    "read": ("json.z", "jpg"),
    "transcribe": ("json.z",),
    "align": ("json.z",),
    "passages": ("json.z",),
    "encode": ("npz",),
}
_PASSAGES = TypeAdapter(tuple[Passage, ...])
M = TypeVar("M", bound=BaseModel)


class Fingerprints(NamedTuple):
    """Of the stages that leave artefacts; each includes those that it builds on."""

    convert: str
    read: str
    passages: str
    encode: str
    transcribe: str = ""
    """Empty where no model reads pages."""
    align: str = ""

    def of(self, stage: str) -> str:
        """The fingerprint under which the ledger keeps ``stage``; what is indexed is what was encoded."""
        return str(getattr(self, "encode" if stage == "index" else stage))


class Seen(Model):
    """What vision models say about a page, before it is held against the plain reading."""

    markdown: str | None = Field(default=None, description="the transcription; None where no model was asked")
    repeats: bool = Field(default=False, description="a part was left out, since the model repeated itself there")
    caption: str | None = Field(default=None, description="about the page")
    figures: dict[int, str] = Field(default={}, description="about figures, by the order of their plain blocks")


class PageVectors(NamedTuple):
    """Vectors by name: of each passage that starts on a page, in order, and of the page itself."""

    passages: tuple[Mapping[str, Vector], ...]
    page: Mapping[str, Vector]


class Stored(NamedTuple):
    """Keys of the artefacts of a document."""

    current: set[str]
    """Of the stages as they are now."""
    old: set[str]
    """Of other settings or models."""


class Removed(NamedTuple):
    """Blobs that left the store."""

    originals: int
    artefacts: int


class Artefacts:
    """Typed reading and writing of artefacts.

    A missing one raises NotFoundError, a damaged one CorruptFileError; both name the key.
    """

    def __init__(self, blobs: Blobs, fingerprints: Fingerprints) -> None:
        self._blobs = blobs
        self._fingerprints = fingerprints

    def put_original(self, document_id: str, source: BinaryIO) -> None:
        """Store the document's bytes, streamed."""
        self._blobs.put(self._original(document_id), source)

    def original(self, document_id: str) -> AbstractContextManager[Path]:
        """The document's bytes as a local file."""
        return self._blobs.local_path(self._original(document_id))

    def put_converted(self, document_id: str, source: BinaryIO) -> str:
        """Store the PDF that a document was converted to, streamed; its key."""
        key = self._key(document_id, "convert", 0, "pdf")
        self._blobs.put(key, source)
        return key

    def converted(self, document_id: str) -> AbstractContextManager[Path]:
        """The PDF that a document was converted to, as a local file."""
        return self._blobs.local_path(self._key(document_id, "convert", 0, "pdf"))

    def has_converted(self, document_id: str) -> bool:
        """Whether a document was converted under this fingerprint."""
        return self._blobs.exists(self._key(document_id, "convert", 0, "pdf"))

    def has_original(self, document_id: str) -> bool:
        """Whether the bytes are there."""
        return self._blobs.exists(self._original(document_id))

    def remove(self, document_id: str) -> Removed:
        """Remove everything of a document; how much there was."""
        originals = int(self._blobs.delete(self._original(document_id)))
        return Removed(originals, self._blobs.delete_prefix(f"documents/{document_id}/"))

    def document_ids(self) -> dict[str, int]:
        """Documents that anything is stored of, with the number of blobs."""
        return Counter(key.split("/")[1] for key in self._blobs.keys("documents/"))

    def stored(self, document_id: str) -> Stored:
        """What is there of a document."""
        keys = set(self._blobs.keys(f"documents/{document_id}/"))
        current = tuple(self._folder(document_id, stage) for stage in Fingerprints._fields)
        now = {key for key in keys if key.startswith(current)}
        return Stored(now, keys - now - {self._original(document_id)})

    def keys(self, document_id: str, stage: str, pages: Iterable[int]) -> set[str]:
        """The keys that a stage leaves behind for these pages."""
        return {self._key(document_id, stage, page, extension) for page in pages for extension in _EXTENSIONS[stage]}

    def delete(self, keys: Iterable[str]) -> None:
        """Remove single artefacts."""
        for key in keys:
            self._blobs.delete(key)

    def original_digest(self, document_id: str) -> str:
        """SHA-256 of the stored original."""
        with self.original(document_id) as path, path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()

    def put_page(self, document_id: str, record: PageRecord, image: bytes) -> str:
        """Store what a plain reader has of a page, and the page's JPEG; the record's key."""
        self._blobs.put(self._key(document_id, "read", record.page, "jpg"), image)
        return self._put("read", document_id, record.page, record)

    def plain_page(self, document_id: str, page: int) -> PageRecord:
        """What a plain reader has of a page."""
        return self._get("read", document_id, page, PageRecord)

    def put_seen(self, document_id: str, page: int, seen: Seen) -> str:
        """Store what vision models say about a page; its key."""
        return self._put("transcribe", document_id, page, seen)

    def seen(self, document_id: str, page: int) -> Seen:
        """What vision models say about a page."""
        return self._get("transcribe", document_id, page, Seen)

    def put_aligned(self, document_id: str, record: PageRecord) -> str:
        """Store the record that both readers make together; its key."""
        return self._put("align", document_id, record.page, record)

    def page(self, document_id: str, page: int) -> PageRecord:
        """The page record: of both readers where a model reads pages, else of the plain one."""
        stage = "align" if self._fingerprints.align else "read"
        return self._get(stage, document_id, page, PageRecord)

    def page_image(self, document_id: str, page: int) -> bytes:
        """The JPEG of the displayed page."""
        return self._blobs.get(self._key(document_id, "read", page, "jpg"))

    def page_pixels(self, document_id: str, page: int) -> RGB:
        """The picture of the displayed page."""
        with Image.open(io.BytesIO(self.page_image(document_id, page))) as image:
            return np.asarray(image.convert("RGB"))

    def put_passages(self, document_id: str, page: int, passages: Sequence[Passage]) -> str:
        """Store the passages that start on ``page``; their key."""
        key = self._key(document_id, "passages", page, "json.z")
        self._blobs.put(key, zlib.compress(_PASSAGES.dump_json(tuple(passages)), 6))
        return key

    def passages(self, document_id: str, page: int) -> tuple[Passage, ...]:
        """The passages that start on ``page``, in order."""
        key = self._key(document_id, "passages", page, "json.z")
        try:
            return _PASSAGES.validate_json(zlib.decompress(self._blobs.get(key)))
        except (zlib.error, ValidationError) as error:
            raise _damaged(key) from error

    def put_vectors(self, document_id: str, page: int, vectors: PageVectors) -> str:
        """Store the vectors of ``page``; their key."""
        key = self._key(document_id, "encode", page, "npz")
        buffer = io.BytesIO()
        arrays = _pack("passages", vectors.passages) | _pack("page", (vectors.page,))
        np.savez(buffer, allow_pickle=False, **arrays)
        self._blobs.put(key, buffer.getvalue())
        return key

    def vectors(self, document_id: str, page: int) -> PageVectors:
        """The vectors of ``page``."""
        key = self._key(document_id, "encode", page, "npz")
        try:
            with np.load(io.BytesIO(self._blobs.get(key)), allow_pickle=False) as data:
                (of_page,) = _unpack("page", data)
                return PageVectors(tuple(_unpack("passages", data)), of_page)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise _damaged(key) from error

    def _put(self, stage: str, document_id: str, page: int, record: BaseModel) -> str:
        key = self._key(document_id, stage, page, "json.z")
        self._blobs.put(key, zlib.compress(record.model_dump_json().encode(), 6))
        return key

    def _get(self, stage: str, document_id: str, page: int, kind: type[M]) -> M:
        key = self._key(document_id, stage, page, "json.z")
        try:
            return kind.model_validate_json(zlib.decompress(self._blobs.get(key)))
        except (zlib.error, ValidationError) as error:
            raise _damaged(key) from error

    @staticmethod
    def _original(document_id: str) -> str:
        return f"documents/{document_id}/original"

    def _folder(self, document_id: str, stage: str) -> str:
        return f"documents/{document_id}/{stage}-{self._fingerprints.of(stage)}/"

    def _key(self, document_id: str, stage: str, page: int, extension: str) -> str:
        return f"{self._folder(document_id, stage)}{page:06d}.{extension}"


def _pack(group: str, rows: Sequence[Mapping[str, Vector]]) -> dict[str, NDArray[Any]]:
    """Arrays by ``group.name``: dense vectors one row each, other kinds end to end with their lengths.

    Sparse vectors are ``group.name.{lengths,indices,values}``, multivectors ``group.name.{lengths,vectors}``.
    """
    arrays: dict[str, NDArray[Any]] = {f"{group}.rows": np.array(len(rows))}
    for name in rows[0] if rows else ():
        column = [row[name] for row in rows]
        for part, array in _pack_column(column).items():
            arrays[f"{group}.{name}.{part}" if part else f"{group}.{name}"] = array
    return arrays


def _pack_column(column: Sequence[Vector]) -> dict[str, NDArray[Any]]:
    sparse = [vector for vector in column if isinstance(vector, SparseVector)]
    if sparse:
        return {
            "lengths": np.array([len(vector.indices) for vector in sparse], np.int64),
            "indices": np.concatenate([vector.indices for vector in sparse]),
            "values": np.concatenate([vector.values for vector in sparse]),
        }
    full = cast("Sequence[DenseVector]", column)
    if full[0].ndim == 1:
        return {"": np.stack(full)}
    return {"lengths": np.array([len(vectors) for vectors in full], np.int64), "vectors": np.concatenate(full)}


def _unpack(group: str, arrays: Mapping[str, NDArray[Any]]) -> list[dict[str, Vector]]:
    rows: list[dict[str, Vector]] = [{} for _ in range(int(arrays[f"{group}.rows"]))]
    for key in arrays:
        owner, name, *part = key.split(".")
        if owner != group or name == "rows" or (part and part != ["lengths"]):
            continue
        column = _unpack_column(f"{group}.{name}", arrays) if part else arrays[key]
        for row, vector in zip(rows, column, strict=True):
            row[name] = vector
    return rows


def _unpack_column(stem: str, arrays: Mapping[str, NDArray[Any]]) -> Iterable[Vector]:
    ends = np.cumsum(arrays[f"{stem}.lengths"])[:-1]
    if f"{stem}.vectors" in arrays:
        return np.split(arrays[f"{stem}.vectors"], ends)
    parts = np.split(arrays[f"{stem}.indices"], ends), np.split(arrays[f"{stem}.values"], ends)
    return map(SparseVector, *parts)


def _damaged(key: str) -> CorruptFileError:
    return CorruptFileError(f"The stored artefact {key} is damaged; read its document again.")
