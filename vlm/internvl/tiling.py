"""An image cut into square tiles, as InternVL was trained to see it.

The same as ``dynamic_preprocess`` of the reference implementation (OpenGVLab/InternVL, MIT): of all grids with an
allowed number of tiles the one nearest in aspect ratio; the image is stretched onto it (bicubic), cut row by row,
and a thumbnail of the whole is appended where there is more than one tile. Tiles stay bytes until they are on the
model's device, a quarter of what is moved otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlm.base import RGB, Tiling

if TYPE_CHECKING:
    import torch

Tiles = NDArray[np.uint8]
"""Shape (tiles, side, side, 3)."""

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


@lru_cache(maxsize=64)
def _grids(smallest: int, largest: int) -> tuple[tuple[int, int], ...]:
    sides = range(1, largest + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if smallest <= columns * rows <= largest]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def grid(width: int, height: int, side: int, tiling: Tiling) -> tuple[int, int]:
    """Columns and rows for an image of ``width`` x ``height`` pixels and tiles of ``side`` pixels.

    Of two equally near grids the larger is taken if the image has more than half of its pixels.
    """
    aspect, area = width / height, width * height
    best, best_distance = (1, 1), float("inf")
    for columns, rows in _grids(tiling.min_tiles, tiling.max_tiles):
        distance = abs(aspect - columns / rows)
        nearer = distance < best_distance
        if nearer or (distance == best_distance and area > 0.5 * side * side * columns * rows):
            best, best_distance = (columns, rows), distance
    return best


def count_tiles(image: RGB, side: int, tiling: Tiling) -> int:
    """Number of tiles, thumbnail included."""
    columns, rows = grid(image.shape[1], image.shape[0], side, tiling)
    return columns * rows + (columns * rows > 1)


def cut(image: RGB, side: int, tiling: Tiling) -> Tiles:
    """The tiles of ``image``, row by row, the thumbnail last."""
    columns, rows = grid(image.shape[1], image.shape[0], side, tiling)
    picture = Image.fromarray(image)
    whole = np.asarray(picture.resize((columns * side, rows * side), Image.Resampling.BICUBIC))
    tiles = whole.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    if len(tiles) == 1:
        return tiles
    thumbnail = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
    return np.concatenate([tiles, thumbnail[None]])


def content_key(image: RGB, tiling: Tiling) -> str:
    """Names the tiles of an image by its content; equal images share their vision features."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((image.shape, tiling)).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def pixel_values(tiles: Sequence[Tiles], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Normalised pixels of all ``tiles`` on ``device``: shape (sum of tiles, 3, side, side).

    In fp32 bit for bit what the reference's ``ToTensor`` and ``Normalize`` give.
    """
    import torch

    stacked = torch.from_numpy(np.concatenate(tiles))
    if device.type == "cuda":  # from pageable memory the copy would wait for all that the device has still to do
        stacked = stacked.pin_memory()
    stacked = stacked.to(device, non_blocking=True)
    mean = torch.tensor(_MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(_STD, device=device).view(1, 3, 1, 1)
    pixels = stacked.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)
    return pixels.sub_(mean).div_(std).to(dtype)
