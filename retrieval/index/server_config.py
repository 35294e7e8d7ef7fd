"""How a collection on a Qdrant server is made, and how its vectors are read back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from retrieval.base import VectorField
from retrieval.index.schema import UPSERT_BATCH, PayloadKind, required_dimension
from tuwen.settings import ServerIndexSettings

PAYLOAD_SCHEMAS: Mapping[PayloadKind, models.PayloadSchemaType | models.KeywordIndexParams] = {
    "tenant": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "keyword": models.PayloadSchemaType.KEYWORD,
    "integer": models.PayloadSchemaType.INTEGER,
}
"""``is_tenant`` stores the points of a tenant side by side, which its filters then read in one go."""

_MAX_OVERSAMPLING = 8.0
_MAX_CONDITIONS = 64
_MAX_MULTIVECTOR = 4096


def collection_config(settings: ServerIndexSettings, fields: Sequence[VectorField]) -> dict[str, Any]:
    """The arguments of ``create_collection``, but for the name."""
    quantization = quantization_config(settings)
    return {
        "vectors_config": {f.name: _vector_params(f, quantization) for f in fields if f.kind != "sparse"},
        "sparse_vectors_config": {
            f.name: models.SparseVectorParams(modifier=models.Modifier.IDF) for f in fields if f.kind == "sparse"
        },
        "shard_number": settings.shards,
        "replication_factor": settings.replicas,
        "write_consistency_factor": settings.write_consistency,
        "strict_mode_config": _strict_mode() if settings.strict_mode else None,
    }


def stored_fields(info: models.CollectionInfo) -> tuple[VectorField, ...]:
    """The named vectors of a collection, by name."""
    dense = info.config.params.vectors
    found = [_field(name, params) for name, params in dense.items()] if isinstance(dense, dict) else []
    found += [VectorField(name=name, kind="sparse") for name in info.config.params.sparse_vectors or {}]
    return tuple(sorted(found, key=lambda field: field.name))


def quantization_config(settings: ServerIndexSettings) -> models.QuantizationConfig | None:
    """Quantised copies stay in memory, whatever happens to the vectors themselves."""
    pinned = models.Memory.PINNED
    match settings.quantization:
        case "none":
            return None
        case "scalar":
            scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, memory=pinned)
            return models.ScalarQuantization(scalar=scalar)
        case "turbo":
            turbo = models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, memory=pinned)
            return models.TurboQuantization(turbo=turbo)
        case "binary":
            return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(memory=pinned))


def search_params(settings: ServerIndexSettings) -> models.SearchParams:
    """What was found by quantised copies is scored again by the vectors themselves."""
    if settings.quantization == "none":
        return models.SearchParams()
    rescoring = models.QuantizationSearchParams(rescore=True, oversampling=settings.oversampling)
    return models.SearchParams(quantization=rescoring)


def _vector_params(field: VectorField, quantization: models.QuantizationConfig | None) -> models.VectorParams:
    multi = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    return models.VectorParams(
        size=required_dimension(field),
        distance=models.Distance.COSINE,
        multivector_config=multi if field.kind == "multivector" else None,
        # Of vectors that only rescore, few are read a query: no graph over them, and no room in memory for them.
        hnsw_config=models.HnswConfigDiff(m=0, payload_m=0) if field.rescoring else None,
        memory=models.Memory.COLD if field.rescoring else None,
        quantization_config=quantization,
    )


def _field(name: str, params: models.VectorParams) -> VectorField:
    return VectorField(
        name=name,
        kind="multivector" if params.multivector_config else "dense",
        dimension=params.size,
        rescoring=params.hnsw_config is not None and params.hnsw_config.m == 0,
    )


def _strict_mode() -> models.StrictModeConfig:
    """Refuses what would make the server read everything: filters without an index, exact search, huge batches."""
    return models.StrictModeConfig(
        enabled=True,
        unindexed_filtering_retrieve=False,
        unindexed_filtering_update=False,
        search_allow_exact=False,
        search_max_oversampling=_MAX_OVERSAMPLING,
        upsert_max_batchsize=UPSERT_BATCH,
        filter_max_conditions=_MAX_CONDITIONS,
    )
