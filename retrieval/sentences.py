"""Sentences, clauses and table rows of a block, as offsets into its text.

Chinese text has no full stop inside numbers and no spaces to lean on, but it nests quotes and brackets:
a sentence ends at 。！？；…, or at a Western full stop after a word, outside of a bracket that closes soon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tuwen.types import Block, BlockKind, fold_space

_ENDS = "。！？；!?;…"
_CLAUSE_ENDS = "，：,:"
_PAIRS = {
    "（": "）",
    "(": ")",
    "「": "」",
    "『": "』",
    "“": "”",
    "‘": "’",
    "《": "》",
    "〈": "〉",
    "【": "】",
    "〔": "〕",
    "[": "]",
}
_CLOSERS = "".join(_PAIRS.values()) + '"'
_REACH = 100
"""A bracket that does not close within so many characters is taken for a stray one."""
_ITEM = re.compile(
    r"\s*(?:[（(][一二三四五六七八九十\d]{1,3}[)）]|[一二三四五六七八九十]{1,3}、|\d{1,2}[.、)](?!\d)|[①-⑳•·●▪\-–])\s*"
)
_PIPE = re.compile(r"(?<!\\)\|")


class Span(NamedTuple):
    """Half-open range of offsets into a text."""

    start: int
    end: int


class Row(NamedTuple):
    """One row of a table block."""

    span: Span
    """In the block's text."""
    cells: tuple[Span, ...]
    """In the block's text; empty cells left out."""
    columns: tuple[int, ...]
    """Number of the column of each of ``cells``, from 0."""


class Table(NamedTuple):
    """The rows of a table block; the first one names the columns."""

    header: tuple[str, ...]
    """One name a column, may be empty."""
    rows: tuple[Row, ...]
    """All of them, the one that names the columns first."""


def sentences(text: str, *, lines: bool = False) -> list[Span]:
    """Cut ``text`` into sentences, white space at their ends left out; nothing else is lost.

    Args:
        text: plain text.
        lines: whether a newline always ends a sentence (lists, slides), not only before a list item.
    """
    ends = [match.end() for match in re.finditer(r"\n", text)]
    cuts = {end for end in ends if lines or _ITEM.match(text, end)} | {*_sentence_ends(text)} - {len(text)}
    return _spans(text, Span(0, len(text)), sorted(cuts))


def clauses(text: str, span: Span) -> list[Span]:
    """Cut the sentence ``span`` of ``text`` at commas and colons outside of brackets and numbers."""
    part = text[span.start : span.end]
    closes = _closers(part)
    cuts: list[int] = []
    i = 0
    while i < len(part):
        if i in closes:
            i = closes[i]
        elif part[i] in _CLAUSE_ENDS and not _inside_number(part, i):
            cuts.append(span.start + i + 1)
        i += 1
    return _spans(text, span, cuts)


def table(block: Block) -> Table:
    """The rows and cells of a table block.

    Cells come from the block's Markdown where its wording equals the text; else every run of text between
    spaces is a cell.
    """
    lines = _spans(block.text, Span(0, len(block.text)), [m.end() for m in re.finditer(r"\n", block.text)])
    rows = _markdown_rows(block) or [_split_row(block.text, line) for line in lines]
    if not rows:
        return Table((), ())
    names = {c: block.text[cell.start : cell.end] for c, cell in zip(rows[0].columns, rows[0].cells, strict=True)}
    width = max(row.columns[-1] + 1 for row in rows)
    return Table(tuple(names.get(i, "") for i in range(width)), tuple(rows))


def block_sentences(block: Block) -> list[Span]:
    """The sentences of any block that is not a table."""
    return sentences(block.text, lines=block.kind in {BlockKind.LIST, BlockKind.FIGURE, BlockKind.SEAL})


def _sentence_ends(text: str) -> list[int]:
    closes = _closers(text)
    ends: list[int] = []
    i = 0
    while i < len(text):
        if i in closes:
            i = closes[i]
            # 「……。」 ends with its quote, unless the sentence goes on after it.
            if text[i - 1] in _ENDS and not _goes_on(text, i + 1):
                ends.append(i + 1)
            i += 1
            continue
        i += 1
        if text[i - 1] in _ENDS or _is_full_stop(text, i - 1):
            while i < len(text) and (text[i] in _ENDS or text[i] in _CLOSERS):
                i += 1
            ends.append(i)
    return ends


def _closers(text: str) -> dict[int, int]:
    """Position of the closing bracket of every outermost bracket that closes within reach."""
    closes: dict[int, int] = {}
    for i, char in enumerate(text):
        if char in _PAIRS and (not closes or i > max(closes.values())):
            end = _closer(text, i)
            if end is not None:
                closes[i] = end
    return closes


def _closer(text: str, start: int) -> int | None:
    stack: list[str] = []
    for i in range(start, min(len(text), start + _REACH)):
        char = text[i]
        if char in _PAIRS:
            stack.append(_PAIRS[char])
        elif char == stack[-1]:
            stack.pop()
            if not stack:
                return i
    return None


def _goes_on(text: str, position: int) -> bool:
    return position < len(text) and text[position] in "，,、。；;：:！？!?)）」』”的等"


def _is_full_stop(text: str, i: int) -> bool:
    """A Western full stop: after a word of two letters or more, a number or an ideograph, before space or the end."""
    if text[i] != "." or not (i + 1 == len(text) or text[i + 1].isspace()) or i < 2:
        return False
    return not re.search(r"(?:^|\W)(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Jr|Sr|St|No|vs|Fig|et al)$|(?:^|\n)\s*\d{1,2}$", text[:i])


def _inside_number(text: str, i: int) -> bool:
    return 0 < i < len(text) - 1 and text[i - 1].isascii() and text[i - 1].isdigit() and text[i + 1].isdigit()


def _spans(text: str, span: Span, cuts: Sequence[int]) -> list[Span]:
    """The pieces of ``span`` between ``cuts``, stripped, empty ones left out; bare punctuation joins what is before."""
    spans: list[Span] = []
    for start, end in zip((span.start, *cuts), (*cuts, span.end), strict=True):
        piece = text[start:end]
        if not piece.strip():
            continue
        stripped = Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()))
        if spans and not any(char.isalnum() for char in piece) and "\n" not in text[spans[-1].end : stripped.start]:
            spans[-1] = Span(spans[-1].start, stripped.end)
        else:
            spans.append(stripped)
    return spans


def _split_row(text: str, line: Span) -> Row:
    cells = tuple(
        Span(line.start + match.start(), line.start + match.end())
        for match in re.finditer(r"\S+", text[line.start : line.end])
    )
    return Row(line, cells, tuple(range(len(cells))))


def _markdown_rows(block: Block) -> list[Row]:
    """Rows as the Markdown table parts them; empty when its wording differs from the text."""
    grid = [
        [cell.replace("\\|", "|").replace("<br>", " ").strip() for cell in _PIPE.split(line.strip().strip("|"))]
        for line in block.markdown.splitlines()
        if line.strip().startswith("|")
    ]
    grid = [cells for cells in grid if not all(re.fullmatch(r":?-+:?", cell) for cell in cells)]
    places = [i for i, char in enumerate(block.text) if not char.isspace()]
    wording = "".join(fold_space(cell) for cells in grid for cell in cells)
    if wording != fold_space(block.text):
        return []
    rows: list[Row] = []
    position = 0
    for cells in grid:
        spans: list[tuple[int, Span]] = []
        for column, cell in enumerate(cells):
            length = len(fold_space(cell))
            if length:
                spans.append((column, Span(places[position], places[position + length - 1] + 1)))
                position += length
        if spans:
            line = Span(spans[0][1].start, spans[-1][1].end)
            rows.append(Row(line, tuple(span for _, span in spans), tuple(column for column, _ in spans)))
    return rows
