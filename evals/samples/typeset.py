"""Chinese typesetting: inline markup, line breaking with kinsoku rules, justification.

Markup: ``**bold**``; ``$math$`` sets letters italic, ``_x`` or ``_{xy}`` below and ``^x`` or ``^{xy}`` above
the line, and ``"…"`` inside it upright.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from evals.samples.fonts import FaceName, advance
from evals.samples.sheet import Glyph, Style, line_width
from tuwen.types import is_cjk

Align = Literal["justify", "left", "center", "right"]

_NOT_AT_START = set("、，。；：？！）》」』”’…—·%℃,.;:?!)]}")
_NOT_AT_END = set("（《「『“‘([{")
_GAP = 0.14
"""Space between ideographs and other script, in em."""


class Char(NamedTuple):
    """A character and its look."""

    char: str
    style: Style


class Line(NamedTuple):
    """A line ready to be drawn at x = 0, and what parted it from the line before (a space or nothing)."""

    glyphs: tuple[Glyph, ...]
    before: str


def bold(face: FaceName) -> FaceName:
    """The bold companion of ``face``."""
    return "serif-bold" if face.startswith("serif") else "sans-bold"


def parse(text: str, style: Style) -> list[Char]:
    """Characters of marked-up ``text``."""
    chars: list[Char] = []
    for number, part in enumerate(text.split("**")):
        look = style._replace(face=bold(style.face)) if number % 2 else style
        for inner, piece in enumerate(part.split("$")):
            chars += parse_math(piece, look) if inner % 2 else [Char(c, look) for c in piece]
    return chars


def parse_math(text: str, style: Style) -> list[Char]:
    """Characters of a formula on one line."""
    chars: list[Char] = []
    look, group, upright = style, False, False
    for char in text:
        if char in "_^" and look is style:
            shift = -0.16 if char == "_" else 0.36
            look = style._replace(size=style.size * 0.7, rise=style.size * shift)
        elif char == "{" and look is not style and not group:
            group = True
        elif char == "}" and group:
            look, group = style, False
        elif char == '"':
            upright = not upright
        else:
            face = "italic" if char.isascii() and char.isalpha() and not upright else style.face
            chars.append(Char(char, look._replace(face=face)))
            if not group:
                look = style
    return chars


def break_lines(chars: Sequence[Char], width: float, indent: float = 0.0, align: Align = "justify") -> list[Line]:
    """Break into lines of at most ``width`` points; the first starts at ``indent``.

    Greedy; a line neither starts with closing nor ends with opening punctuation, and other script breaks
    at spaces only.
    """
    lines: list[Line] = []
    rest, before = list(chars), ""
    while rest:
        room = width - (indent if not lines else 0.0)
        end = _fit(rest, room)
        taken, rest = rest[:end], rest[end:]
        following = " " if taken[-1].char == " " or (rest and rest[0].char == " ") else ""
        while taken and taken[-1].char == " ":
            taken.pop()
        while rest and rest[0].char == " ":
            rest.pop(0)
        glyphs = _place(taken)
        left, stretch = (indent if not lines else 0.0), room - line_width(glyphs)
        if align == "justify" and rest:
            glyphs = _spread(glyphs, stretch)
        elif align in ("center", "right"):
            left += stretch / (2 if align == "center" else 1)
        lines.append(Line(tuple(g._replace(x=g.x + left) for g in glyphs), before))
        before = following
    return lines


def _gap(a: Char, b: Char) -> float:
    mixed = is_cjk(a.char) != is_cjk(b.char) and " " not in (a.char, b.char)
    plain = a.char.isalnum() and b.char.isalnum()
    return _GAP * min(a.style.size, b.style.size) if mixed and plain else 0.0


def _place(chars: Sequence[Char]) -> list[Glyph]:
    glyphs: list[Glyph] = []
    x = 0.0
    for number, (char, style) in enumerate(chars):
        if number:
            x += _gap(chars[number - 1], chars[number])
        glyphs.append(Glyph(char, x, style))
        x += advance(style.face, char) * style.size + style.spacing
    return glyphs


def _may_break(a: str, b: str) -> bool:
    if b in _NOT_AT_START or a in _NOT_AT_END:
        return False
    return a == " " or is_cjk(a) or is_cjk(b)


def _fit(chars: Sequence[Char], width: float) -> int:
    glyphs = _place(chars)
    end = next((n for n, g in enumerate(glyphs) if g.char != " " and g.right > width + 1e-6), len(glyphs))
    if end == len(glyphs):
        return end
    best = next((n for n in range(end, 0, -1) if _may_break(chars[n - 1].char, chars[n].char)), 0)
    return best or max(1, end)


def _spread(glyphs: list[Glyph], extra: float) -> list[Glyph]:
    gaps = [
        n for n in range(1, len(glyphs)) if _may_break(glyphs[n - 1].char, glyphs[n].char) or is_cjk(glyphs[n].char)
    ]
    if not gaps or extra <= 0:
        return glyphs
    share, shift, spread = extra / len(gaps), 0.0, []
    opening = set(gaps)
    for number, glyph in enumerate(glyphs):
        shift += share if number in opening else 0.0
        spread.append(glyph._replace(x=glyph.x + shift))
    return spread
