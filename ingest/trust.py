"""Can this text layer be trusted? What it says is compared with what the page shows.

Most of it is told without reading a picture: by pixels (:mod:`ingest.visibility`) and by characters
(:mod:`ingest.garble`). What they leave open is looked at: OCR reads a dozen characters at the place, and the layer is
believed where the two agree. One line of each of the page's main fonts is looked at in any case, since a font whose
character map is wrong looks perfectly sane.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from ingest.base import RGB, OpenPage, TextLine
from ingest.garble import garbled_lines, looks_garbled
from ingest.text_layer import letters_outside
from ingest.visibility import Sight, is_judged, sights
from tuwen.types import Box, VerdictCode

_LEAST = 4
"""Letters: fewer hidden ones are leftovers, and fewer are not looked at."""
_LOOKED_AT = 10
"""Words that one look reads."""
_MOST_LOOKS = 48
"""Places looked at on one page; where there are more, these stand for all."""
_AGREE = 0.5
"""Similarity from which the picture shows what the layer says; see docs/decisions/0006."""
_SURE = 0.8
"""Confidence from which a look that disagrees counts."""
_MOSTLY_GARBLED = 0.3
"""Share of a text layer's characters from which none of it is believed."""
_FONTS, _FONT_LETTERS = 2, 24
"""Fonts of a page that are looked at, those with the most letters, and the letters that make one worth it."""
_SECOND_LOOKS = 3
"""Further lines of a font whose first line disagrees; most of the four decide."""


class Look(NamedTuple):
    """What OCR reads at a place."""

    text: str
    confidence: float


Looker = Callable[[RGB, Box], Look]
"""Reads one place of a picture; the box is a fraction of it."""


class Layer(NamedTuple):
    """The part of a text layer that is believed, and what is said about the rest."""

    lines: list[TextLine]
    codes: tuple[VerdictCode, ...]


class _State(Enum):
    SEEN = 1
    HIDDEN = 2
    GARBLED = 3


class _Run(NamedTuple):
    """Consecutive words of a line: indices [start, end)."""

    line: int
    start: int
    end: int


def believed(page: OpenPage, lines: Sequence[TextLine], image: RGB, look: Looker) -> Layer:
    """The lines of a text layer that are printed and legible, less what is hidden or garbled.

    Args:
        page: the displayed page.
        lines: its text layer.
        image: the page, at the resolution of ``ingest.image_dpi``.
        look: OCR of one place.
    """
    if not lines:
        return Layer([], _codes(hidden=letters_outside(page), garbled=0))
    states, looked = _visible(page, lines, image, look)
    hidden = _letters(lines, states, _State.HIDDEN) + letters_outside(page)
    shown = {i: [n for n, state in enumerate(row) if state is not _State.HIDDEN] for i, row in enumerate(states)}
    visible = [i for i, kept in shown.items() if kept]
    for i in _unlike(lines, visible, looked, image, look):
        states[i] = [_State.GARBLED if state is _State.SEEN else state for state in states[i]]
    bad, seen = _letters(lines, states, _State.GARBLED), _letters(lines, states, _State.SEEN)
    codes = _codes(hidden, bad)
    if bad > _MOSTLY_GARBLED * (bad + seen):
        return Layer([], codes)
    kept = [[n for n, state in enumerate(row) if state is _State.SEEN] for row in states]
    return Layer([line.only(own) for line, own in zip(lines, kept, strict=True) if own], codes)


def agreement(claim: str, seen: str) -> float:
    """Similarity 0..1 of what the layer claims and what a look reads: letters and digits, NFKC, case folded."""
    return Levenshtein.normalized_similarity(_fold(claim), _fold(seen))


def _codes(hidden: int, garbled: int) -> tuple[VerdictCode, ...]:
    codes = []
    if hidden >= _LEAST:
        codes.append(VerdictCode.HIDDEN_TEXT)
    if garbled:
        codes.append(VerdictCode.GARBLED_TEXT_LAYER)
    return tuple(codes)


def _visible(
    page: OpenPage, lines: Sequence[TextLine], image: RGB, look: Looker
) -> tuple[list[list[_State]], frozenset[int]]:
    """States of all words after looking where pixels leave it open, and the lines that were looked at and agreed."""
    found = sights(page, lines, image)
    states = [[_State.HIDDEN if sight is Sight.HIDDEN else _State.SEEN for sight in row] for row in found]
    is_scan = _count(found, Sight.SEARCH_ONLY) > _count(found, Sight.SEEN)
    for kind in (Sight.DOUBTFUL, Sight.SEARCH_ONLY):
        runs = [run for run in _runs(found, kind) if _weight(lines[run.line], run) >= _LEAST]
        sampled = runs[:: -(-len(runs) // _MOST_LOOKS)] if runs else []
        results = {run: _judge(lines[run.line], run, image, look, may_be_misread=is_scan) for run in sampled}
        common = Counter(results.values()).most_common(1)
        for run in runs:
            state = results.get(run, common[0][0])
            states[run.line][run.start : run.end] = [state] * (run.end - run.start)
    agreed = frozenset(
        i
        for i, row in enumerate(found)
        if Sight.SEARCH_ONLY in row and all(state is _State.SEEN for state in states[i])
    )
    return states, agreed


def _runs(found: Sequence[Sequence[Sight]], kind: Sight) -> list[_Run]:
    runs = []
    for i, row in enumerate(found):
        start = None
        for n, sight in enumerate([*row, None]):
            if sight is kind and start is None:
                start = n
            elif sight is not kind and start is not None:
                runs.append(_Run(i, start, n))
                start = None
    return runs


def _count(found: Sequence[Sequence[Sight]], kind: Sight) -> int:
    return sum(row.count(kind) for row in found)


def _judge(line: TextLine, run: _Run, image: RGB, look: Looker, *, may_be_misread: bool) -> _State:
    claim, seen = _compare(line, run, image, look)
    if agreement(claim, seen.text) >= _AGREE:
        return _State.SEEN
    legible = seen.confidence >= _SURE and len(_fold(seen.text)) >= len(_fold(claim)) / 2
    # Over a scan stands what some other OCR read there, well or badly; elsewhere words are shown or they are not.
    return _State.GARBLED if may_be_misread and legible else _State.HIDDEN


def _compare(line: TextLine, run: _Run, image: RGB, look: Looker) -> tuple[str, Look]:
    """A dozen words from the middle of a run: what the layer says, and what the picture shows."""
    start = run.start + max(0, (run.end - run.start - _LOOKED_AT) // 2)
    part = line.words[start : min(run.end, start + _LOOKED_AT)]
    return "".join(word.text for word in part), look(image, Box.union(word.box for word in part))


def _unlike(
    lines: Sequence[TextLine], visible: Sequence[int], agreed: frozenset[int], image: RGB, look: Looker
) -> set[int]:
    """Lines that are printed, but not as the layer has them."""
    garbled = {visible[n] for n in garbled_lines([lines[i] for i in visible])}
    suspects = [i for i in visible if i not in garbled and i not in agreed and looks_garbled(lines[i])]
    garbled.update(i for i in suspects[:_MOST_LOOKS] if _differs(lines[i], image, look))
    for own in _main_fonts(lines, [i for i in visible if i not in agreed and i not in garbled and i not in suspects]):
        first, *others = own[: 1 + _SECOND_LOOKS]
        if _differs(lines[first], image, look):
            votes = 1 + sum(_differs(lines[i], image, look) for i in others)
            if 2 * votes > 1 + len(others):
                garbled.update(own)
    return garbled


def _main_fonts(lines: Sequence[TextLine], members: Iterable[int]) -> list[list[int]]:
    """Lines set in each of the page's main fonts, those first that tell most."""
    by_font: dict[str, list[int]] = defaultdict(list)
    for i in members:
        if len({ink.font for ink in lines[i].inks}) == 1:
            by_font[lines[i].inks[0].font].append(i)
    weights = {font: sum(_weight(lines[i]) for i in own) for font, own in by_font.items()}
    main = sorted((font for font in by_font if weights[font] >= _FONT_LETTERS), key=lambda font: -weights[font])
    return [sorted(by_font[font], key=lambda i: -len(lines[i].words)) for font in main[:_FONTS]]


def _differs(line: TextLine, image: RGB, look: Looker) -> bool:
    claim, seen = _compare(line, _Run(0, 0, len(line.words)), image, look)
    if len(_fold(claim)) < _LEAST or seen.confidence < _SURE:
        return False
    return agreement(claim, seen.text) < _AGREE


def _letters(lines: Sequence[TextLine], states: Sequence[Sequence[_State]], state: _State) -> int:
    return sum(
        len(word.text)
        for line, row in zip(lines, states, strict=True)
        for word, own in zip(line.words, row, strict=True)
        if own is state
    )


def _weight(line: TextLine, run: _Run | None = None) -> int:
    words = line.words[run.start : run.end] if run else line.words
    return sum(len(word.text) for word in words if is_judged(word))


def _fold(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())
