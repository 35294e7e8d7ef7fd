"""Evaluation datasets: folders in the form of DESIGN section 7, any part of which may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuwen.errors import InvalidRequestError


class _Record(BaseModel):
    # Datasets carry fields for other readers (licences, evidence boxes), so unknown ones are left alone.
    model_config = ConfigDict(frozen=True, extra="ignore")


class PageRef(_Record):
    """A page of a document."""

    file: str = Field(min_length=1, description="name below documents/, with forward slashes")
    page: int = Field(ge=1)


class OcrItem(PageRef):
    """What stands on a page."""

    text: str
    match: Literal["full", "contains"] = Field(
        default="full", description="full: the text is all that is printed; contains: a part of it"
    )
    tags: tuple[str, ...] = ()


class Query(_Record):
    """A question, the strings that answer it, and the pages that hold an answer."""

    id: str = Field(min_length=1)
    question: str = Field(description="may be blank, as in some published sets; counts as a miss")
    answers: tuple[str, ...] = ()
    relevant: tuple[PageRef, ...] = ()
    answerable: bool = True
    tags: tuple[str, ...] = ()


class Dataset(NamedTuple):
    """A loaded dataset."""

    name: str
    folder: Path
    files: tuple[str, ...]
    """Documents, relative to ``documents/``, sorted."""
    ocr: tuple[OcrItem, ...]
    queries: tuple[Query, ...]

    def document(self, file: str) -> Path:
        """Where a document lies."""
        return self.folder / "documents" / file


_R = TypeVar("_R", bound=_Record)


def load_dataset(folder: Path) -> Dataset:
    """Read and check a dataset.

    Raises:
        InvalidRequestError: no such folder, or a line that is not in the form; names file, line and field.
    """
    if not folder.is_dir():
        raise InvalidRequestError(f"{folder}: no such dataset folder.")
    ocr = _read(folder / "ocr.jsonl", OcrItem)
    queries = _read(folder / "queries.jsonl", Query)
    documents = folder / "documents"
    paths = sorted(documents.rglob("*")) if documents.is_dir() else []
    files = tuple(p.relative_to(documents).as_posix() for p in paths if p.is_file())
    if not (ocr or queries):
        raise InvalidRequestError(f"{folder}: neither ocr.jsonl nor queries.jsonl holds anything to measure.")
    _check(folder, files, ocr, queries)
    return Dataset(folder.resolve().name, folder, files, ocr, queries)


def _read(path: Path, model: type[_R]) -> tuple[_R, ...]:
    if not path.is_file():
        return ()
    records = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            records.append(model.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise InvalidRequestError(f"{path}:{number}: {where}: {first['msg']}") from error
    return tuple(records)


def _check(folder: Path, files: Sequence[str], ocr: Iterable[OcrItem], queries: Sequence[Query]) -> None:
    known, seen = set(files), set[str]()
    for item in ocr:
        _check_file(folder / "ocr.jsonl", item, known)
    for query in queries:
        path = folder / "queries.jsonl"
        if query.id in seen:
            raise InvalidRequestError(f"{path}: the id {query.id} stands twice.")
        seen.add(query.id)
        for page in query.relevant:
            _check_file(path, page, known)
        if query.answerable and not query.relevant:
            raise InvalidRequestError(f"{path}: {query.id} is answerable but names no relevant page.")


def _check_file(path: Path, page: PageRef, known: set[str]) -> None:
    if page.file not in known:
        raise InvalidRequestError(f"{path}: {page.file} is not in documents/.")
