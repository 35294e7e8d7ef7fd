"""What the picture of a page says about text that only one reader has: whether there is ink for it, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.base import RGB
from ingest.transcription.glyphs import Glyph, spread
from tuwen.types import Box, is_cjk

_LONG_SIDE = 1200
"""Pixels; the page is looked at no larger."""
_INK = 40
"""Grey levels from the background that count as ink."""
_FLAT = 2.0
"""Standard deviation in grey levels under which nothing can be printed on a page."""
_ROW = (0.3, 2.0)
"""Height of a row of print, as multiples of the character beside it."""
_ROOM = (0.5, 2.5)
"""Room there is, as a multiple of what the characters need."""
_MARGIN = 0.15
"""Share of a character's height by which ink reaches over its box."""


def is_blank(image: RGB) -> bool:
    """Whether nothing is printed on a page, so that a model would only make something up.

    Told by the variance of its pixels; paper grain and compression noise are smoothed away first.
    """
    grey = cv2.GaussianBlur(_grey(image), (0, 0), 2.0).astype(np.float32)
    return bool(grey.std() < _FLAT and np.ptp(grey) < _INK)


class FreeInk:
    """The ink of a page that no word of the plain reading accounts for.

    Args:
        image: the displayed page.
        words: boxes of all words.
    """

    def __init__(self, image: RGB, words: Sequence[Box]) -> None:
        grey = _grey(image)
        self._height, self._width = grey.shape
        self._ink: NDArray[np.bool_] = np.abs(grey.astype(np.int16) - np.median(grey)) > _INK
        for box in words:
            margin = _MARGIN * box.height
            self._part(Box(box.x0, box.y0 - margin, box.x1, box.y1 + margin))[:] = False

    def place(self, text: str, before: Glyph | None, after: Glyph | None, column: Box, line: int) -> list[Glyph] | None:
        """Where the characters of ``text`` are printed, evenly along the free ink between two known ones.

        Args:
            text: without white space.
            before: the known character before it; None where it begins the column.
            after: the known one after it; None where it ends the column.
            column: the place of the text around.
            line: number of the first printed line that is new.

        Returns:
            A glyph a character; None when there is no ink, or far too little or too much room.
        """
        beside = before or after
        if beside is None or not text:
            return None
        rows = [row for part in _between(before, after, column) for row in self._rows(part, beside.box.height)]
        needed = sum(1.0 if is_cjk(char) else 0.5 for char in text)
        em = beside.box.height * self._height / self._width
        room = sum(row.width for row in rows)
        if not _ROOM[0] <= room / (em * needed) <= _ROOM[1]:
            return None
        for row in rows:
            self._part(row)[:] = False
        return spread(text, [(row, line + n) for n, row in enumerate(rows)])

    def _part(self, box: Box) -> NDArray[np.bool_]:
        x0, x1 = int(max(0.0, box.x0) * self._width), int(np.ceil(min(1.0, box.x1) * self._width))
        y0, y1 = int(max(0.0, box.y0) * self._height), int(np.ceil(min(1.0, box.y1) * self._height))
        return self._ink[y0:y1, x0:x1]

    def _rows(self, box: Box, height: float) -> list[Box]:
        """Rows of print in ``box``, as high as ``height`` or nearly so."""
        if box.width <= 0 or box.height <= 0:
            return []
        ink = self._part(box)
        found = []
        for top, bottom in _runs(np.any(ink, axis=1)):
            columns = np.flatnonzero(ink[top:bottom].any(axis=0))
            row = Box(
                box.x0 + columns[0] / self._width,
                box.y0 + top / self._height,
                box.x0 + (columns[-1] + 1) / self._width,
                box.y0 + bottom / self._height,
            )
            if _ROW[0] * height <= row.height <= _ROW[1] * height:
                found.append(row.clamped())
        return found


def _grey(image: RGB) -> NDArray[np.uint8]:
    scale = min(1.0, _LONG_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    grey: NDArray[np.uint8] = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2GRAY)
    return grey


def _between(before: Glyph | None, after: Glyph | None, column: Box) -> list[Box]:
    """Where text between two characters can be: on their line, or on the rest of it and the lines below."""
    if before and after and before.line == after.line:
        return [Box(before.box.x1, min(before.box.y0, after.box.y0), after.box.x0, max(before.box.y1, after.box.y1))]
    parts = []
    if before:
        parts.append(Box(before.box.x1, before.box.y0, column.x1, before.box.y1))
    top = before.box.y1 if before else column.y0
    bottom = after.box.y0 if after else column.y1
    parts.append(Box(column.x0, top, column.x1, bottom))
    if after:
        parts.append(Box(column.x0, after.box.y0, after.box.x0, after.box.y1))
    return parts


def _runs(flags: NDArray[Any]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
