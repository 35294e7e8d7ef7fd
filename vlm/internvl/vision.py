"""What the model sees of each image, computed once and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch

from vlm.internvl.load import Loaded
from vlm.internvl.tiling import Tiles, pixel_values

_TILES_AT_ONCE = 32


class Picture(NamedTuple):
    """An image ready for the model."""

    key: str
    """Of its content and tiling."""
    tiles: Tiles


class Vision:
    """Images to features, shape (tiles x tokens per tile, hidden), cached by content.

    A page is read by several tasks: transcription, caption, answer. The vision tower is run once for all of them.

    Args:
        loaded: the model.
        limit_bytes: features kept; those that were not used longest go first.

    Attributes:
        computed: images that went through the vision tower.
    """

    def __init__(self, loaded: Loaded, limit_bytes: int) -> None:
        self._loaded = loaded
        self._limit = limit_bytes
        self._held = 0
        self._cache: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._at_once = _TILES_AT_ONCE
        self.computed = 0

    def features(self, pictures: Sequence[Picture]) -> list[torch.Tensor]:
        """Of each picture, in order. Raises torch.OutOfMemoryError if one tile at a time is too much."""
        wanted = {picture.key: picture for picture in pictures}
        new = [picture for key, picture in wanted.items() if key not in self._cache]
        found = {key: self._cache[key] for key in wanted if key in self._cache}
        found |= self._compute(new)
        for key in wanted:
            self._keep(key, found[key])
        return [found[picture.key] for picture in pictures]

    def clear(self) -> None:
        """Forget all features, and take fewer tiles at once from now on."""
        self._cache.clear()
        self._held = 0
        self._at_once = max(1, self._at_once // 2)

    def _compute(self, pictures: Sequence[Picture]) -> dict[str, torch.Tensor]:
        if not pictures:
            return {}
        pixels = pixel_values([picture.tiles for picture in pictures], self._loaded.device, self._loaded.dtype)
        parts = [
            self._loaded.model.get_image_features(part, return_dict=True).pooler_output
            for part in pixels.split(self._at_once)
        ]
        self.computed += len(pictures)
        counts = [len(picture.tiles) for picture in pictures]
        split = torch.cat(parts).split(counts)
        return {p.key: part.flatten(0, 1).clone() for p, part in zip(pictures, split, strict=True)}

    def _keep(self, key: str, features: torch.Tensor) -> None:
        if key not in self._cache:
            self._held += features.nbytes
        self._cache[key] = features
        self._cache.move_to_end(key)
        while self._held > self._limit:
            _, dropped = self._cache.popitem(last=False)
            self._held -= dropped.nbytes
