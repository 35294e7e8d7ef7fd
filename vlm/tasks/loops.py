"""Notices that a model repeats itself, while it writes."""

from __future__ import annotations

from collections import deque

LOOPS_VERSION = 1
"""Raise it whenever other texts could be taken for loops."""

_LONGEST = 1000
"""Characters of the longest period that is noticed; what loops over more is ended by the token limit."""
_REPEATS = 3
_SHORTEST_LOOP = 20
"""Characters; ``哈哈哈`` is no loop yet."""
_SHORTEST_EMPTY_LOOP = 400
"""The same where letters and digits are missing: rules, leaders and empty cells may be long."""
_GRAM = 8
"""Characters that must stand there again before a period is followed."""
_PLACES = 8
"""Latest places of the same characters that are compared."""


class LoopDetector:
    """Says when a text ends in a loop: the same characters (1 to 1,000) three times over.

    Real repetition is told apart by another reading of the same page: what stands there as often is printed.
    Fits :data:`vlm.base.Detector`. A character costs some microseconds, however long the text is.

    Args:
        printed: what another reader has read there.
    """

    def __init__(self, printed: str = "") -> None:
        self._printed = _letters(printed)
        self._text: list[str] = []
        self._places: dict[str, deque[int]] = {}
        self._runs: dict[int, int] = {}
        """For each period that is followed: how many of the last characters equal the one a period before."""

    def __call__(self, piece: str) -> bool:
        """Take in ``piece``; whether the text ends in a loop now, or did inside the piece."""
        return any(self._take(char) for char in piece)

    def _take(self, char: str) -> bool:
        text, end = self._text, len(self._text)
        text.append(char)
        self._runs = {period: run + 1 for period, run in self._runs.items() if text[end - period] == char}
        if end + 1 >= _GRAM:
            places = self._places.setdefault("".join(text[-_GRAM:]), deque(maxlen=_PLACES))
            for place in places:
                if end - place <= _LONGEST and end - place not in self._runs:
                    self._runs[end - place] = self._run(end - place)
            places.append(end)
        return any(self._is_loop(period, run) for period, run in self._runs.items())

    def _run(self, period: int) -> int:
        """How many of the last characters equal the one a period before."""
        text, place = self._text, len(self._text) - 1
        while place >= period and text[place] == text[place - period]:
            place -= 1
        return len(text) - 1 - place

    def _is_loop(self, period: int, run: int) -> bool:
        """Whether the text ends in enough repeats of this period, and in more than are printed."""
        if run < max((_REPEATS - 1) * period, _SHORTEST_LOOP - period):
            return False
        letters = _letters("".join(self._text[-period:]))
        if not letters:
            return run >= _SHORTEST_EMPTY_LOOP
        # The tail may begin in the middle of what is printed, which then holds it once less.
        return (run + period) // period > self._printed.count(letters) + 1


def _letters(text: str) -> str:
    """Letters and digits only: marks of Markdown and white space do not count."""
    return "".join(char for char in text if char.isalnum())
