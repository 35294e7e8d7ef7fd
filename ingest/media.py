"""The media types that tuwen reads, as :mod:`ingest.sniffing` names them."""

from __future__ import annotations

PDF = "application/pdf"
EPUB = "application/epub+zip"
XPS = "application/oxps"
TEXT = "text/plain"
MARKDOWN = "text/markdown"
CSV = "text/csv"

TEXTS = frozenset({TEXT, MARKDOWN, CSV})
PICTURES = frozenset({"image/png", "image/jpeg", "image/tiff", "image/gif", "image/webp", "image/bmp"})
MEDIA_TYPES = frozenset({PDF, EPUB, XPS}) | TEXTS | PICTURES
"""All that tuwen reads."""
