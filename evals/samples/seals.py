"""Round red seals as companies stamp them."""

from __future__ import annotations

import math

from evals.samples.sheet import DrawnBlock, Glyph, Sheet, Style, rgb

RED = rgb("#d2232a")
"""Vermilion ink."""


def draw_seal(
    sheet: Sheet, center: tuple[float, float], name: str, block: DrawnBlock, purpose: str = "合同专用章"
) -> None:
    """A seal of 4 cm: the company's name along the rim, a star, the seal's purpose below it.

    Args:
        sheet: drawn on.
        center: in points.
        name: along the upper rim.
        block: takes the text.
        purpose: the line below the star.
    """
    x, y = center
    radius = 57.0
    sheet.circle(x, y, radius, stroke=RED, width=3)
    star = []
    for n in range(10):
        reach = 15 if n % 2 == 0 else 15 * 0.382
        angle = math.radians(-90 + 36 * n)
        star.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    sheet.path(star, closed=True, fill=RED)
    style = Style("serif-bold", 13.5, RED)
    span = 246.0
    for n, char in enumerate(name):
        angle = -span / 2 + span * n / (len(name) - 1)
        sheet.turned(Glyph(char, x - style.size / 2, style), y - radius + 17, angle, center, block)
    sheet.text(x, y + 38, purpose, Style("serif-bold", 11.5, RED, 1), block, align=0.5)
