"""The presets that are shipped: what each changes of the defaults. ``tuwen.reference`` writes them to ``configs/``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tuwen.settings import Settings


class Preset(NamedTuple):
    """One file in ``configs/``."""

    name: str
    heading: str
    """What it is for, as the comment that the file begins with."""
    changes: Mapping[str, Any]
    """Settings that differ from the defaults."""

    @property
    def settings(self) -> Settings:
        """All of them."""
        return Settings.model_validate({"preset": self.name, **self.changes})


_EMBEDDING = "Qwen/Qwen3-VL-Embedding-2B"
_RERANKER = "Qwen/Qwen3-VL-Reranker-2B"
_HALF = 0.5
"""Of the memory of the GPU: the rest is for the encoder and the reranker beside the model."""


def _in_process(**more: object) -> dict[str, object]:
    return {"adapter": "internvl", "memory_share": _HALF, **more}


def _embedding(adapter: str, **more: object) -> dict[str, object]:
    return {"adapter": adapter, "model": _EMBEDDING, **more}


def _served(**more: object) -> dict[str, object]:
    return {"adapter": "openai", "context_tokens": 32_768, "served": {"send_tiles": True}, **more}


_SERVED_EMBEDDING = {"url": "http://localhost:8001/v1", "chat": True, "concurrency": 16}

PRESETS = (
    Preset("embedded", "# The embedded preset: a laptop or CI; no GPU, no server, no download.\n", {}),
    Preset(
        "gpu",
        """\
# The GPU preset: one machine with one GPU. InternVL3Fangwusha2B reads pages, captions them and answers from them in
# this process; Qwen3-VL gives the vectors of texts and page images, and reads the best pages again with the question;
# a Qdrant server holds the index.
#
# Needs `pip install 'tuwen[embedded,gpu,server]'` and a Qdrant server. Each child process that encodes loads a model
# of its own, so that ingest.workers is small and ingest.limits.max_memory_mb large.
""",
        {
            "ingest": {"workers": 2, "limits": {"max_memory_mb": 24_000}},
            "encoders": {"dense": _embedding("sentence_transformers"), "image": _embedding("sentence_transformers")},
            "index": {"adapter": "server"},
            "search": {"reranker": {"adapter": "sentence_transformers", "model": _RERANKER}},
            "answer": {"adapter": "vlm"},
            "models": {"transcribe": _in_process(min_tiles=9), "caption": _in_process(), "answer": _in_process()},
        },
    ),
    Preset(
        "cluster",
        """\
# The cluster preset: many workers, and models on servers of their own: any OpenAI-compatible server will do (vLLM,
# LMDeploy, SGLang), one or more for each task. A Qdrant cluster holds the index, Postgres the catalog.
#
# Needs `pip install 'tuwen[embedded,server]'` and a folder that all workers share as TUWEN_HOME. Replace the addresses.
""",
        {
            "catalog": {"url": "postgresql+psycopg://tuwen@localhost/tuwen"},
            "encoders": {
                "dense": _embedding("openai", served=_SERVED_EMBEDDING),
                "image": _embedding("openai", served=_SERVED_EMBEDDING),
            },
            "index": {"adapter": "server", "server": {"shards": 2, "replicas": 2, "write_consistency": 1}},
            "answer": {"adapter": "vlm"},
            "models": {"transcribe": _served(min_tiles=9), "caption": _served(), "answer": _served()},
        },
    ),
)
