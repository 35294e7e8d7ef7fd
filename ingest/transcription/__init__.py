"""Reading with two readers (DESIGN section 5): a model's transcription on the words of the plain reading."""

from ingest.transcription.merging import merge
from ingest.transcription.picture import is_blank
from ingest.transcription.views import Figure, bands, figures, with_captions

TRANSCRIPTION_VERSION = 1
"""Raise it whenever the same two readings could become another record."""

__all__ = ["TRANSCRIPTION_VERSION", "Figure", "bands", "figures", "is_blank", "merge", "with_captions"]
