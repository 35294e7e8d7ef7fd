"""Tables: from rules, or from the layout model's grid, to cells, text and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.base import TextLine
from ingest.prose import Page, joined, rows_of
from ingest.regions import Grid
from ingest.rules import Rules, covers, positions
from tuwen.types import Box, Word

_GAP_AT_RULE = 0.3
"""Width in em of a gap that parts two cells where a column boundary runs through it."""
_GAP = 1.0
"""Width in em of a gap that parts two cells anywhere."""


class Table(NamedTuple):
    """A table's words in reading order (row by row, cell by cell), and what they say."""

    words: list[Word]
    rows: list[list[str]]
    """Texts of the cells, as many in each row as the table has columns; of a merged cell the first only."""

    @property
    def text(self) -> str:
        """Cells parted by one space, rows by a newline; empty cells leave nothing."""
        return "\n".join(" ".join(cell for cell in row if cell) for row in self.rows)

    @property
    def markdown(self) -> str:
        """A GitHub table whose header is the first row."""
        cells = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        lines.insert(1, "|" + " --- |" * len(self.rows[0]))
        return "\n".join(lines)


class _Structure(NamedTuple):
    """Slots between boundaries; ``home`` maps each slot ``(row, column)`` to the first slot of its merged cell."""

    xs: list[float]
    ys: list[float]
    home: dict[tuple[int, int], tuple[int, int]]


def read_table(box: Box, lines: Sequence[TextLine], grid: Grid | None, rules: Rules, page: Page) -> Table | None:
    """Read the table in ``box``; None when it has fewer than two columns or two rows."""
    structure = _structure(box, grid or Grid((), ()), rules, page)
    cells: dict[tuple[int, int], list[TextLine]] = {}
    for line in lines:
        for piece in _pieces(line, structure.xs, page):
            slot = _row_of(piece.box, structure.ys), _column_of(piece.box, structure.xs)
            cells.setdefault(structure.home[slot], []).append(piece)
    row_numbers = sorted({row for row, _ in cells})
    columns = sorted({column for _, column in cells})
    if len(row_numbers) < 2 or len(columns) < 2:
        return None
    words: list[Word] = []
    rows: list[list[str]] = []
    for row in row_numbers:
        rows.append([])
        for column in columns:
            cell_words, text = joined(rows_of(cells.get((row, column), ()), page))
            words.extend(cell_words)
            rows[-1].append(text)
    return Table(words, rows)


def _structure(box: Box, grid: Grid, rules: Rules, page: Page) -> _Structure:
    slack_x, slack_y = 8 / page.width, 8 / page.height
    xs = positions(rules.vertical, page.width)
    # A border of a cell ends on other borders; a stroke of a character or a dash does not.
    ends = [*xs, box.x0, box.x1]
    horizontal = [
        r
        for r in rules.horizontal
        if r.end - r.start > 0.5 * box.width
        or all(any(abs(end - x) < slack_x for x in ends) for end in (r.start, r.end))
    ]
    ys = positions(horizontal, page.height)
    inner = [
        r for r in rules.vertical if r.end - r.start > 0.5 * box.height and box.x0 + slack_x < r.at < box.x1 - slack_x
    ]
    if not inner or len(ys) < 3:
        return _open(box, grid)
    xs, ys = _closed(xs, box.x0, box.x1, slack_x), _closed(ys, box.y0, box.y1, slack_y)
    if len(ys) - 1 < 0.6 * (len(grid.ys) + 1):
        ys = [box.y0, *grid.ys, box.y1]
        return _Structure(xs, ys, _unmerged(xs, ys))
    return _Structure(xs, ys, _merged(xs, ys, rules, page))


def _open(box: Box, grid: Grid) -> _Structure:
    """The model's own grid, for tables without vertical rules."""
    xs, ys = [box.x0, *sorted(grid.xs), box.x1], [box.y0, *sorted(grid.ys), box.y1]
    return _Structure(xs, ys, _unmerged(xs, ys))


def _closed(places: list[float], low: float, high: float, slack: float) -> list[float]:
    """``places`` with the table's own edges where no rule stands on them."""
    before = [low] if places[0] > low + slack else []
    after = [high] if places[-1] < high - slack else []
    return [*before, *places, *after]


def _unmerged(xs: Sequence[float], ys: Sequence[float]) -> dict[tuple[int, int], tuple[int, int]]:
    return {(r, c): (r, c) for r in range(len(ys) - 1) for c in range(len(xs) - 1)}


def _merged(xs: list[float], ys: list[float], rules: Rules, page: Page) -> dict[tuple[int, int], tuple[int, int]]:
    """Join neighbouring slots that no rule parts."""
    home = _unmerged(xs, ys)
    tolerance_x, tolerance_y = 4 / page.width, 4 / page.height
    for row, (top, bottom) in enumerate(pairwise(ys)):
        for column, (left, right) in enumerate(pairwise(xs)):
            if column and not covers(rules.vertical, left, top, bottom, tolerance_x):
                _join(home, (row, column - 1), (row, column))
            if row and not covers(rules.horizontal, top, left, right, tolerance_y):
                _join(home, (row - 1, column), (row, column))
    return home


def _join(home: dict[tuple[int, int], tuple[int, int]], a: tuple[int, int], b: tuple[int, int]) -> None:
    first, second = sorted((home[a], home[b]))
    for slot, owner in home.items():
        if owner == second:
            home[slot] = first


def _pieces(line: TextLine, xs: Sequence[float], page: Page) -> Iterable[TextLine]:
    """Cut a line where it runs from one cell into the next."""
    start = 0
    for i in range(1, len(line.words)):
        left, right = line.words[i - 1].box.x1, line.words[i].box.x0
        gap = (right - left) * page.width / max(line.size, 1.0)
        slack = 0.3 * line.size / page.width
        at_boundary = any(left - slack < x < right + slack for x in xs)
        if gap > _GAP or (at_boundary and gap > _GAP_AT_RULE):
            yield _piece(line, start, i)
            start = i
    yield _piece(line, start, len(line.words))


def _piece(line: TextLine, start: int, end: int) -> TextLine:
    words = line.words[start:end]
    spaces = (False, *line.spaces[start + 1 : end])
    return line._replace(words=words, spaces=spaces, box=Box.union(word.box for word in words))


def _row_of(box: Box, ys: Sequence[float]) -> int:
    middle = box.center[1]
    return sum(middle >= y for y in ys[1:-1])


def _column_of(box: Box, xs: Sequence[float]) -> int:
    """The column that holds most of the piece; of a piece that spans several, the first."""
    shares = [(min(box.x1, right) - max(box.x0, left)) / max(box.width, 1e-6) for left, right in pairwise(xs)]
    return next((column for column, share in enumerate(shares) if share > 0.35), shares.index(max(shares)))
