"""Page pictures for people: the page with places marked on it."""

from __future__ import annotations

import io
from collections.abc import Iterable

from PIL import Image, ImageChops, ImageDraw

from tuwen.types import Box

_MARKER = (255, 226, 90)
_EDGE = (214, 120, 0)


def highlighted(jpeg: bytes, boxes: Iterable[Box]) -> Image.Image:
    """The page picture with ``boxes`` marked as with a text marker: the print stays readable."""
    with Image.open(io.BytesIO(jpeg)) as stored:
        page = stored.convert("RGB")
    ink = Image.new("RGB", page.size, (255, 255, 255))
    pen = ImageDraw.Draw(ink)
    margin = max(2, page.height // 600)
    frames = [_pixels(box, page, margin) for box in boxes]
    for frame in frames:
        pen.rounded_rectangle(frame, radius=2 * margin, fill=_MARKER)
    marked = ImageChops.multiply(page, ink)
    edge = ImageDraw.Draw(marked)
    for frame in frames:
        edge.rounded_rectangle(frame, radius=2 * margin, outline=_EDGE, width=max(1, margin // 2))
    return marked


def _pixels(box: Box, page: Image.Image, margin: int) -> tuple[float, float, float, float]:
    width, height = page.size
    return (
        max(0.0, box.x0 * width - margin),
        max(0.0, box.y0 * height - margin),
        min(width - 1.0, box.x1 * width + margin),
        min(height - 1.0, box.y1 * height + margin),
    )
