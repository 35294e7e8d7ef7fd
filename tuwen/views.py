"""Shapes of the outside contract (DESIGN section 6) that differ from the inner records."""

from __future__ import annotations

from typing import Any

from tuwen.types import Block, PageRecord, Passage

_BLOCK_FIELDS = {"kind", "order", "box", "text", "markdown", "caption", "source", "confidence"}


def page_view(document_id: str, record: PageRecord) -> dict[str, Any]:
    """The JSON of ``tuwen page`` and of ``GET …/pages/{n}``."""
    return {
        "document_id": document_id,
        "page": record.page,
        "width": record.width,
        "height": record.height,
        "text": record.text,
        "markdown": record.markdown,
        "caption": record.caption,
        "blocks": [_block_view(block) for block in record.blocks],
        "words": [{"text": word.text, "box": word.box} for word in record.words],
        "verdict": record.verdict.model_dump(mode="json"),
    }


def _block_view(block: Block) -> dict[str, Any]:
    return block.model_dump(mode="json", include=_BLOCK_FIELDS)


def hit_text(passage: Passage) -> str:
    """What a hit shows of a passage: its text; then the model's words about its figures, marked as such."""
    described = f"（模型描述）{passage.caption}" if passage.caption else ""
    return "\n".join(part for part in (passage.text, described) if part)
