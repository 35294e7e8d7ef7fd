"""What of a page a model is shown: bands of it, and its figures with what is printed around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.base import RGB
from tuwen.types import Block, BlockKind, Box, PageRecord

_BANDS = 3
_SLACK = 0.12
"""Share of the page by which a cut may miss its place to run between lines."""
_STEP = 0.002
_SMALLEST = 0.01
"""Share of the page; smaller figures are ornaments."""
_MOST_FIGURES = 8
"""Largest figures of a page that are described."""
_MARGIN = 0.03
"""Share of the page that is shown around a figure."""
_NEARBY = 200
"""Characters of text around a figure."""


class Figure(NamedTuple):
    """A figure as it is shown to a model."""

    order: int
    """Of its block."""
    image: RGB
    nearby: str
    """Its caption, labels, and the ends of the text around it, as printed."""


def bands(record: PageRecord) -> tuple[tuple[float, float], ...]:
    """Parts of a page from top to bottom, as fractions of its height, cut where no word stands if there is room."""
    cuts = [0.0, *(_cut(record, n / _BANDS) for n in range(1, _BANDS)), 1.0]
    return tuple(pairwise(cuts))


def _cut(record: PageRecord, aim: float) -> float:
    steps = range(round(_SLACK / _STEP))
    places = sorted((aim + sign * step * _STEP for step in steps for sign in (1, -1)), key=lambda y: abs(y - aim))
    free = (y for y in places if not any(word.box.y0 <= y <= word.box.y1 for word in record.words))
    return next(free, aim)


def figures(record: PageRecord, image: RGB) -> list[Figure]:
    """The figures of a page in reading order, cut out of its picture."""
    found = [block for block in record.blocks if block.kind is BlockKind.FIGURE and block.box.area >= _SMALLEST]
    largest = sorted(found, key=lambda block: -block.box.area)[:_MOST_FIGURES]
    return [Figure(b.order, _crop(image, b.box), _nearby(b, record.blocks)) for b in found if b in largest]


def with_captions(record: PageRecord, page: str | None, by_order: Mapping[int, str | None]) -> PageRecord:
    """``record`` with a model's words about the page, and about blocks by their order."""
    blocks = [block.model_copy(update={"caption": by_order.get(block.order)}) for block in record.blocks]
    return record.model_copy(update={"caption": page, "blocks": tuple(blocks)})


def _crop(image: RGB, box: Box) -> RGB:
    height, width = image.shape[:2]
    x0, x1 = max(0.0, box.x0 - _MARGIN) * width, min(1.0, box.x1 + _MARGIN) * width
    y0, y1 = max(0.0, box.y0 - _MARGIN) * height, min(1.0, box.y1 + _MARGIN) * height
    return image[int(y0) : max(int(y0) + 1, round(y1)), int(x0) : max(int(x0) + 1, round(x1))]


def _nearby(figure: Block, blocks: Sequence[Block]) -> str:
    captions = [block for block in blocks if block.kind is BlockKind.CAPTION and block.text]
    nearest = sorted(captions, key=lambda block: _distance(block.box, figure.box))[:1]
    before = [
        block.text[-_NEARBY:] for block in blocks[max(0, figure.order - 1) : figure.order] if block not in nearest
    ]
    after = [block.text[:_NEARBY] for block in blocks[figure.order + 1 : figure.order + 2] if block not in nearest]
    parts = [*(block.text for block in nearest), figure.text[:_NEARBY], *before, *after]
    return "\n".join(part for part in parts if part)


def _distance(a: Box, b: Box) -> float:
    """Of two boxes' nearest edges, as a share of the page."""
    return max(0.0, a.x0 - b.x1, b.x0 - a.x1) + max(0.0, a.y0 - b.y1, b.y0 - a.y1)
