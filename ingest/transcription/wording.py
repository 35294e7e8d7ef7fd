"""Which reader is believed where two readings of the same place differ."""

from __future__ import annotations

from typing import NamedTuple

from tuwen.types import Source, is_cjk

_RATIO = 3
"""One reading this many times longer than the other is no other wording of it."""
_LONGEST = 8
"""Characters of a difference; longer is other text, not a misread word."""
_SURE = 0.9
"""OCR confidence from which its figures are believed."""
_AGREED = 0.8
"""Agreement around a place from which the model is believed to read it, not to tell something else."""


class Difference(NamedTuple):
    """Two readings of one place, and what is known about them."""

    written: str
    """The model's."""
    printed: str
    """The plain reader's."""
    source: Source
    """Of the plain reading."""
    confidence: float | None
    """Of the plain reading, 0..1."""
    agreement: float
    """Of the two readings around the place, 0..1."""


def is_misread(written: int, printed: int) -> bool:
    """Whether texts of these lengths can be two readings of one word rather than two texts."""
    return 0 < max(written, printed) <= min(_LONGEST, _RATIO * min(written, printed))


def is_models(difference: Difference) -> bool:
    """Whether the model's wording is taken.

    A text layer that is trusted holds the characters that were typed: it always wins. Against OCR the model wins, since
    it knows the language, where both agree around the place; but figures and codes cannot be guessed from language, so
    there OCR wins unless it is unsure itself.
    """
    written, printed = difference.written, difference.printed
    if difference.source is Source.TEXT_LAYER or not is_misread(len(written), len(printed)):
        return False
    if any(_is_code(char) for char in written + printed) and (difference.confidence or 0.0) >= _SURE:
        return False
    return difference.agreement >= _AGREED


def _is_code(char: str) -> bool:
    return char.isalnum() and not is_cjk(char)
