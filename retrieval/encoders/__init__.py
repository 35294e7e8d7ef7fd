"""Encoders: texts and page images to vectors, one file an adapter (DESIGN section 4)."""

from __future__ import annotations

from pathlib import Path

from retrieval.base import Encoders
from tuwen.settings import EncoderSettings

__all__ = ["build_encoders"]


def build_encoders(settings: EncoderSettings, home: Path) -> Encoders:
    """The encoders that ``settings`` name. Cheap: models load with the first text or image.

    Args:
        settings: which adapters, with their parameters.
        home: data directory; what encoders build once is kept in ``home/cache``.
    """
    from retrieval.encoders.e5 import E5Encoder
    from retrieval.encoders.lexical import LexicalEncoder
    from retrieval.encoders.perceptual import PerceptualEncoder

    match settings.dense.adapter:
        case "e5":
            dense = E5Encoder(home, settings.dense.threads)
    match settings.sparse.adapter:
        case "lexical":
            sparse = LexicalEncoder(settings.sparse)
    match settings.image.adapter:
        case "perceptual":
            image = PerceptualEncoder()
    return Encoders(dense, sparse, image)
