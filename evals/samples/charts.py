"""Vector charts with their text recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evals.samples.sheet import BLACK, Color, DrawnBlock, Sheet, Style, arc, rgb

GREY = rgb("#c9d1da")


class Series(NamedTuple):
    """One set of values."""

    name: str
    values: Sequence[float]
    color: Color


class Axis(NamedTuple):
    """The value axis: ticks from ``low`` to ``high``."""

    low: float
    high: float
    step: float
    unit: str
    fmt: str = "{:,.0f}"

    def ticks(self) -> list[float]:
        """Tick values."""
        count = round((self.high - self.low) / self.step)
        return [self.low + n * self.step for n in range(count + 1)]


class Plot:
    """The plot area of a chart with its axes; ``label`` is the style of the text in it."""

    def __init__(
        self, sheet: Sheet, area: tuple[float, float, float, float], axis: Axis, label: Style, block: DrawnBlock
    ) -> None:
        self.sheet, self.axis, self.label, self.block = sheet, axis, label, block
        x0, y0, x1, y1 = area
        self.area = area
        size = label.size
        self.x0, self.x1 = x0 + size * 3.6, x1 - size * 0.5
        self.y0, self.y1 = y0 + size * 2.6, y1 - size * 1.9

    def frame(self, legend: Sequence[Series]) -> None:
        """Unit, legend, ticks and grid."""
        sheet, size = self.sheet, self.label.size
        top = self.area[1] + size * 1.2
        sheet.text(self.area[0], top, self.axis.unit, self.label, self.block)
        x = self.x1
        for series in reversed(legend):
            x -= size * (len(series.name) + 0.2)
            sheet.rect(x - size * 1.4, top - size * 0.75, x - size * 0.5, top + size * 0.05, fill=series.color)
            x -= size * 2.4
        x = self.x1 - sum(size * (len(s.name) + 2.6) for s in legend)
        for series in legend:
            x += size * 2.4
            sheet.text(x, top, series.name, self.label, self.block)
            x += size * (len(series.name) + 0.2)
        for tick in reversed(self.axis.ticks()):
            y = self.y(tick)
            sheet.line(
                self.x0, y, self.x1, y, GREY if tick != self.axis.low else BLACK, 0.4 if tick != self.axis.low else 0.8
            )
            sheet.text(self.x0 - 4, y + size * 0.36, self.axis.fmt.format(tick), self.label, self.block, align=1)

    def y(self, value: float) -> float:
        """Height of a value in points."""
        return self.y1 - (value - self.axis.low) / (self.axis.high - self.axis.low) * (self.y1 - self.y0)

    def x(self, number: int, count: int) -> float:
        """Middle of category ``number``."""
        return self.x0 + (number + 0.5) / count * (self.x1 - self.x0)

    def categories(self, names: Sequence[str]) -> None:
        """Labels below the axis."""
        for number, name in enumerate(names):
            x = self.x(number, len(names))
            self.sheet.text(x, self.y1 + self.label.size * 1.4, name, self.label, self.block, align=0.5)


def bars(plot: Plot, names: Sequence[str], series: Sequence[Series], fmt: str = "{:,.0f}") -> None:
    """Grouped bars with their values above."""
    plot.frame(series if len(series) > 1 else [])
    slot = (plot.x1 - plot.x0) / len(names)
    width = min(slot * 0.68 / len(series), plot.label.size * 4.2)
    for number in range(len(names)):
        for k, one in enumerate(series):
            x = plot.x(number, len(names)) + (k - len(series) / 2) * width
            y = plot.y(one.values[number])
            plot.sheet.rect(x + 1, y, x + width - 1, plot.y1, fill=one.color)
            value = fmt.format(one.values[number])
            plot.sheet.text(x + width / 2, y - 3, value, plot.label, plot.block, align=0.5)
    plot.categories(names)


def lines(
    plot: Plot, names: Sequence[str], series: Sequence[Series], fmt: str = "{:.1f}", last_below: bool = False
) -> None:
    """Lines with markers and values above them (below, for the last series, where lines cross)."""
    plot.frame(series)
    for number, one in enumerate(series):
        points = [(plot.x(n, len(names)), plot.y(v)) for n, v in enumerate(one.values)]
        plot.sheet.path(points, stroke=one.color, width=1.4)
        below = last_below and number == len(series) - 1
        for (x, y), value in zip(points, one.values, strict=True):
            plot.sheet.circle(x, y, 2.2, fill=(1, 1, 1), stroke=one.color, width=1.2)
            shift = plot.label.size + 3 if below else -5
            plot.sheet.text(x, y + shift, fmt.format(value), plot.label, plot.block, align=0.5)
    plot.categories(names)


def donut(
    sheet: Sheet, center: tuple[float, float], radius: float, parts: Sequence[Series], label: Style, block: DrawnBlock
) -> None:
    """Shares of a whole, first value of each series, legend on the right."""
    total = sum(part.values[0] for part in parts)
    angle = -90.0
    for part in parts:
        end = angle + part.values[0] / total * 360
        outer, inner = arc(*center, radius, angle, end), arc(*center, radius * 0.58, end, angle)
        # A straight edge is a Bézier whose control points lie on its ends.
        path = [*outer, outer[-1], inner[0], inner[0], *inner[1:], inner[-1], outer[0], outer[0]]
        sheet.path(path, closed=True, curved=True, fill=part.color, stroke=(1, 1, 1), width=1)
        angle = end
    x, y = center[0] + radius + label.size * 2.5, center[1] - (len(parts) - 1) * label.size
    for part in parts:
        sheet.rect(x, y - label.size * 0.8, x + label.size * 0.9, y + label.size * 0.1, fill=part.color)
        text = f"{part.name} {part.values[0] / total:.1%}"
        sheet.text(x + label.size * 1.6, y, text, label, block)
        y += label.size * 2
