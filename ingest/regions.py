"""Regions of a page, as PyMuPDF's layout model sees them.

The model (a graph network over text lines plus a small image network, in ``pymupdf.layout``, ONNX,
CPU) works on a PDF page with text. A page that is a picture is turned into one: the recognised
lines are laid below the page's image in a temporary page of the same size, so that scans get the
same model as born-digital pages.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.base import RGB, OpenPage, TextLine
from ingest.ocr import threads
from tuwen.types import BlockKind, Box, Source

_KINDS = {
    "title": BlockKind.TITLE,
    "section-header": BlockKind.TITLE,
    "text": BlockKind.TEXT,
    "footnote": BlockKind.TEXT,
    "list-item": BlockKind.LIST,
    "table": BlockKind.TABLE,
    "picture": BlockKind.FIGURE,
    "caption": BlockKind.CAPTION,
    "formula": BlockKind.FORMULA,
    "page-header": BlockKind.HEADER,
    "page-footer": BlockKind.FOOTER,
}
_SCAN_DPI = 100
"""The model looks at a 72-dpi rendering; a little more keeps strokes from breaking twice."""
_MIN_FIGURE, _MAX_FIGURE = 0.004, 0.85
"""Share of the page: smaller pictures are ornaments, larger ones are the page itself."""


class Grid(NamedTuple):
    """Inner boundaries of a table, as fractions of the page."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]


class Region(NamedTuple):
    """A part of the page, and the lines that belong to it (indices, not yet in reading order)."""

    kind: BlockKind
    box: Box
    lines: tuple[int, ...]
    grid: Grid | None = None
    """What the model makes of a table's structure."""
    parts: tuple[tuple[int, ...], ...] = ()
    """Of a list joined from several regions: the lines of each, in order."""


def find_regions(page: OpenPage, lines: Sequence[TextLine]) -> list[Region]:
    """Regions of the page, in no order; every line is in exactly one."""
    if not lines:
        return [Region(BlockKind.FIGURE, box, ()) for box in _pictures(page)]
    if is_digital(lines):
        groups = _predict(page.pdf_page)
        pictures = _pictures(page)
    else:
        groups = _predict_scan(page, lines)
        pictures = []
    owners = _owners(lines, groups, page)
    members = [[i for i, owner in enumerate(owners) if owner == g] for g in range(len(groups))]
    regions = [_region(group, own, lines, page) for group, own in zip(groups, members, strict=True) if own]
    regions, loose = _place_pictures(regions, pictures, lines, [i for i, own in enumerate(owners) if own < 0])
    return regions + _paragraphs(loose, lines)


def is_digital(lines: Sequence[TextLine]) -> bool:
    """Whether most of the lines come from the text layer."""
    return 2 * sum(line.source is Source.TEXT_LAYER for line in lines) >= len(lines)


@cache
def _activate_layout() -> None:
    """Load the networks behind ``Page.get_layout``, with as many threads as our own.

    PyMuPDF leaves their number to ONNX Runtime, which takes one a core in every process, and lets them spin.
    """
    import onnxruntime

    plain = onnxruntime.SessionOptions

    def bounded() -> Any:
        options = plain()
        options.intra_op_num_threads = threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    onnxruntime.SessionOptions = bounded
    try:
        import pymupdf.layout  # noqa: F401
    finally:
        onnxruntime.SessionOptions = plain


def _predict(pdf_page: Any) -> list[dict[str, Any]]:
    _activate_layout()
    pdf_page.get_layout(return_raw=True)
    groups: list[dict[str, Any]] = pdf_page.layout_information or []
    return groups


def _predict_scan(page: OpenPage, lines: Sequence[TextLine]) -> list[dict[str, Any]]:
    import pymupdf

    with pymupdf.open() as document:
        sheet = document.new_page(width=page.width, height=page.height)
        for line in lines:
            _write(sheet, line, page)
        sheet.insert_image(sheet.rect, stream=_png(page.render(_SCAN_DPI, 4_000_000)))
        return _predict(sheet)


def _write(sheet: Any, line: TextLine, page: OpenPage) -> None:
    """Put ``line`` on the sheet so that its extent is that of the printed line."""
    import pymupdf

    box = line.box
    width, height = box.width * page.width, box.height * page.height
    if width <= 0 or height <= 0:
        return
    upright = height > 2 * width and len(line.words) > 1
    length, size = (height, width) if upright else (width, height)
    ems = len(line.text)  # MuPDF gives every character of this font one em
    start = pymupdf.Point(box.x0 * page.width, box.y1 * page.height - 0.2 * size)
    if upright:
        start = pymupdf.Point(box.x0 * page.width + 0.2 * size, box.y0 * page.height)
    squeeze = pymupdf.Matrix(length / (ems * size), 1)
    sheet.insert_text(
        start,
        line.text,
        fontname="china-s",
        fontsize=size,
        morph=(start, squeeze),
        rotate=270 if upright else 0,
    )


def _png(image: RGB) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _owners(lines: Sequence[TextLine], groups: Sequence[dict[str, Any]], page: OpenPage) -> list[int]:
    """For every line the group with whose lines it overlaps most, -1 for none."""
    members = [(g, box) for g, group in enumerate(groups) for box in group["bboxes"] or [group["group_bbox"]]]
    if not members or not lines:
        return [-1] * len(lines)
    scale = np.array([page.width, page.height, page.width, page.height])
    shared = _intersections(np.array([line.box for line in lines]), np.array([box for _, box in members]) / scale)
    of_group = np.zeros((len(lines), len(groups)))
    np.add.at(of_group.T, [g for g, _ in members], shared.T)
    best = of_group.argmax(axis=1)
    return [int(g) if of_group[i, g] > 0 else -1 for i, g in enumerate(best)]


def _intersections(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas, shape (len(a), len(b)), of the common parts of boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides: NDArray[np.float64] = np.clip(high - low, 0, None)
    return sides[..., 0] * sides[..., 1]


def _region(group: dict[str, Any], own: list[int], lines: Sequence[TextLine], page: OpenPage) -> Region:
    x0, y0, x1, y1 = group["group_bbox"][:4]
    kind = _KINDS[group["class_name"]]
    # The model's box is no better than its lines, except where there is more than lines.
    box = Box.union(lines[i].box for i in own)
    if kind is BlockKind.FIGURE:
        box = Box.union((box, Box(x0 / page.width, y0 / page.height, x1 / page.width, y1 / page.height)))
    grid = None
    if found := group.get("table_grid"):
        xs = tuple((x0 + x) / page.width for x in found.v_lines)
        ys = tuple((y0 + y) / page.height for y in found.h_lines)
        grid = Grid(xs, ys)
    return Region(kind, box, tuple(own), grid)


def _pictures(page: OpenPage) -> list[Box]:
    """Images placed on the page that can be figures, largest first; nested ones left out."""
    boxes: list[Box] = []
    for info in page.pdf_page.get_image_info():
        x0, y0, x1, y1 = info["bbox"]
        box = Box(x0 / page.width, y0 / page.height, x1 / page.width, y1 / page.height).clamped()
        if _MIN_FIGURE <= box.area <= _MAX_FIGURE:
            boxes.append(box)
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.area):
        if all(box.overlap(other) < 0.8 for other in kept):
            kept.append(box)
    return kept


def _place_pictures(
    regions: list[Region], pictures: Sequence[Box], lines: Sequence[TextLine], loose: list[int]
) -> tuple[list[Region], list[int]]:
    """Make a figure of each picture: grow the model's own, or add one with the recognised lines inside it."""
    regions, loose = list(regions), list(loose)
    for box in pictures:
        inner = [i for i, r in enumerate(regions) if r.box.overlap(box) > 0.7]
        if any(
            regions[i].kind is not BlockKind.FIGURE
            and any(lines[n].source is Source.TEXT_LAYER for n in regions[i].lines)
            for i in inner
        ):
            continue  # a background that text is printed on
        owned = [i for i in loose if box.contains_point(*lines[i].box.center)]
        own = [n for i in inner for n in regions[i].lines]
        grown = Box.union([box, *(regions[i].box for i in inner)])
        regions = [r for i, r in enumerate(regions) if i not in inner]
        regions.append(Region(BlockKind.FIGURE, grown, (*own, *owned)))
        loose = [i for i in loose if i not in owned]
    return regions, loose


def _paragraphs(loose: Sequence[int], lines: Sequence[TextLine]) -> list[Region]:
    """Group lines that the model knows nothing of: each joins the group right above it that it stands under."""
    groups: list[list[int]] = []
    for i in sorted(loose, key=lambda i: (lines[i].box.y0, lines[i].box.x0)):
        box = lines[i].box
        home = next((g for g in reversed(groups) if _continues(lines[g[-1]].box, box)), None)
        if home is None:
            groups.append([i])
        else:
            home.append(i)
    return [Region(BlockKind.TEXT, Box.union(lines[i].box for i in g), tuple(g)) for g in groups]


def _continues(above: Box, below: Box) -> bool:
    height = min(above.height, below.height)
    gap = below.y0 - above.y1
    shared = min(above.x1, below.x1) - max(above.x0, below.x0)
    similar = height > 0.7 * max(above.height, below.height)
    return similar and -0.5 * height < gap < 0.9 * height and shared > 0.3 * min(above.width, below.width)
