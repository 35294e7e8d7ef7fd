"""Figures: how far they reach, which of the texts around them are theirs, and where their caption starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ingest.base import OpenPage, TextLine
from ingest.headings import is_caption, numbering
from ingest.prose import Page, Row, rows_of
from ingest.regions import Region
from tuwen.types import BlockKind, Box

_PAINT = ("fill-path", "stroke-path", "fill-image", "fill-shade", "fill-imgmask")
_MAX_PAINT = 20_000
"""Drawing commands looked at: a map has more, and its extent is known long before."""
_MAX_MARK = 0.6
"""Share of the page; what covers more is a background."""
_REACH = 0.02
"""Share of the page within which a mark or a label still belongs to a figure."""
_LABEL_CHARS = 20
_SENTENCE = re.compile(r"[。；！？]|[，,].*[，,]")


def paint(page: OpenPage) -> list[Box]:
    """Boxes of everything but text that a born-digital page paints, backgrounds left out."""
    boxes = []
    for kind, (x0, y0, x1, y1), *_ in page.pdf_page.get_bboxlog()[:_MAX_PAINT]:
        if kind in _PAINT:
            box = Box(x0 / page.width, y0 / page.height, x1 / page.width, y1 / page.height).clamped()
            if box.area < _MAX_MARK and box.width < 0.95:
                boxes.append(box)
    return boxes


def with_figures(
    regions: Sequence[Region], lines: Sequence[TextLine], page: Page, marks: Sequence[Box]
) -> list[Region]:
    """Give figures their extent and their labels, and captions a region of their own.

    Args:
        regions: as corrected one by one.
        lines: of the page.
        page: its size.
        marks: boxes of painted things, none for scans.
    """
    parts = [part for region in regions for part in _without_caption(region, lines, page)]
    parts = [_as_figure(part, parts, lines, page) for part in parts]
    figures = [part for part in parts if part.kind is BlockKind.FIGURE]
    if not figures:
        return parts
    others = [part for part in parts if part.kind is not BlockKind.FIGURE]
    labels = [r for r in others if r.kind is BlockKind.TEXT and _is_label(rows_of((lines[i] for i in r.lines), page))]
    walls = [r.box for r in others if r not in labels]
    figures = [f._replace(box=_extent(f.box, marks, walls)) for f in figures]
    for label in labels:
        home = next((n for n, f in enumerate(figures) if _belongs(label.box, f.box, walls)), None)
        if home is not None:
            figure = figures[home]
            figures[home] = figure._replace(box=Box.union((figure.box, label.box)), lines=(*figure.lines, *label.lines))
            others.remove(label)
    return others + figures


def _without_caption(region: Region, lines: Sequence[TextLine], page: Page) -> list[Region]:
    """Cut a caption off the last or first row of a figure, table or text."""
    if region.kind not in (BlockKind.FIGURE, BlockKind.TABLE, BlockKind.TEXT) or len(region.lines) < 2:
        return [region]
    rows = rows_of((lines[i] for i in region.lines), page)
    found = next((row for row in (rows[-1], rows[0]) if len(rows) > 1 and is_caption(row.text)), None)
    if found is None or (region.kind is BlockKind.TEXT and not _is_label([r for r in rows if r is not found])):
        return [region]
    rest = tuple(i for i in region.lines if i not in found.lines)
    caption = Region(BlockKind.CAPTION, Box.union(lines[i].box for i in found.lines), found.lines)
    return [region._replace(lines=rest, box=Box.union(lines[i].box for i in rest)), caption]


def _as_figure(region: Region, regions: Iterable[Region], lines: Sequence[TextLine], page: Page) -> Region:
    """Labels right above the caption of a figure are that figure."""
    if region.kind is not BlockKind.TEXT or not _is_label(rows_of((lines[i] for i in region.lines), page)):
        return region
    captions = [
        r for r in regions if r.kind is BlockKind.CAPTION and not lines[r.lines[0]].text.startswith(("表", "附表"))
    ]
    below = [r for r in captions if -0.01 < r.box.y0 - region.box.y1 < 2 * _REACH and _share_x(r.box, region.box)]
    taken = any(
        r.kind is BlockKind.FIGURE and _share_x(r.box, region.box) and b.box.y0 > r.box.y0 > region.box.y0 - 0.3
        for b in below
        for r in regions
    )
    return region._replace(kind=BlockKind.FIGURE) if below and not taken else region


def _share_x(a: Box, b: Box) -> bool:
    return min(a.x1, b.x1) > max(a.x0, b.x0)


def _is_label(rows: Sequence[Row]) -> bool:
    """Whether these rows are labels of a drawing: short, without sentences, and no numbered heading."""
    return (
        bool(rows)
        and all(len(row.text) <= _LABEL_CHARS * (1 + (row.gap > 1)) and not _SENTENCE.search(row.text) for row in rows)
        and not ((found := numbering(rows[0].text)) and not found.scheme.startswith(("decimal", "arabic")))
    )


def _extent(box: Box, marks: Sequence[Box], walls: Sequence[Box]) -> Box:
    """``box`` grown over the marks that touch it, and those that touch these, but over no other text."""
    for _ in range(3):
        near = Box(box.x0 - _REACH, box.y0 - _REACH, box.x1 + _REACH, box.y1 + _REACH)
        touching = [m for m in marks if _meets(m, near) and not any(_meets(m, wall) for wall in walls)]
        grown = Box.union([box, *touching])
        if grown == box:
            break
        box = grown
    return box


def _meets(a: Box, b: Box) -> bool:
    """Whether two boxes have a point in common; lines have no area but count."""
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 <= b.y1 and b.y0 <= a.y1


def _belongs(label: Box, figure: Box, walls: Sequence[Box]) -> bool:
    """Whether a label stands in a figure or at its edge, with nothing between them."""
    x, y = label.center
    if figure.contains_point(x, y):
        return True
    near = Box(figure.x0 - _REACH, figure.y0 - 1.5 * _REACH, figure.x1 + _REACH, figure.y1 + _REACH / 2)
    both = Box.union((label, figure))
    return near.contains_point(x, y) and not any(wall.overlap(both) > 0.5 for wall in walls)
