"""Reading order of the regions of a page: a recursive X-Y cut that looks for columns first.

After Nagy and Seth, "Hierarchical representation of optically scanned documents" (1984), with two
changes: a cut into columns must be supported by columns that stand beside each other, and
consecutive bands that share a gutter are read column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuwen.types import Box

_SLACK = 0.003
"""Boxes that overlap by less than this share of the page are taken to be apart."""


def reading_order(boxes: Sequence[Box], rows: Sequence[int] | None = None) -> list[int]:
    """Indices of ``boxes`` in reading order, left to right and top to bottom.

    Args:
        boxes: regions without headers and footers.
        rows: number of printed lines in each region, which tells paragraphs from form labels; 3 each when None.
    """
    return _order(list(range(len(boxes))), boxes, [max(1, n) for n in rows] if rows else [3] * len(boxes))


def _order(items: list[int], boxes: Sequence[Box], rows: Sequence[int]) -> list[int]:
    if len(items) < 2:
        return items
    columns = _columns(items, boxes)
    bands = _bands(items, boxes)
    if len(columns) > 1 and not _is_form(bands, columns, boxes, rows):
        return [i for column in columns for i in _order(column, boxes, rows)]
    if len(bands) > 1:
        groups = _merge_bands(bands, boxes, rows)
        if len(groups) > 1:
            return [i for group in groups for i in _order(group, boxes, rows)]
        return [i for band in bands for i in _order(band, boxes, rows)]
    if len(columns) > 1:
        return [i for column in columns for i in _order(column, boxes, rows)]
    return sorted(items, key=lambda i: (boxes[i].y0, boxes[i].x0))


def _split(items: list[int], low: Callable[[int], float], high: Callable[[int], float]) -> list[list[int]]:
    """Groups of items between which an empty stripe runs, in order."""
    groups: list[list[int]] = []
    end = float("-inf")
    for i in sorted(items, key=lambda i: (low(i), high(i))):
        if low(i) >= end - _SLACK:
            groups.append([])
        groups[-1].append(i)
        end = max(end, high(i))
    return groups


def _bands(items: list[int], boxes: Sequence[Box]) -> list[list[int]]:
    return _split(items, lambda i: boxes[i].y0, lambda i: boxes[i].y1)


def _columns(items: list[int], boxes: Sequence[Box]) -> list[list[int]]:
    """Columns, left to right, if each stands beside the next for a good part of its height."""
    groups = _split(items, lambda i: boxes[i].x0, lambda i: boxes[i].x1)
    columns = groups[:1]
    for group in groups[1:]:
        if _beside(columns[-1], group, boxes):
            columns.append(group)
        else:
            columns[-1] = columns[-1] + group
    return columns


def _beside(left: list[int], right: list[int], boxes: Sequence[Box]) -> bool:
    a, b = Box.union(boxes[i] for i in left), Box.union(boxes[i] for i in right)
    shared = min(a.y1, b.y1) - max(a.y0, b.y0)
    return shared > 0.4 * min(a.height, b.height)


def _is_form(bands: list[list[int]], columns: list[list[int]], boxes: Sequence[Box], rows: Sequence[int]) -> bool:
    """Labels beside values: two columns, every band reaches over both, the first is short and all of one size."""
    if len(columns) != 2:
        return False
    of_column = {i: n for n, column in enumerate(columns) for i in column}
    crossing = sum(len({of_column[i] for i in band}) > 1 for band in bands)
    heights = [boxes[i].height / rows[i] for i in columns[0]]
    alike = all(rows[i] <= 2 for i in columns[0]) and max(heights) < 1.5 * min(heights)
    return len(bands) > 1 and crossing == len(bands) and alike


def _merge_bands(bands: list[list[int]], boxes: Sequence[Box], rows: Sequence[int]) -> list[list[int]]:
    """Join consecutive bands as long as they have a gutter in common."""
    groups = [bands[0]]
    for band in bands[1:]:
        both = groups[-1] + band
        columns = _columns(both, boxes)
        if len(columns) > 1 and not _is_form(_bands(both, boxes), columns, boxes, rows):
            groups[-1] = both
        else:
            groups.append(band)
    return groups
