"""One text while a model in this process writes it: tokens in, pieces and a result out."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING

from vlm.base import VisionRequest, VisionResult
from vlm.transcript import Transcript

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Detokenizer:
    """Ids to text, piece by piece, no character before all its bytes are there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._written = 0

    def push(self, token: int) -> str:
        """The text that is certain with ``token``; often empty in the middle of a character."""
        self._ids.append(token)
        piece: str = self._stream.step(self._tokenizer, token) or ""
        self._written += len(piece)
        return piece

    def flush(self) -> str:
        """What is left at the end: the replacement character for an unfinished one."""
        whole: str = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        rest = whole[self._written :]
        self._written = len(whole)
        return rest


class Writing:
    """The text of one request, and who waits for it.

    Args:
        request: checked, and known to fit.
        prompt_tokens: of its prompt.
        detokenizer: for its text.
        stop_ids: tokens that end it.
        streamed: whether pieces are wanted as they are written.

    Attributes:
        done: the result, or the error.
        pieces: of a streamed text; None after the last.
        written: the tokens of the text so far.
    """

    def __init__(
        self,
        request: VisionRequest,
        prompt_tokens: int,
        detokenizer: Detokenizer,
        stop_ids: frozenset[int],
        streamed: bool = False,
    ) -> None:
        self.request = request
        self.prompt_tokens = prompt_tokens
        self.written: list[int] = []
        self.streamed = streamed
        self.pieces: SimpleQueue[str | None] = SimpleQueue()
        self.done: Future[VisionResult] = Future()
        self._detokenizer = detokenizer
        self._stop_ids = stop_ids
        self._transcript = Transcript(request)
        self._abandoned = False

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be written."""
        return self.done.done()

    def abandon(self) -> None:
        """Nobody waits for it any more."""
        self._abandoned = True

    def accept(self, token: int) -> None:
        """Write ``token``; it is finished afterwards if that ends the text."""
        if self.finished:
            return
        self.written.append(token)
        try:
            self._write(token)
        except Exception as error:  # noqa: BLE001 the caller's detector must not stop the others
            self.fail(error)
        else:
            self._settle()

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

    def _write(self, token: int) -> None:
        if token in self._stop_ids:
            self._transcript.feed(self._detokenizer.flush())
            self._transcript.end("stop")
            return
        self._transcript.feed(self._detokenizer.push(token))
        if len(self.written) == self.request.max_tokens:
            self._transcript.feed(self._detokenizer.flush())
            self._transcript.end("length")

    def _settle(self) -> None:
        """Hand on what is new, and the result if that was the end."""
        if self.streamed and (piece := self._transcript.take()):
            self.pieces.put(piece)
        if finish := self._transcript.finish:
            self.done.set_result(VisionResult(self._transcript.text, self.prompt_tokens, len(self.written), finish))
            self.pieces.put(None)
