"""How much is printed on a picture of a page."""

from __future__ import annotations

import numpy as np

from ingest.base import RGB

_INK = 40
"""Grey levels from the background that count as ink."""


def ink_share(image: RGB, margin: float = 0.0) -> float:
    """Share of pixels that differ from the background, 0..1.

    Args:
        image: the page.
        margin: share of each side that is left out, since scanners leave shadows there.
    """
    height, width = image.shape[:2]
    dy, dx = int(height * margin), int(width * margin)
    grey = image[dy : height - dy, dx : width - dx].mean(axis=2)
    return float((np.abs(grey - np.median(grey)) > _INK).mean())
