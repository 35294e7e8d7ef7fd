"""Text layer or OCR: which parts of a page need which reader, and how their lines come together."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ingest.base import RGB, OpenPage, TextLine
from tuwen.types import Box, is_cjk

_MIN_PICTURE = 0.01
"""Share of the page; a smaller picture is an ornament."""
_WELL_COVERED = 0.02
"""A picture with text-layer words on more than this share of its area is a background."""
_SAME_PLACE = 0.5
"""An OCR word with this share of its area on text-layer words is one of them."""
_FLAT = 12
"""Grey levels between the darkest and the lightest pixel, below which nothing is printed at a place."""
_ODD_SCRIPTS = 3
"""A font without a usable encoding gives letters of many scripts; real text that is no Chinese has one or two."""
_GARBLED = 0.25
"""Share of odd characters from which a line is not believed."""
_FEW, _FEW_SHARE = 8, 0.02
"""Fewer odd characters on a page are symbols of a formula, which are left as they are."""
_USUAL = frozenset(("LATIN", "CJK", "DIGIT", "GREEK", "CYRILLIC", "HIRAGANA", "KATAKANA", "FULLWIDTH", "HALFWIDTH"))


def is_visible(line: TextLine, image: RGB) -> bool:
    """Whether anything is printed where a text-layer line claims to stand.

    Args:
        line: of the text layer.
        image: the displayed page.
    """
    height, width = image.shape[:2]
    x0, x1 = int(line.box.x0 * width), int(np.ceil(line.box.x1 * width))
    y0, y1 = int(line.box.y0 * height), int(np.ceil(line.box.y1 * height))
    if y1 - y0 < 3 or x1 - x0 < 3:
        return True  # too small to tell
    patch = image[y0:y1, x0:x1]
    return bool((np.ptp(patch.reshape(-1, 3), axis=0) >= _FLAT).any())


def garbled_lines(lines: Sequence[TextLine]) -> frozenset[int]:
    """Indices of text-layer lines whose characters cannot be what is printed.

    A PDF font without a usable ToUnicode map yields replacement characters, private-use or unassigned code
    points, or letters of scripts that never stand together. A few such symbols on a page are no reason for
    suspicion, and give none.
    """
    page = Counter(script for line in lines for word in line.words for c in word.text if (script := _script(c)))
    odd = {script for script in page if script not in _USUAL}
    mixed = len(odd - {"UNKNOWN"}) >= _ODD_SCRIPTS
    suspects = odd if mixed else {"UNKNOWN"} & odd
    found = set()
    total = bad = 0
    for i, line in enumerate(lines):
        chars = [c for word in line.words for c in word.text]
        odd_chars = sum(_script(c) in suspects for c in chars)
        total += len(chars)
        if chars and odd_chars >= _GARBLED * len(chars):
            found.add(i)
            bad += odd_chars
    return frozenset(found) if bad >= max(_FEW, _FEW_SHARE * total) else frozenset()


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
            words = tuple(line.words[i] for i in kept)
            spaces = (False, *(line.spaces[i] for i in kept[1:]))
            made.append(line._replace(words=words, spaces=spaces, box=Box.union(word.box for word in words)))
    return made


def _script(char: str) -> str | None:
    """The script a letter belongs to; None for digits, punctuation and symbols, UNKNOWN for no character at all."""
    if char.isascii():
        return None
    if char == "\ufffd":
        return "UNKNOWN"
    if is_cjk(char):
        return "HANGUL" if "\uac00" <= char <= "\ud7af" else "CJK"
    category = unicodedata.category(char)
    if category in ("Cn", "Co", "Cs", "Cc"):
        return "UNKNOWN"
    if category[0] not in "LM":
        return None
    if "\u0180" <= char <= "\u02ff" or "\u1d00" <= char <= "\u1dbf":
        return "LATIN EXTENDED"  # with IPA: rare in itself, common where codes are off by a constant
    return unicodedata.name(char, "UNKNOWN").split()[0]
