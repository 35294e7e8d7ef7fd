"""Why there is no answer."""

from __future__ import annotations

from collections.abc import Iterable

from retrieval.base import Evidence
from tuwen.types import RefusalReason, VerdictCode

_UNREADABLE = frozenset({VerdictCode.UNREADABLE, VerdictCode.LOW_OCR_CONFIDENCE})
"""A blank page has nothing to read, and one with a garbled text layer was read by OCR."""


def refusal_reason(pages: Iterable[Evidence]) -> RefusalReason:
    """Of a refusal to answer from ``pages``."""
    unreadable = any(code in _UNREADABLE for page in pages for code in page.record.verdict.codes)
    return RefusalReason.UNREADABLE_SOURCE if unreadable else RefusalReason.NO_EVIDENCE
