"""Ruled lines of tables: from the drawing commands of a born-digital page, from the pixels of a scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.base import OpenPage
from tuwen.types import Box

_DPI = 150
_MAX_PIXELS = 6_000_000
_MAX_THICKNESS = 4.0
"""Points; what is thicker is a filled area, of which only the edges count."""
_MIN_VERTICAL = 13.0
"""Points; longer than the upright stroke of a character."""
_MIN_HORIZONTAL = 28.0
_SAME = 3.5
"""Points; nearer rules are one."""


class Rule(NamedTuple):
    """A straight axis-parallel line, as fractions of the page: its place, and where it runs from and to."""

    at: float
    start: float
    end: float


class Rules(NamedTuple):
    """Rules of one table."""

    horizontal: tuple[Rule, ...]
    vertical: tuple[Rule, ...]


class RuleFinder:
    """Finds rules on one page; reads its drawings or renders it once, when first asked."""

    def __init__(self, page: OpenPage, *, digital: bool) -> None:
        self._page, self._digital = page, digital

    def within(self, box: Box) -> Rules:
        """Rules inside ``box`` and on its edges."""
        return self._drawn_within(box) if self._digital else self._printed_within(box)

    @cached_property
    def _drawn(self) -> Rules:
        """Lines, and the edges of rectangles, that the page draws."""
        horizontal, vertical = [], []
        for drawing in self._page.pdf_page.get_drawings():
            for item in drawing["items"]:
                for x0, y0, x1, y1 in _edges(item):
                    left, right = sorted((x0 / self._page.width, x1 / self._page.width))
                    top, bottom = sorted((y0 / self._page.height, y1 / self._page.height))
                    if abs(y1 - y0) < 1 < abs(x1 - x0):
                        horizontal.append(Rule((top + bottom) / 2, left, right))
                    elif abs(x1 - x0) < 1 < abs(y1 - y0):
                        vertical.append(Rule((left + right) / 2, top, bottom))
        return Rules(tuple(horizontal), tuple(vertical))

    def _drawn_within(self, box: Box) -> Rules:
        pad_x, pad_y = 8 / self._page.width, 8 / self._page.height
        x0, y0, x1, y1 = box.x0 - pad_x, box.y0 - pad_y, box.x1 + pad_x, box.y1 + pad_y
        horizontal = [r for r in self._drawn.horizontal if y0 < r.at < y1 and r.start < x1 and r.end > x0]
        vertical = [r for r in self._drawn.vertical if x0 < r.at < x1 and r.start < y1 and r.end > y0]
        return Rules(tuple(horizontal), tuple(vertical))

    @cached_property
    def _ink(self) -> NDArray[np.uint8]:
        """255 where the page is darker than its surroundings, else 0; shape (height, width)."""
        import cv2

        gray = cv2.cvtColor(self._page.render(_DPI, _MAX_PIXELS), cv2.COLOR_RGB2GRAY)
        ink: NDArray[np.uint8] = cv2.adaptiveThreshold(
            gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 25, 10
        )
        return ink

    def _printed_within(self, box: Box) -> Rules:
        height, width = self._ink.shape
        pad_x, pad_y = 4 / self._page.width, 4 / self._page.height
        x0, x1 = (round(width * min(1, max(0, x))) for x in (box.x0 - pad_x, box.x1 + pad_x))
        y0, y1 = (round(height * min(1, max(0, y))) for y in (box.y0 - pad_y, box.y1 + pad_y))
        crop = self._ink[y0:y1, x0:x1]
        if crop.size == 0:
            return Rules((), ())
        dx, dy = self._page.width / width, self._page.height / height
        across = _segments(crop, round(_MIN_HORIZONTAL / dx), 1, _MAX_THICKNESS / dy)
        down = _segments(crop, 1, round(_MIN_VERTICAL / dy), _MAX_THICKNESS / dx)
        horizontal = [Rule((y + h / 2 + y0) / height, (x + x0) / width, (x + w + x0) / width) for x, y, w, h in across]
        vertical = [Rule((x + w / 2 + x0) / width, (y + y0) / height, (y + h + y0) / height) for x, y, w, h in down]
        return Rules(tuple(horizontal), tuple(vertical))


def _edges(item: Sequence[Any]) -> list[tuple[float, float, float, float]]:
    """Straight lines, in points, of one drawing command of ``Page.get_drawings``."""
    if item[0] == "l":
        return [(item[1].x, item[1].y, item[2].x, item[2].y)]
    if item[0] != "re":
        return []
    x0, y0, x1, y1 = item[1]
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    if y1 - y0 < _MAX_THICKNESS:
        return [(x0, y, x1, y)]
    if x1 - x0 < _MAX_THICKNESS:
        return [(x, y0, x, y1)]
    return [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]


def _segments(ink: NDArray[np.uint8], length: int, height: int, thickest: float) -> list[tuple[int, int, int, int]]:
    """Boxes ``(x, y, width, height)`` of straight runs of ink of at least ``length`` × ``height`` pixels."""
    import cv2

    wide = length > height
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (max(3, length), 1) if wide else (1, max(3, height)))
    kept: Any = cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel)
    _, _, stats, _ = cv2.connectedComponentsWithStats(kept, connectivity=8)
    boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in stats[1:]]
    return [box for box in boxes if (box[3] if wide else box[2]) <= thickest]


def positions(rules: Iterable[Rule], length: float) -> list[float]:
    """Distinct places of rules, as fractions; ``length`` is the page's side in points."""
    places: list[list[float]] = []
    for rule in sorted(rules):
        if places and rule.at - places[-1][-1] < _SAME / length:
            places[-1].append(rule.at)
        else:
            places.append([rule.at])
    return [sum(group) / len(group) for group in places]


def covers(rules: Iterable[Rule], at: float, start: float, end: float, tolerance: float) -> bool:
    """Whether rules near ``at`` run along most of ``start`` to ``end``."""
    shared = sum(max(0.0, min(r.end, end) - max(r.start, start)) for r in rules if abs(r.at - at) < tolerance)
    return shared > 0.6 * (end - start)
