"""Inks that lie over the text: red seals and slanting watermarks, told apart from it by colour and direction."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.base import RGB
from ingest.ocr import Quad, quad_size

_RED = 30
"""Levels by which red exceeds the other channels, paper excluded, in red ink; half as much at its blurred edges."""
_SLANT = 11.0
"""Degrees off the direction of most lines from which one is no line of the text."""
_LONG = 2.0
"""A slanting region this many times longer than high is lettering, not a smudge or a figure's label."""
_FEWEST = 2
"""Slanting regions that make a watermark, which covers the page; one is a label or a signature."""
_MARGIN = 0.12
"""Share of the span from paper to text ink that is lifted beyond the watermark's own tone, for its blurred edges."""
_INK_SHARE = 3.0
"""Percent of the pixels of text regions that are as dark as their ink."""
_PALEST, _DARKEST = 0.08, 0.35
"""Shares of the span between paper and text ink: what is paler than the one is paper, and a watermark darker than the
other cannot be told from text by its tone."""

Grey = NDArray[np.float32]
"""Of shape (height, width), 0..255."""


def redness(image: RGB) -> Grey:
    """By how much each pixel is redder than the paper."""
    channels = image.astype(np.float32)
    excess = channels[..., 0] - np.maximum(channels[..., 1], channels[..., 2])
    red: Grey = excess - float(np.median(excess[::4, ::4]))
    return red


def red_mask(red: Grey) -> NDArray[np.bool_]:
    """Where there is red ink, its edges included."""
    near = cv2.dilate((red > _RED).astype(np.uint8), np.ones((3, 3), np.uint8))
    mask: NDArray[np.bool_] = (near > 0) & (red > _RED / 2)
    return mask


def without_red(image: RGB, mask: NDArray[np.bool_]) -> RGB:
    """The picture with the red ink of ``mask`` bleached; black below it stays, dark in the red channel too."""
    if not mask.any():
        return image
    levels = image[..., 0][mask].astype(np.float32)
    paper = float(np.median(image[::4, ::4, 0]))
    gain = paper / max(1.0, float(np.median(levels)))
    bleached = image.copy()
    bleached[mask] = np.clip(levels * gain, 0, 255).astype(np.uint8)[:, None]
    return bleached


def only_red(image: RGB, mask: NDArray[np.bool_]) -> RGB:
    """The red ink of ``mask`` alone, dark on white: in the green channel, which JPEG keeps sharper than the hue."""
    ink = np.where(mask, image[..., 1], 255).astype(np.uint8)
    return np.repeat(ink[..., None], 3, axis=2)


def slanting(quads: Sequence[Quad]) -> list[Quad]:
    """The regions of a watermark: long, and across the direction of most lines; none where there are too few."""
    if not quads:
        return []
    angles = np.array([_angle(quad) for quad in quads])
    lengths = np.array([max(quad_size(quad)) for quad in quads])
    order = np.argsort(angles)
    reached = np.cumsum(lengths[order])
    main = angles[order][np.searchsorted(reached, reached[-1] / 2)]
    off = np.abs((angles - main + 45) % 90 - 45)
    found = [
        quad
        for quad, angle in zip(quads, off, strict=True)
        if angle > _SLANT and max(quad_size(quad)) > _LONG * min(quad_size(quad))
    ]
    return found if len(found) >= _FEWEST else []


def _angle(quad: Quad) -> float:
    """Direction of the longer side in degrees, -45..45: the nearest of level and upright counts as 0."""
    across, down = quad[1] - quad[0], quad[3] - quad[0]
    dx, dy = across if np.linalg.norm(across) >= np.linalg.norm(down) else down
    return float((np.degrees(np.arctan2(dy, dx)) + 45) % 90 - 45)


def without_watermark(image: RGB, marks: Sequence[Quad], text: Sequence[Quad]) -> RGB:
    """The picture without its watermark.

    A red one is bleached as red ink. A grey one is lifted to the tone of the paper, together with everything as
    pale as it; text that is not clearly darker than the watermark cannot be told from it, and then all is left.

    Args:
        image: the page.
        marks: places of the watermark's letters.
        text: places of the lines below it.
    """
    grey = image.min(axis=2).astype(np.float32)
    within, below = _area(marks, grey.shape), _area(text, grey.shape)
    if not below.any():
        return image
    paper, ink = float(np.median(grey[::4, ::4])), float(np.percentile(grey[below], _INK_SHARE))
    span = paper - ink
    letters = within & (grey < paper - _PALEST * span) & (grey > ink + _DARKEST * span)
    if not letters.any():
        return image
    red = redness(image)
    if float(np.median(red[letters])) > _RED / 2:
        return without_red(image, red_mask(red))
    tone = float(np.median(grey[letters])) - _MARGIN * span
    if tone < ink + _DARKEST * span:
        return image
    lifted: RGB = (np.clip((image.astype(np.float32) - ink) / (tone - ink), 0, 1) * 255).astype(np.uint8)
    return lifted


def _area(quads: Sequence[Quad], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.zeros(shape[:2], np.uint8)
    for quad in quads:
        cv2.fillConvexPoly(inside, quad.astype(np.int32), 1)
    return inside > 0
