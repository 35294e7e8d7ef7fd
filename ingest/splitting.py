"""Cutting text that is too long for one passage, at the best place near its middle."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from tuwen.types import Word, WordSpan, fold_space

# From best to worst; a cut is made at the end of a match.
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (r"\n", r"[。！？!?；;]+[”’」』）)\"']*", r"[.][\"')]?\s", r"[，,、：:]", r"\s", r"")
)
_WINDOW = 0.3
"""A cut is at most this share of the text away from its middle."""


def split_text(text: str, fits: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of ``text``, in order and without gaps, whose texts all fit.

    Halves what does not fit at the line end, sentence end, clause end or space nearest to its
    middle, in this order of preference. A single character is taken to fit.
    """
    pending = [(0, len(text))]
    while pending:
        start, end = pending.pop()
        if end - start < 2 or fits(text[start:end]):
            yield start, end
        else:
            middle = _place(text, start, end)
            pending += [(middle, end), (start, middle)]


def _place(text: str, start: int, end: int) -> int:
    middle = (start + end) / 2
    reach = (end - start) * _WINDOW
    low, high = max(start + 1, round(middle - reach)), min(end - 1, round(middle + reach))
    for pattern in _PLACES:
        places = [found.end() for found in pattern.finditer(text, low, high) if start < found.end() < end]
        if places:
            return min(places, key=lambda place: abs(place - middle))
    return round(middle)


class WordMap:
    """From positions in a text to the words that it was made of."""

    def __init__(self, text: str, words: Sequence[Word], span: WordSpan) -> None:
        self._text = text
        self._first = span.start
        self._ends = list(accumulate(len(word.text) for word in words[span.start : span.end]))

    def span(self, start: int, end: int) -> WordSpan:
        """Words that ``text[start:end]`` stands on."""
        before = len(fold_space(self._text[:start]))
        upto = before + len(fold_space(self._text[start:end]))
        first = bisect_right(self._ends, before)
        last = first if upto == before else bisect_right(self._ends, upto - 1) + 1
        return WordSpan(self._first + first, self._first + last)
