"""From printed lines to clean text: rows of a region, and how one row goes on in the next.

All geometry happens in an upright frame in points: text that runs up, down or upside down on the
page is turned so that it reads left to right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.base import TextLine
from tuwen.types import Box, Word, is_cjk

_HYPHENATED = re.compile(r"(?:^|[^A-Za-z0-9_-])(?:[A-Z]?[a-z]+[-‐]\n[a-z]{2,}|[A-Z]{2,}[-‐]\n[A-Z]{2,})(?![\w-]*-)")
"""A word, its hyphen at the end of a row, and the rest of the word; compounds keep theirs."""
_CODE = re.compile(r"[\\{}$=<>|;#_]|\s--?\w|//|::|^\s*[%\[]")
_LEADERS = re.compile(r"(?:[.．·…⋯・]\s*){4,}")
_LABEL = re.compile(
    r"[^，。；、：:（）()\s][^，。；、：:（）()]{0,9}[：:]|[注註]\s?\d{1,2}(?!\d)|[（(【\[]?\d{1,2}[】\])）.、．](?!\d)"
)
"""A row that starts with a label, a note's number or an item's number."""
_FIRST_LINE = 4.5
"""In em; no first line is indented further."""
_LABEL_WIDTH = 12.0
"""In em; text as narrow as this is labels rather than paragraphs."""
_WIDE_GAP = 2.0
"""In em; a row with such a gap is one of a table or a list of contents, not of a paragraph."""
_BROKEN_PATH = re.compile(r"(?:https?:/|www\.|/|\\)\S*[/_.=&?-]$")


class Row(NamedTuple):
    """One printed row of a region: one line, or several fragments side by side."""

    words: tuple[Word, ...]
    spaces: tuple[bool, ...]
    box: Box
    """Upright, in points."""
    size: float
    bold: bool
    gap: float
    """Widest white between its fragments, in em."""
    lines: tuple[int, ...]
    """Line numbers of its fragments, from left to right; the words carry the first."""

    @property
    def text(self) -> str:
        """The words, spaces in their places."""
        return "".join(" " + w.text if s else w.text for w, s in zip(self.words, self.spaces, strict=True))


class Page(NamedTuple):
    """Size of the displayed page in points."""

    width: float
    height: float


def direction(line: TextLine, page: Page) -> int:
    """Where the text runs, in degrees clockwise from left-to-right: 0, 90 (down), 180 or 270 (up)."""
    if len(line.words) < 2:
        return 0
    (ax, ay), (bx, by) = line.words[0].box.center, line.words[-1].box.center
    dx, dy = (bx - ax) * page.width, (by - ay) * page.height
    if abs(dx) >= abs(dy):
        return 0 if dx >= 0 else 180
    return 90 if dy > 0 else 270


def upright(box: Box, turn: int, page: Page) -> Box:
    """``box`` in points, turned so that text of direction ``turn`` runs from left to right."""
    x0, x1 = box.x0 * page.width, box.x1 * page.width
    y0, y1 = box.y0 * page.height, box.y1 * page.height
    if turn == 90:
        return Box(y0, page.width - x1, y1, page.width - x0)
    if turn == 180:
        return Box(page.width - x1, page.height - y1, page.width - x0, page.height - y0)
    if turn == 270:
        return Box(page.height - y1, x0, page.height - y0, x1)
    return Box(x0, y0, x1, y1)


def rows_of(lines: Iterable[TextLine], page: Page) -> list[Row]:
    """Rows from top to bottom; fragments on one height are one row, from left to right."""
    lines = list(lines)
    turns = Counter(direction(line, page) for line in lines for _ in line.words[1:])
    turn = turns.most_common(1)[0][0] if turns else 0
    placed = sorted(((upright(line.box, turn, page), line) for line in lines), key=lambda item: item[0].center[1])
    rows: list[list[tuple[Box, TextLine]]] = []
    for box, line in placed:
        if rows and _same_row(rows[-1], box):
            rows[-1].append((box, line))
        else:
            rows.append([(box, line)])
    return [_row(row) for row in rows]


def _same_row(row: Sequence[tuple[Box, TextLine]], box: Box) -> bool:
    """Whether ``box`` stands beside all of ``row``, sharing most of its height with the tallest part."""
    tallest = max((other for other, _ in row), key=lambda b: b.height)
    shared = min(tallest.y1, box.y1) - max(tallest.y0, box.y0)
    beside = all(min(b.x1, box.x1) - max(b.x0, box.x0) < 0.5 * min(b.width, box.width) for b, _ in row)
    return beside and shared > 0.5 * min(tallest.height, box.height)


def _row(parts: list[tuple[Box, TextLine]]) -> Row:
    parts.sort(key=lambda part: part[0].x0)
    numbers = tuple(line.words[0].line for _, line in parts)
    words = parts[0][1].words
    for _, line in parts[1:]:
        words += tuple(word.model_copy(update={"line": numbers[0]}) for word in line.words)
    spaces: list[bool] = []
    for n, (box, line) in enumerate(parts):
        spaces.append(n > 0 and _parted(parts[n - 1], (box, line)))
        spaces.extend(line.spaces[1:])
    size: Counter[float] = Counter()
    bold = 0
    for _, line in parts:
        size[line.size] += len(line.words)
        bold += len(line.words) * (1 if line.bold else -1)
    em = size.most_common(1)[0][0]
    gap = max((b.x0 - a.x1 for (a, _), (b, _) in pairwise(parts)), default=0.0) / max(em, 1.0)
    return Row(words, tuple(spaces), Box.union(box for box, _ in parts), em, bold > 0, gap, numbers)


def _parted(left: tuple[Box, TextLine], right: tuple[Box, TextLine]) -> bool:
    """Whether a space belongs between two fragments of a row."""
    cjk = is_cjk(left[1].words[-1].text[-1]) and is_cjk(right[1].words[0].text[0])
    return right[0].x0 - left[0].x1 > (0.6 if cjk else 0.1) * min(left[1].size, right[1].size)


def paragraphs(rows: Sequence[Row]) -> tuple[list[Word], str]:
    """Words and text of running prose; a newline only where a paragraph or a verse ends.

    A hyphen that breaks a word at the end of a row is taken out of both.
    """
    if not rows:
        return [], ""
    right = max(row.box.x1 for row in rows)
    left = min(row.box.x0 for row in rows)
    em = max(rows[0].size, 1.0)
    indents = 2 * sum(row.box.x0 - left < 0.6 * em for row in rows) > len(rows)
    starts = _starts(rows)
    words, text = list(rows[0].words), rows[0].text
    for above, below in pairwise(rows):
        gap = (
            "\n"
            if below.lines in starts or _ends(above, below, left, right, indents=indents)
            else _gap(text, below.text)
        )
        if gap is None:
            words[-1] = words[-1].model_copy(update={"text": words[-1].text[:-1]})
            text, gap = text[:-1], ""
        words.extend(below.words)
        text += gap + below.text
    return words, text


def listed(rows: Sequence[Row]) -> tuple[list[Word], str]:
    """Words and text of labels: a line for each row."""
    return [word for row in rows for word in row.words], "\n".join(row.text for row in rows)


def joined(rows: Sequence[Row]) -> tuple[list[Word], str]:
    """Words and text of a heading or caption: all rows in one."""
    words: list[Word] = []
    text = ""
    for row in rows:
        gap = _gap(text, row.text) if text else ""
        text += (" " if gap is None else gap) + row.text
        words.extend(row.words)
    return words, text


def _ends(above: Row, below: Row, left: float, right: float, *, indents: bool) -> bool:
    """Whether a new paragraph or line of verse starts: ``above`` had room for the first word of ``below``.

    Or else by a change of size, by an indent (where ``indents`` says that they mean something), or
    because the rows are aligned to the right, or belong to a table.
    """
    if above.gap > _WIDE_GAP or has_leaders(above.text) or not 0.85 < above.size / max(below.size, 0.1) < 1.18:
        return True
    em = max(above.size, 1.0)
    first = below.words[0].text
    needed = 1.6 if is_cjk(first[0]) else max(1.6, 0.6 * len(first) + 0.4)
    if right - above.box.x1 > needed * em or above.box.x0 - left > _FIRST_LINE * em:
        return True
    if right - left < _LABEL_WIDTH * em and above.text[-1] in "0123456789%％" and is_cjk(first[0]):
        return True
    indented = 1.2 * em < below.box.x0 - left < _FIRST_LINE * em
    return indents and indented and above.box.x0 - left < 0.6 * em and right - left > 15 * em


def _gap(above: str, below: str) -> str | None:
    """What stands between two rows of a paragraph; None where a word was broken by a hyphen."""
    a, b = above[-1], below[0]
    if is_cjk(a) or is_cjk(b):
        return ""
    if a in "-‐" and _HYPHENATED.search(f"{above[-40:]}\n{below[:40]}"):
        return None
    return "" if _BROKEN_PATH.search(above) else " "


def has_leaders(text: str) -> bool:
    """Whether a row of dots leads the eye through ``text``, as on contents pages."""
    return bool(_LEADERS.search(text))


def _starts(rows: Sequence[Row]) -> set[tuple[int, ...]]:
    """Line numbers of rows known to start a paragraph: all of a program, the labels of a list of labels or notes."""
    if _is_code(rows):
        return {row.lines for row in rows}
    labelled = [row for row in rows if _LABEL.match(row.text)]
    return {row.lines for row in labelled} if len(labelled) > 1 and labelled[0] is rows[0] else set()


def _is_code(rows: Sequence[Row]) -> bool:
    """Whether this is a program or a transcript of commands, whose line ends mean something."""
    text = "".join(row.text for row in rows)
    latin = sum(not is_cjk(char) for char in text)
    return latin > 0.8 * len(text) and 2 * sum(bool(_CODE.search(row.text)) for row in rows) > len(rows)
