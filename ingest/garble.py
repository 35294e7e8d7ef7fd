"""Characters that cannot be what is printed: text layers without, or with a wrong, character encoding."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from ingest.base import TextLine
from tuwen.types import is_cjk

_ODD_SCRIPTS = 3
"""A font without a usable encoding gives letters of many scripts; real text that is no Chinese has one or two."""
_GARBLED = 0.25
"""Share of odd characters from which a line is not believed."""
_FEW, _FEW_SHARE = 8, 0.02
"""Fewer odd characters on a page are symbols of a formula, which are left as they are."""
_USUAL = frozenset(("LATIN", "CJK", "DIGIT", "GREEK", "CYRILLIC", "HIRAGANA", "KATAKANA", "FULLWIDTH", "HALFWIDTH"))
_LEAST_LETTERS = 4
"""A line with fewer tells nothing about its encoding."""
_RARE = 0.35
"""Share of rare ideographs, or of accented letters, from which a line is looked at."""


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


def looks_garbled(line: TextLine) -> bool:
    """Whether a line reads like mojibake, which its picture must confirm or refute.

    Bytes decoded as another encoding than their own become ideographs that nobody uses (UTF-8 read as GBK), or
    one accented letter after the other (GBK read as Latin-1).
    """
    letters = [char for word in line.words for char in word.text if char.isalpha()]
    ideographs = [char for char in letters if "\u3400" <= char <= "\u9fff" or char >= "\U00020000"]
    rare = sum(char not in _common() for char in ideographs)
    accented = sum("\u0080" <= char <= "\u024f" for char in letters)
    return (len(ideographs) >= _LEAST_LETTERS and rare > _RARE * len(ideographs)) or (
        len(letters) >= _LEAST_LETTERS and accented > _RARE * len(letters)
    )


@cache
def _common() -> frozenset[str]:
    """Ideographs in daily use: the first levels of GB 2312 (3,755) and of Big5 (5,401)."""
    return frozenset(_level("gb2312", 0xB0A1, 0xD7F9)) | frozenset(_level("big5", 0xA440, 0xC67E))


def _level(encoding: str, first: int, last: int) -> Iterator[str]:
    for code in range(first, last + 1):
        char = code.to_bytes(2, "big").decode(encoding, "ignore")
        if len(char) == 1 and char >= "\u4e00":
            yield char


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
