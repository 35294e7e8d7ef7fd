"""Which words of a text layer are printed where they claim to stand.

A page may carry text that nobody sees: white on white, below a box or a picture, clipped away, tiny, or drawn in
render mode 3. Pixels decide what they can; what they leave open (a word that a later shape may cover, an ink that
is not found, the text below a scan) is left to a look by OCR (:mod:`ingest.trust`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ingest.base import RGB, Ink, OpenPage, TextLine
from tuwen.types import Box, Word

_FLAT = 12
"""Grey levels between the darkest and the lightest pixel, below which nothing is printed at a place."""
_SMALLEST = 3
"""Pixels: a smaller word cannot be judged."""
_NEAR = 0.7
"""A pixel nearer to the ink than this share of the farthest pixel's distance is painted with it, blurred."""
_MOSTLY_INK = 0.8
"""Glyphs fill less of their box; where more has the colour of the ink, it is the colour of the paper."""
_TINY_PT, _TINY_SHARE = 2.0, 0.003
"""Type below both, in points and as a share of the page's longer side, is not there to be read."""
_COVERS = frozenset(("fill-path", "fill-image", "fill-shade", "fill-imgmask"))
_CHUNK = 2000


class Sight(Enum):
    """What is known about a word from pixels and paint operations alone."""

    SEEN = "seen"
    HIDDEN = "hidden"
    DOUBTFUL = "doubtful"
    """Painted, but perhaps covered, or not in its own colour."""
    SEARCH_ONLY = "search only"
    """Not painted itself; the picture below may show it, as in searchable scans."""


def sights(page: OpenPage, lines: Sequence[TextLine], image: RGB) -> list[list[Sight]]:
    """One sight a word, a list a line.

    Args:
        page: for its paint operations.
        lines: of the text layer, with their inks.
        image: the displayed page, some 150 dpi.
    """
    covered = iter(_covered(page, lines))
    return [_line_sights(line, [next(covered) for _ in line.words], page, image) for line in lines]


def _line_sights(line: TextLine, covered: Sequence[bool], page: OpenPage, image: RGB) -> list[Sight]:
    if line.size < min(_TINY_PT, _TINY_SHARE * max(page.width, page.height)):
        return [Sight.HIDDEN] * len(line.words)
    own = [
        _sight(word, ink, hidden, image) if is_judged(word) else None
        for word, ink, hidden in zip(line.words, line.inks, covered, strict=True)
    ]
    return list(_filled(own))


def is_judged(word: Word) -> bool:
    """Whether a word has ink enough to be looked for: letters and digits, not points and dashes."""
    return any(char.isalnum() for char in word.text)


def _filled(own: Sequence[Sight | None]) -> Iterator[Sight]:
    """Words that cannot be judged follow the word before them, the first ones the word after."""
    last = next((sight for sight in own if sight is not None), Sight.SEEN)
    for sight in own:
        last = sight or last
        yield last


def _sight(word: Word, ink: Ink, covered: bool, image: RGB) -> Sight:
    patch = _patch(word.box, image)
    if patch is None:
        return Sight.SEEN
    if (patch.max(axis=0) - patch.min(axis=0)).max() < _FLAT:
        return Sight.HIDDEN
    if not ink.painted:
        return Sight.SEARCH_ONLY
    distance = np.abs(patch - np.array(ink.color, np.int16)).max(axis=1)
    farthest = int(distance.max())
    near = float((distance <= _NEAR * farthest).mean())
    if covered or near == 0 or near > _MOSTLY_INK or distance.min() > _NEAR * 255:
        return Sight.DOUBTFUL
    return Sight.SEEN


def _patch(box: Box, image: RGB) -> NDArray[np.int16] | None:
    """The pixels that lie inside a box as a whole, shape (n, 3); None of one too small to tell."""
    height, width = image.shape[:2]
    x0, x1 = math.ceil(box.x0 * width), int(box.x1 * width)
    y0, y1 = math.ceil(box.y0 * height), int(box.y1 * height)
    if y1 - y0 < _SMALLEST or x1 - x0 < _SMALLEST:
        return None
    return image[y0:y1, x0:x1].reshape(-1, 3).astype(np.int16)


def _covered(page: OpenPage, lines: Sequence[TextLine]) -> NDArray[np.bool_]:
    """For each word whether a later paint operation reaches over its middle, by bounding boxes."""
    words = [(word.box.center, ink.order) for line in lines for word, ink in zip(line.words, line.inks, strict=True)]
    found = np.zeros(len(words), bool)
    operations = [(order, *box) for order, (kind, box) in enumerate(page.pdf_page.get_bboxlog()) if kind in _COVERS]
    if not words or not operations:
        return found
    xs = np.array([x * page.width for (x, _), _ in words])[:, None]
    ys = np.array([y * page.height for (_, y), _ in words])[:, None]
    orders = np.array([order for _, order in words], float)[:, None]
    for start in range(0, len(operations), _CHUNK):
        later, x0, y0, x1, y1 = np.array(operations[start : start + _CHUNK], float).T
        found |= ((later > orders) & (x0 <= xs) & (xs <= x1) & (y0 <= ys) & (ys <= y1)).any(axis=1)
    return found
