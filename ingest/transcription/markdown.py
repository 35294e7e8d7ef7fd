"""From the Markdown that a vision-language model wrote of a page to its parts: paragraphs, headings, lists, tables.

Models write Markdown freely: tables also in HTML, formulas with either kind of delimiter, the whole in a fence.
Text is what would be printed: marks are gone, numbers of list items stay, formulas are their characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tuwen.types import BlockKind

_FENCE = re.compile(r"\A\s*```(?:markdown|md)?\s*\n(.*?)(?:\n```\s*)?\Z", re.DOTALL | re.IGNORECASE)
_FORMULA = re.compile(
    r"\$\$(?P<a>.+?)\$\$|\\\[(?P<b>.+?)\\\]|\\\((?P<c>.+?)\\\)|(?<![\\$\w])\$(?!\s)(?P<d>[^$\n]+?)(?<!\s)\$(?![\w$])",
    re.DOTALL,
)
_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TABLE = re.compile(r"<table\b.*?(?:</table\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?|\\(.)|[{}^_&~]")
_OPERATORS = {
    "times": "×", "div": "÷", "cdot": "·", "pm": "±", "mp": "∓", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
    "ne": "≠", "neq": "≠", "approx": "≈", "equiv": "≡", "sim": "∼", "infty": "∞", "sum": "∑", "prod": "∏", "int": "∫",
    "partial": "∂", "nabla": "∇", "sqrt": "√", "in": "∈", "to": "→", "rightarrow": "→", "Rightarrow": "⇒",
    "cdots": "⋯", "ldots": "…", "dots": "…", "circ": "°", "angle": "∠", "lt": "<", "gt": ">",
    **{name: name for name in ("sin", "cos", "tan", "log", "ln", "lg", "exp", "max", "min", "lim", "arg", "det")},
}  # fmt: skip
_FIRST_MARK = 0xE000
_MARKS = 0x1900
"""Private-use characters that stand for formulas while Markdown is parsed."""


class Formula(NamedTuple):
    """Characters ``[start, end)`` of a text are this LaTeX."""

    start: int
    end: int
    latex: str


class Segment(NamedTuple):
    """A line, a heading, a list item or a table cell."""

    text: str
    formulas: tuple[Formula, ...] = ()


class Part(NamedTuple):
    """One block of the Markdown; a table has its cells in each row, anything else one segment a row."""

    kind: BlockKind
    rows: tuple[tuple[Segment, ...], ...]
    level: int = 0
    """Of a heading, 1..6."""


def parse(markdown: str) -> list[Part]:
    """The parts of ``markdown`` in order; never raises, whatever a model has written."""
    text, formulas = _marked(_clean(markdown))
    parts = [part for tokens in _blocks(_parser().parse(text)) for part in _parts(tokens)]
    made = [
        part._replace(rows=tuple(tuple(_segment(s.text, formulas) for s in row) for row in part.rows)) for part in parts
    ]
    return [_as_formula(part) for part in made if any(s.text for row in part.rows for s in row)]


def _parser() -> MarkdownIt:
    # Rules that take printed text for marks: "甲方\n---" is no heading, "[1](见附录)" no link, indented text no code.
    return (
        MarkdownIt("commonmark").enable("table").disable(["lheading", "code", "reference", "link", "image", "autolink"])
    )


def _clean(markdown: str) -> str:
    fenced = _FENCE.match(markdown)
    text = "".join(
        char for char in (fenced[1] if fenced else markdown) if unicodedata.category(char) not in ("Co", "Cs")
    )
    text = _IMAGE.sub("", text)
    return _TABLE.sub(lambda table: "\n\n" + _html_table(table[0]) + "\n\n", text)


def _marked(text: str) -> tuple[str, list[str]]:
    """The text with a private-use character for each formula, and the formulas."""
    formulas: list[str] = []

    def mark(match: re.Match[str]) -> str:
        latex = next(group for group in match.groups() if group is not None)
        if len(formulas) == _MARKS:
            return latex
        formulas.append(" ".join(latex.split()))
        return chr(_FIRST_MARK + len(formulas) - 1)

    return _FORMULA.sub(mark, text), formulas


def _blocks(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Runs of tokens from an opening at the top to its closing."""
    depth, start = 0, 0
    for n, token in enumerate(tokens):
        depth += token.nesting
        if depth == 0:
            yield tokens[start : n + 1]
            start = n + 1


def _parts(tokens: Sequence[Token]) -> Iterator[Part]:
    first = tokens[0]
    if first.type == "table_open":
        yield Part(BlockKind.TABLE, _table(tokens))
    elif first.type in ("bullet_list_open", "ordered_list_open"):
        yield Part(BlockKind.LIST, tuple((Segment(item),) for item in _items(tokens)))
    elif first.type == "blockquote_open":
        yield from (part for inner in _blocks(tokens[1:-1]) for part in _parts(inner))
    elif first.type == "heading_open":
        yield Part(BlockKind.TITLE, ((Segment(_inline(tokens[1])),),), int(first.tag[1]))
    elif first.type in ("fence", "html_block"):
        yield _paragraph(re.sub(r"<[^>\n]*>", "", first.content) if first.type == "html_block" else first.content)
    else:
        yield from (_paragraph(_inline(token)) for token in tokens if token.type == "inline")


def _paragraph(text: str) -> Part:
    return Part(BlockKind.TEXT, tuple((Segment(line),) for line in text.split("\n") if line.strip()))


def _inline(token: Token) -> str:
    """The text of an inline token, without marks."""
    pieces = []
    for child in token.children or ():
        if child.type in ("softbreak", "hardbreak"):
            pieces.append("\n")
        elif child.type == "html_inline":
            pieces.append("\n" if _BREAK.fullmatch(child.content) else "")
        else:
            pieces.append(child.content)
    return "".join(pieces)


def _table(tokens: Sequence[Token]) -> tuple[tuple[Segment, ...], ...]:
    rows: list[list[Segment]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(Segment(_inline(token)))
    return tuple(map(tuple, rows))


def _items(tokens: Sequence[Token]) -> Iterator[str]:
    """Texts of list items, nested ones too, in order; numbers are printed, bullets may be drawn in any form."""
    marker = ""
    for token in tokens:
        if token.type == "list_item_open":
            marker = f"{token.info}{token.markup} " if token.info else ""
        elif token.type == "inline":
            yield marker + _inline(token)
            marker = ""


def _segment(text: str, formulas: Sequence[str]) -> Segment:
    """Formulas put back as their characters; white space as one blank, or one newline."""
    made, found = "", []
    for char in re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text.strip())):
        if 0 <= ord(char) - _FIRST_MARK < len(formulas):
            latex = formulas[ord(char) - _FIRST_MARK]
            plain = characters(latex)
            found.append(Formula(len(made), len(made) + len(plain), latex))
            made += plain
        else:
            made += char
    return Segment(made, tuple(found))


def characters(latex: str) -> str:
    """The characters that a formula prints, without white space, in the order in which LaTeX has them."""
    return "".join(_COMMAND.sub(_printed, latex).split())


def _printed(match: re.Match[str]) -> str:
    name, escaped = match[1], match[2]
    if name:
        size = "CAPITAL" if name[0].isupper() else "SMALL"
        try:
            return unicodedata.lookup(f"GREEK {size} LETTER {name.removeprefix('var').upper()}")
        except KeyError:
            return _OPERATORS.get(name, "")
    return escaped if escaped and escaped in "%$#&_{}" else ""


def _as_formula(part: Part) -> Part:
    """A paragraph that is nothing but formulas is one."""
    segments = [segment for row in part.rows for segment in row]
    only = all(sum(f.end - f.start for f in s.formulas) == len(s.text.replace(" ", "")) for s in segments)
    return part._replace(kind=BlockKind.FORMULA) if part.kind is BlockKind.TEXT and only else part


class _Tables(HTMLParser):
    """Rows of cells of the HTML tables that it is fed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows = self.rows or [[]]
            self.rows[-1].append("")
            span = dict(attrs).get("colspan") or "1"
            self._spare = min(int(span), 50) - 1 if span.isdecimal() else 0
            self._is_open = True
        elif tag == "br" and self._is_open:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._is_open:
            self.rows[-1].extend([""] * max(0, self._spare))
            self._is_open = False

    def handle_data(self, data: str) -> None:
        if self._is_open:
            self.rows[-1][-1] += data


def _html_table(html: str) -> str:
    """The same as a Markdown table."""
    reader = _Tables()
    reader.feed(html)
    rows = [row for row in reader.rows if row]
    width = max(map(len, rows), default=0)
    lines = ["| " + " | ".join([_cell(text) for text in row] + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if lines else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
