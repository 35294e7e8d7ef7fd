"""The points of a page in the index, from what the stages left behind."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from retrieval.base import IndexPoint, PointPayload, point_id
from tuwen.artefacts import Artefacts
from tuwen.catalog import LeasedDocument
from tuwen.types import HitKind


def point_ids(document_id: str, page: int, artefacts: Artefacts) -> list[UUID]:
    """Ids of the points of a page: one for each passage that starts on it, and the page's own.

    Raises:
        NotFoundError: its passages are not stored.
        CorruptFileError: they are damaged.
    """
    passages = artefacts.passages(document_id, page)
    texts = [point_id(document_id, page, passage.kind, passage.ordinal) for passage in passages]
    return [*texts, point_id(document_id, page, HitKind.IMAGE, page)]


def points_of(document: LeasedDocument, page: int, artefacts: Artefacts) -> Iterator[IndexPoint]:
    """The points of a page: one for each passage that starts on it, and the page's own. Raises as :func:`point_ids`."""
    vectors = artefacts.vectors(document.document_id, page)
    passages = artefacts.passages(document.document_id, page)
    where = {
        "tenant": document.tenant,
        "collection": document.collection,
        "document_id": document.document_id,
        "page": page,
    }
    for passage, of_passage in zip(passages, vectors.passages, strict=True):
        payload = PointPayload(
            **where,
            pages=tuple(dict.fromkeys(span.page for span in passage.spans)),
            kind=passage.kind,
            ordinal=passage.ordinal,
            is_contents=passage.is_contents,
        )
        identity = point_id(document.document_id, page, passage.kind, passage.ordinal)
        yield IndexPoint(identity, of_passage, payload)
    contents = bool(passages) and all(passage.is_contents for passage in passages)
    payload = PointPayload(**where, pages=(page,), kind=HitKind.IMAGE, ordinal=page, is_contents=contents)
    yield IndexPoint(point_id(document.document_id, page, HitKind.IMAGE, page), vectors.page, payload)
