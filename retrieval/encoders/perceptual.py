"""A perceptual descriptor of page images: finds a page from its picture and knows nothing of meaning.

Low-frequency DCT coefficients of the grey page, as in the perceptual hash of Zauner (2010,
"Implementation and Benchmarking of Perceptual Image Hash Functions"), beside the ink profiles of
its rows and columns, as document image retrieval has long used them. Uniform margins are cut off
first, so that a screenshot with another frame gives the same vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.base import RGB, DenseVector, EncoderDescription, Role, Vector
from tuwen.errors import InvalidRequestError

VERSION = 2
_SIDE = 128
_FREQUENCIES = 24
_PROFILE = 64
_INK = 0.12
"""Departure from the background, of full contrast, from which a pixel is content."""
_FRAME = 16
"""Grey levels by which a page departs from a frame around it."""
_PAGE_SHARE = 0.3
"""Of an image within a frame: the least that the page fills."""

Plane = NDArray[np.float32]


class PerceptualEncoder:
    """Page images to vectors of 704 numbers: 576 DCT coefficients, 64 row and 64 column ink sums.

    Robust to scale, brightness, contrast, mild noise, JPEG and uniform margins; not to rotation or perspective.
    """

    @property
    def description(self) -> EncoderDescription:
        """Static facts."""
        return EncoderDescription(
            name="perceptual (DCT and ink profiles)",
            kind="dense",
            dimension=_FREQUENCIES**2 + 2 * _PROFILE,
            modalities=("image",),
            licence="Apache-2.0",
            fingerprint=f"perceptual/{VERSION}/{_SIDE}/{_FREQUENCIES}/{_PROFILE}/{_INK}",
        )

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:  # noqa: ARG002
        """Raises InvalidRequestError: it sees pictures."""
        raise InvalidRequestError("The perceptual encoder encodes images only; text needs the text encoders.")

    def encode_images(self, images: Sequence[RGB]) -> list[Vector]:
        """One normalised vector an image, shape (704,). Raises InvalidRequestError for an empty image."""
        return [_describe(image) for image in images]

    def count_tokens(self, text: str) -> int:  # noqa: ARG002
        """Raises InvalidRequestError: it reads no text."""
        raise InvalidRequestError("The perceptual encoder encodes images only and counts no tokens.")


def _describe(image: RGB) -> DenseVector:
    import cv2

    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InvalidRequestError(f"An image must have the shape (height, width, 3), not {image.shape}.")
    ink = _trimmed(_ink(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)))
    square = cv2.resize(ink, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    spectrum = cv2.dct(square.astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES].ravel()
    spectrum[0] = 0.0
    rows = cv2.resize(ink.mean(axis=1, keepdims=True), (1, _PROFILE), interpolation=cv2.INTER_AREA).ravel()
    columns = cv2.resize(ink.mean(axis=0, keepdims=True), (_PROFILE, 1), interpolation=cv2.INTER_AREA).ravel()
    parts = [_unit(part - part.mean()) for part in (spectrum, rows, columns)]
    return _unit(np.concatenate([2.0 * parts[0], parts[1], parts[2]], dtype=np.float32))


def _ink(grey: NDArray[np.uint8]) -> Plane:
    """0 for the background (the commonest grey), 1 for the strongest departure from it."""
    import cv2

    smooth = _unframed(np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.uint8))
    departure = np.abs(smooth.astype(np.float32) - _commonest(smooth))
    strongest = float(np.percentile(departure, 99.5))
    return np.asarray(np.clip(departure / max(strongest, 8.0), 0.0, 1.0), np.float32)


def _commonest(grey: NDArray[np.uint8]) -> int:
    return int(np.bincount(grey.ravel(), minlength=256).argmax())


def _unframed(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without the plain frame that a viewer draws around a page, where its grey is not the page's."""
    frame = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    if abs(frame - _commonest(grey)) <= _FRAME:
        return grey
    inside = np.abs(grey.astype(np.int16) - frame) > _FRAME
    rows, columns = (np.flatnonzero(inside.mean(axis=axis) > _PAGE_SHARE) for axis in (1, 0))
    if len(rows) < 8 or len(columns) < 8:
        return grey
    # The blurred seam is neither page nor frame: two pixels less on each side.
    return grey[rows[0] + 2 : rows[-1] - 1, columns[0] + 2 : columns[-1] - 1]


def _trimmed(ink: Plane) -> Plane:
    """The part that holds content; all of a blank page."""
    rows = np.flatnonzero((ink > _INK).mean(axis=1) > 0.002)
    columns = np.flatnonzero((ink > _INK).mean(axis=0) > 0.002)
    if not len(rows) or not len(columns):
        return ink
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _unit(vector: Plane) -> Plane:
    """L2-normalised; a zero vector (blank page) becomes the first axis, so that blanks find blanks."""
    norm = float(np.linalg.norm(vector))
    if norm < 1e-6:
        return np.asarray(np.arange(len(vector)) == 0, np.float32)
    return np.asarray(vector / norm, np.float32)
