"""One request on its way through the engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue

from vlm.base import RGB, Tiling, VisionRequest, VisionResult
from vlm.internvl.choose import Chooser
from vlm.internvl.prompt import Detokenizer
from vlm.internvl.tiling import content_key, cut
from vlm.internvl.vision import Picture
from vlm.transcript import Transcript


class Job:
    """A request, what was written for it, and who waits for it.

    Args:
        request: checked, and known to fit.
        prompt: its token ids.
        tiling: how its images are cut.
        detokenizer: for its text.
        stop_ids: tokens that end it.
        streamed: whether pieces are wanted as they are written; such jobs are served first.

    Attributes:
        done: the result, or the error.
        pieces: of a streamed job; None after the last.
        pictures: its images, once they are cut.
        written: the tokens of the text so far.
    """

    def __init__(
        self,
        request: VisionRequest,
        prompt: Sequence[int],
        tiling: Tiling,
        detokenizer: Detokenizer,
        stop_ids: frozenset[int],
        streamed: bool = False,
    ) -> None:
        self.request = request
        self.prompt = prompt
        self.written: list[int] = []
        self.streamed = streamed
        self.pieces: SimpleQueue[str | None] = SimpleQueue()
        self.done: Future[VisionResult] = Future()
        self.pictures: Future[list[Picture]] | None = None
        self.chooser = Chooser(request.decoding) if Chooser.needed(request.decoding) else None
        self._tiling = tiling
        self._detokenizer = detokenizer
        self._stop_ids = stop_ids
        self._transcript = Transcript(request)
        self._abandoned = False

    @property
    def room(self) -> int:
        """Tokens that it may come to."""
        return len(self.prompt) + self.request.max_tokens

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be written."""
        return self.done.done()

    def abandon(self) -> None:
        """Nobody waits for it any more."""
        self._abandoned = True

    def cut(self, side: int) -> list[Picture]:
        """Its images as tiles of ``side`` pixels; runs in a thread beside the model."""
        return [self._picture(image, side) for image in self.request.images]

    def _picture(self, image: RGB, side: int) -> Picture:
        return Picture(content_key(image, self._tiling), cut(image, side, self._tiling))

    def accept(self, token: int) -> None:
        """Write ``token``; the job is finished afterwards if that ends its text."""
        if self.finished:
            return
        self.written.append(token)
        try:
            self._write(token)
        except Exception as error:  # noqa: BLE001 the caller's detector must not stop the others
            self.fail(error)
        else:
            self._settle()

    def _write(self, token: int) -> None:
        if token in self._stop_ids:
            self._transcript.feed(self._detokenizer.flush())
            self._transcript.end("stop")
            return
        self._transcript.feed(self._detokenizer.push(token))
        if len(self.written) == self.request.max_tokens:
            self._transcript.feed(self._detokenizer.flush())
            self._transcript.end("length")

    def end_if_cancelled(self) -> bool:
        """Finish it if its caller has given it up; whether it is finished."""
        if not self.finished and (self._abandoned or self.request.cancelled):
            self._transcript.end("cancelled")
            self._settle()
        return self.finished

    def fail(self, error: Exception) -> None:
        """Let whoever waits have ``error``."""
        if not self.finished:
            self.done.set_exception(error)
            self.pieces.put(None)

    def _settle(self) -> None:
        """Hand on what is new, and the result if that was the end."""
        if self.streamed and (piece := self._transcript.take()):
            self.pieces.put(piece)
        if finish := self._transcript.finish:
            self.done.set_result(VisionResult(self._transcript.text, len(self.prompt), len(self.written), finish))
            self.pieces.put(None)
