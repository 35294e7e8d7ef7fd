"""Text layer or OCR: which parts of a page need which reader, and how their lines come together."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.base import OpenPage, TextLine
from tuwen.types import Box

_MIN_PICTURE = 0.01
"""Share of the page; a smaller picture is an ornament."""
_WELL_COVERED = 0.02
"""A picture with text-layer words on more than this share of its area is a background."""
_SAME_PLACE = 0.5
"""An OCR word with this share of its area on text-layer words is one of them."""


def unread_pictures(page: OpenPage, lines: Iterable[TextLine]) -> list[Box]:
    """Pictures on the page that are large enough to hold text and hold hardly any of the text layer's."""
    words = [word.box for line in lines for word in line.words]
    found = []
    for info in page.pdf_page.get_image_info():
        x0, y0, x1, y1 = info["bbox"]
        box = Box(x0 / page.width, y0 / page.height, x1 / page.width, y1 / page.height).clamped()
        covered = sum(word.area for word in words if box.contains_point(*word.center))
        if box.area >= _MIN_PICTURE and covered < _WELL_COVERED * box.area:
            found.append(box)
    return found


def without_known(read: Iterable[TextLine], known: Iterable[TextLine]) -> list[TextLine]:
    """OCR lines less the words that the text layer has at the same place; lines that lose all are gone."""
    places = [word.box for line in known for word in line.words]
    made = []
    for line in read:
        near = [place for place in places if place.intersection(line.box).area > 0]
        kept = [i for i, word in enumerate(line.words) if sum(word.box.overlap(place) for place in near) < _SAME_PLACE]
        if kept:
            made.append(line.only(kept))
    return made
