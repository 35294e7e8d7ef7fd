"""One text as it grows: stop strings, the detector, and what may be shown already. Shared by all adapters."""

from __future__ import annotations

from vlm.base import FinishReason, VisionRequest


class Transcript:
    """Collects the pieces of one text until something ends it.

    Attributes:
        text: what was written, without a stop string.
        finish: why it ended, or None while it goes on.
    """

    def __init__(self, request: VisionRequest) -> None:
        self.text = ""
        self.finish: FinishReason | None = None
        self._request = request
        self._detector = request.new_detector() if request.new_detector else None
        self._longest = max(map(len, request.stop), default=0)
        self._taken = 0

    def feed(self, piece: str) -> None:
        """Append ``piece`` and look whether the text ends with it."""
        if self.finish:
            return
        before = len(self.text)
        self.text += piece
        if (cut := self._stop_place(before)) is not None:
            self.text, self.finish = self.text[:cut], "stop"
        elif piece and self._detector and self._detector(piece):
            self.finish = "loop"
        if not self.finish and self._request.cancelled:
            self.finish = "cancelled"

    def end(self, reason: FinishReason) -> None:
        """Nothing more comes; an earlier reason stays."""
        self.finish = self.finish or reason

    def take(self) -> str:
        """Text that was not taken yet and that no stop string can cut off any more."""
        until = len(self.text) if self.finish else len(self.text) - self._undecided()
        piece = self.text[self._taken : until]
        self._taken += len(piece)
        return piece

    def _stop_place(self, before: int) -> int | None:
        start = max(0, before - self._longest + 1)
        places = [place for stop in self._request.stop if (place := self.text.find(stop, start)) >= 0]
        return min(places, default=None)

    def _undecided(self) -> int:
        """Length of the longest end of the text that could be the beginning of a stop string."""
        for length in range(min(self._longest - 1, len(self.text)), 0, -1):
            tail = self.text[-length:]
            if any(stop.startswith(tail) for stop in self._request.stop):
                return length
        return 0
