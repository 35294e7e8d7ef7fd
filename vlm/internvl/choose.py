"""The next token where it is not simply the likeliest one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlm.base import Decoding


class Chooser:
    """Chooses the tokens of one text.

    Args:
        decoding: how; with all defaults no chooser is needed (:meth:`needed`).
    """

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self._random = torch.Generator().manual_seed(decoding.seed)

    @staticmethod
    def needed(decoding: Decoding) -> bool:
        """Whether anything but the likeliest token may be wanted."""
        return decoding.temperature > 0 or decoding.no_repeat_ngram > 0

    def __call__(self, logits: torch.Tensor, written: Sequence[int]) -> int:
        """The token that follows ``written``, by ``logits`` of shape (vocabulary,)."""
        scores = logits.detach().to("cpu", torch.float32, copy=True)
        if banned := self._banned(written):
            scores[banned] = -torch.inf
        if self._decoding.temperature == 0:
            return int(scores.argmax())
        probabilities = self._nucleus((scores / self._decoding.temperature).softmax(-1))
        return int(torch.multinomial(probabilities, 1, generator=self._random))

    def _nucleus(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Only the likeliest tokens that together reach ``top_p`` (Holtzman et al. 2020)."""
        if self._decoding.top_p == 1:
            return probabilities
        ordered, order = probabilities.sort(descending=True)
        beyond = ordered.cumsum(-1) - ordered >= self._decoding.top_p
        probabilities[order[beyond]] = 0
        return probabilities

    def _banned(self, written: Sequence[int]) -> list[int]:
        """Tokens that would write a run of n tokens for the second time."""
        size = self._decoding.no_repeat_ngram
        if not size or len(written) < size:
            return []
        last = tuple(written[len(written) - size + 1 :])
        starts = range(len(written) - size + 1)
        return [written[start + size - 1] for start in starts if tuple(written[start : start + size - 1]) == last]
