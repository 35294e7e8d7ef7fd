"""Deleting: hidden first, then out of every store, with a receipt of what left each.

A delete that was interrupted leaves a tombstone; giving the command again, the next ingest or
``tuwen doctor --fix`` goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable

from retrieval.base import Filter
from tuwen.catalog import Catalog
from tuwen.parts import TENANT, Parts
from tuwen.types import Receipt


def delete(references: Iterable[str], parts: Parts) -> tuple[Receipt, ...]:
    """Remove documents, each with the versions that it replaced; one receipt a version.

    Args:
        references: ids, or beginnings of ids; all are looked up before anything is removed.
        parts: the stores.

    Raises:
        NotFoundError: one is not there; nothing was removed.
        InvalidRequestError: one is the beginning of several ids; nothing was removed.
        UnavailableError: a store cannot be reached: all are hidden, and the rest can be done later.
    """
    catalog = parts.catalog
    chosen = [_full_id(reference, catalog) for reference in references]
    buried = [document_id for one in dict.fromkeys(chosen) for document_id in catalog.tombstone(one)]
    return tuple(purge(document_id, parts) for document_id in dict.fromkeys(buried))


def finish_deletes(parts: Parts) -> tuple[Receipt, ...]:
    """Go on with deletes that were interrupted."""
    return tuple(purge(document_id, parts) for document_id in parts.catalog.tombstones())


def purge(document_id: str, parts: Parts) -> Receipt:
    """Remove what every store holds of a hidden document, the catalog last: until then it stays hidden."""
    where = Filter(documents=(document_id,))
    points = parts.index.delete(where)
    points += sum(index.delete(where) for index in parts.index.older())
    blobs = parts.artefacts.remove(document_id)
    rows = parts.catalog.delete(document_id)
    return Receipt(
        document_id=document_id, catalog=rows, blobs=blobs.originals, index=points, artefacts=blobs.artefacts
    )


def _full_id(reference: str, catalog: Catalog) -> str:
    return catalog.document(reference, tenant=TENANT, include_tombstones=True).document_id
