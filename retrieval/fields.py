"""The named vectors: which encoder makes each, and which points carry it."""

from __future__ import annotations

from retrieval.base import Encoders, VectorField

DENSE, SPARSE, PAGE, IMAGE = "dense", "sparse", "page", "image"
"""A passage point carries the first two, a page point the last two."""

LATE, LATE_POOLED = "late", "late_pooled"
"""Many vectors each: of a page point if the model sees images, of a passage point otherwise. The pooled ones are few
and have a graph; what they find is scored by the others, which have none."""


def vector_fields(encoders: Encoders) -> tuple[VectorField, ...]:
    """The named vectors that an index for these encoders needs."""
    kinds = {DENSE: encoders.dense, SPARSE: encoders.sparse, PAGE: encoders.sparse, IMAGE: encoders.image}
    fields = [
        VectorField(name=name, kind=encoder.description.kind, dimension=encoder.description.dimension)
        for name, encoder in kinds.items()
    ]
    if encoders.late is not None:
        size = encoders.late.description.dimension
        fields += [
            VectorField(name=LATE, kind="multivector", dimension=size, rescoring=True),
            VectorField(name=LATE_POOLED, kind="multivector", dimension=size),
        ]
    return tuple(fields)
