"""Sheets to PDF: fonts embedded as subsets, the same bytes for the same sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pymupdf

from evals.samples.fonts import FaceName, advance, subset_face
from evals.samples.sheet import Color, Glyph, PathOp, Sheet, TextOp

_DATE = "D:20260105090000+08'00'"


class _Font(NamedTuple):
    name: str
    ids: Mapping[str, int]


def write_pdf(sheets: Sequence[Sheet], title: str, author: str, rotate: int = 0) -> bytes:
    """A PDF of ``sheets``.

    Args:
        sheets: pages as displayed.
        title: for the document information.
        author: for the document information.
        rotate: 0, or 90 to store the pages turned with ``/Rotate 90``, so that they display upright.
    """
    document = pymupdf.open()
    for sheet in sheets:
        size = (sheet.width, sheet.height) if rotate == 0 else (sheet.height, sheet.width)
        document.new_page(width=size[0], height=size[1])
    fonts = _embed(document, sheets)
    for page, sheet in zip(document, sheets, strict=True):
        _paint(document, page, sheet, fonts, rotate)
    document.set_metadata(
        {"title": title, "author": author, "producer": "tuwen samples", "creationDate": _DATE, "modDate": _DATE}
    )
    return bytes(document.tobytes(garbage=3, deflate=True, deflate_fonts=True, no_new_id=True))


def _embed(document: pymupdf.Document, sheets: Sequence[Sheet]) -> dict[FaceName, _Font]:
    used: dict[FaceName, set[str]] = {}
    for sheet in sheets:
        for op in sheet.ops:
            for glyph in op.glyphs if isinstance(op, TextOp) else ():
                used.setdefault(glyph.style.face, set()).add(glyph.char)
    fonts: dict[FaceName, _Font] = {}
    for number, (face, chars) in enumerate(sorted(used.items())):
        name = f"F{number}"
        if face == "italic":
            for page in document:
                page.insert_font(fontname="tiit")
            fonts[face] = _Font("tiit", {char: ord(char) for char in chars})
            continue
        data, ids = subset_face(face, frozenset(chars))
        for page in document:
            page.insert_font(fontname=name, fontbuffer=data)
        fonts[face] = _Font(name, ids)
    return fonts


def _paint(
    document: pymupdf.Document, page: pymupdf.Page, sheet: Sheet, fonts: Mapping[FaceName, _Font], rotate: int
) -> None:
    turn = "" if rotate == 0 else f"0 1 -1 0 {_n(sheet.height)} 0 cm\n"
    body = "\n".join(
        _text(op, sheet.height, fonts) if isinstance(op, TextOp) else _path(op, sheet.height) for op in sheet.ops
    )
    xref = document.get_new_xref()
    document.update_object(xref, "<<>>")
    document.update_stream(xref, f"q\n{turn}{body}\nQ\n".encode("ascii"))
    page.set_contents(xref)
    if rotate:
        page.set_rotation(rotate)


def _n(value: float) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _color(color: Color, operator: str) -> str:
    return " ".join(map(_n, color)) + f" {operator}"


def _path(op: PathOp, height: float) -> str:
    points = [f"{_n(x)} {_n(height - y)}" for x, y in op.points]
    parts = [f"{points[0]} m"]
    if op.curved:
        parts += [" ".join(points[i : i + 3]) + " c" for i in range(1, len(points), 3)]
    else:
        parts += [f"{point} l" for point in points[1:]]
    if op.closed:
        parts.append("h")
    setup = [_color(op.fill, "rg")] if op.fill else []
    if op.stroke:
        setup += [_color(op.stroke, "RG"), f"{_n(op.width)} w", f"[{' '.join(map(_n, op.dash))}] 0 d"]
    paint = {(True, True): "B", (True, False): "f", (False, True): "S"}[op.fill is not None, op.stroke is not None]
    return "\n".join([*setup, *parts, paint])


def _text(op: TextOp, height: float, fonts: Mapping[FaceName, _Font]) -> str:
    runs: list[list[Glyph]] = []
    for glyph in op.glyphs:
        if runs and runs[-1][-1].style == glyph.style:
            runs[-1].append(glyph)
        else:
            runs.append([glyph])
    lines = ["BT", *(_run(run, op, height, fonts[run[0].style.face]) for run in runs), "ET"]
    if not op.angle:
        return "\n".join(lines)
    cos, sin = math.cos(math.radians(op.angle)), math.sin(math.radians(op.angle))
    px, py = op.pivot[0], height - op.pivot[1]
    # Clockwise on the page is negative rotation in PDF space.
    matrix = (cos, -sin, sin, cos, px - cos * px - sin * py, py + sin * px - cos * py)
    return "\n".join(["q", " ".join(f"{v:.5f}" for v in matrix) + " cm", *lines, "Q"])


def _run(run: Sequence[Glyph], op: TextOp, height: float, font: _Font) -> str:
    style = run[0].style
    parts: list[str] = []
    x = run[0].x
    for glyph in run:
        # TJ moves are in thousandths of an em, to the left.
        shift = round((x - glyph.x) / style.size * 1000)
        code = f"{font.ids[glyph.char]:02x}" if style.face == "italic" else f"{font.ids[glyph.char]:04x}"
        if shift:
            parts.append(str(shift))
            x -= shift * style.size / 1000
        parts.append(f"<{code}>")
        x += advance(style.face, glyph.char) * style.size
    where = f"1 0 0 1 {_n(run[0].x)} {_n(height - op.y + style.rise)} Tm"
    joined = " ".join(parts).replace("> <", "")
    return f"/{font.name} {_n(style.size)} Tf {_color(style.color, 'rg')} {where} [{joined}] TJ"
