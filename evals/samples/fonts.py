"""Type faces of the sample corpus: metrics, and subsets small enough to embed.

The faces are those of Debian's ``fonts-noto-cjk`` (Noto Sans / Serif CJK, SIL Open Font License) plus the
PDF base font Times-Italic for variables in formulas.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Literal

import pymupdf
from fontTools import subset
from fontTools.ttLib import TTFont

from tuwen.errors import UnavailableError

FaceName = Literal["sans", "sans-bold", "serif", "serif-bold", "italic"]

FONT_DIR = Path("/usr/share/fonts/opentype/noto")
_FILES: dict[FaceName, str] = {
    "sans": "NotoSansCJK-Regular.ttc",
    "sans-bold": "NotoSansCJK-Bold.ttc",
    "serif": "NotoSerifCJK-Regular.ttc",
    "serif-bold": "NotoSerifCJK-Bold.ttc",
}
_SIMPLIFIED_CHINESE = 2
"""Index of the SC face in the Noto CJK collections."""

ASCENT, DESCENT = 0.88, 0.12
"""Height of an ideograph above and below the base line, in em (OS/2 typographic metrics of Noto CJK)."""


def available() -> bool:
    """Whether the faces are installed."""
    return all((FONT_DIR / name).is_file() for name in _FILES.values())


def require() -> None:
    """Check that the faces are there.

    Raises:
        UnavailableError: they are not; says how to install them.
    """
    if not available():
        raise UnavailableError(f"No Noto CJK fonts below {FONT_DIR}: `apt-get install fonts-noto-cjk` and try again.")


@cache
def _collection(face: FaceName) -> bytes:
    return (FONT_DIR / _FILES[face]).read_bytes()


def _open(face: FaceName) -> TTFont:
    data = io.BytesIO(_collection(face))
    return TTFont(data, fontNumber=_SIMPLIFIED_CHINESE, lazy=True, recalcTimestamp=False)


@cache
def _advances(face: FaceName) -> dict[int, float]:
    """Advance width in em by code point."""
    font = _open(face)
    widths, unit = font["hmtx"].metrics, float(font["head"].unitsPerEm)
    return {code: widths[name][0] / unit for code, name in font.getBestCmap().items()}


@cache
def _italic() -> pymupdf.Font:
    return pymupdf.Font("tiit")


@cache
def advance(face: FaceName, char: str) -> float:
    """Advance width of ``char`` in em.

    Raises:
        ValueError: the face has no glyph for it.
    """
    if face == "italic":
        if ord(char) > 255:
            raise ValueError(f"{char!r} is not in the italic face")
        return float(_italic().glyph_advance(ord(char)))
    width = _advances(face).get(ord(char))
    if width is None:
        raise ValueError(f"{char!r} is not in the {face} face")
    return width


def subset_face(face: FaceName, chars: frozenset[str]) -> tuple[bytes, dict[str, int]]:
    """An OpenType file with only ``chars``, and the glyph id of each.

    Character ids of the CID-keyed outlines are renumbered to equal the glyph ids, because a PDF names the
    glyphs of such a font by character id, and the writer names them by glyph id.
    """
    options = subset.Options()
    options.layout_features = []
    options.hinting = False
    options.name_IDs = [1, 2, 6]
    options.drop_tables += ["GSUB", "GPOS", "vhea", "vmtx", "VORG", "BASE", "DSIG"]
    options.recalc_timestamp = False
    font = _open(face)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=sorted(map(ord, chars)))
    cutter.subset(font)
    first = io.BytesIO()
    font.save(first)
    renumbered = TTFont(io.BytesIO(first.getvalue()), recalcTimestamp=False)
    _renumber(renumbered)
    cmap = renumbered.getBestCmap()
    ids = {char: int(renumbered.getGlyphID(cmap[ord(char)])) for char in sorted(chars)}
    second = io.BytesIO()
    renumbered.save(second)
    return second.getvalue(), ids


def _renumber(font: TTFont) -> None:
    old = font.getGlyphOrder()
    new = [".notdef", *(f"cid{gid:05d}" for gid in range(1, len(old)))]
    top = font["CFF "].cff.topDictIndex[0]
    strings = top.CharStrings.charStrings
    top.CharStrings.charStrings = {name: strings[before] for before, name in zip(old, new, strict=True)}
    top.charset = new
    font.setGlyphOrder(new)
