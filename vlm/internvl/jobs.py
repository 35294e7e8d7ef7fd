"""One request on its way through the engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from vlm.base import RGB, Tiling, VisionRequest
from vlm.internvl.choose import Chooser
from vlm.internvl.tiling import content_key, cut
from vlm.internvl.vision import Picture
from vlm.writing import Detokenizer, Writing


class Job(Writing):
    """A request of which the prompt is known; streamed ones are served first.

    Args:
        request: checked, and known to fit.
        prompt: its token ids.
        tiling: how its images are cut.
        detokenizer: for its text.
        stop_ids: tokens that end it.
        streamed: whether pieces are wanted as they are written.

    Attributes:
        pictures: its images, once they are being cut.
        chooser: where not simply the likeliest token is wanted.
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
        super().__init__(request, len(prompt), detokenizer, stop_ids, streamed)
        self.prompt = prompt
        self.pictures: Future[list[Picture]] | None = None
        self.chooser = Chooser(request.decoding) if Chooser.needed(request.decoding) else None
        self._tiling = tiling

    @property
    def room(self) -> int:
        """Tokens that it may come to."""
        return len(self.prompt) + self.request.max_tokens

    def cut(self, side: int) -> list[Picture]:
        """Its images as tiles of ``side`` pixels; runs in a thread beside the model."""
        return [self._picture(image, side) for image in self.request.images]

    def _picture(self, image: RGB, side: int) -> Picture:
        return Picture(content_key(image, self._tiling), cut(image, side, self._tiling))
