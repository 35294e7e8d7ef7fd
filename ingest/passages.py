"""From page records to passages: what text retrieval returns, cut by structure.

Streaming: pages come one at a time; kept between them are the heading path and the header row of a
table that ends a page, because it may go on overleaf. Everything else stays within its page,
because retrieval is by page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ingest.contents import is_contents, is_contents_heading
from ingest.headings import HeadingPath
from ingest.splitting import WordMap, split_text
from tuwen.settings import PassageSettings
from tuwen.types import Block, BlockKind, HitKind, PageRecord, Passage, PassageSpan, WordSpan, fold_space

TokenCounter = Callable[[str], int]
"""Tokens of a text, as the dense encoder counts them."""

_LEAD_IN = re.compile(r"(?:[：:]|(?:如下|以下|下列|下面)[^。.]{0,12}[。.]?)\s*$")
_MARGINAL = (BlockKind.HEADER, BlockKind.FOOTER)
_HIT_KIND = {
    BlockKind.TABLE: HitKind.TABLE,
    BlockKind.FIGURE: HitKind.FIGURE,
    BlockKind.SEAL: HitKind.FIGURE,
}


PASSAGES_VERSION = 1
"""Raise it whenever the same pages could be cut into other passages."""


class _Unit(NamedTuple):
    """What is not torn unless it is too long by itself: a paragraph, a list with its lead-in, a captioned table."""

    kind: HitKind
    text: str
    span: WordSpan
    tokens: int
    title: bool = False
    contents: bool = False
    blocks: tuple[Block, ...] = ()


_Piece = tuple[str, tuple[PassageSpan, ...]]
"""Text of a passage, and where it stands."""


class _Header(NamedTuple):
    """First row of a table, which gives the rows below their meaning."""

    text: str
    spans: tuple[PassageSpan, ...]
    columns: int


def build_passages(
    pages: Iterable[PageRecord], settings: PassageSettings, count_tokens: TokenCounter
) -> Iterator[Passage]:
    """Cut a document into passages, in reading order.

    A heading starts a passage; paragraphs under it are joined up to ``target_tokens``; no passage is
    longer than ``max_tokens``. Headers and footers are left out, unless a page has nothing else. A long
    table is cut between rows, its first row repeated. A table that goes on over the page break without
    a header of its own is continued: the passage of the later page starts with the first row of the
    earlier one and its spans name both pages, the later one first, for that is where its rows stand.
    A model's words about a figure go with its passage, apart from the text; a page without any text that
    a model has described is a passage without text.

    Args:
        pages: records in page order.
        settings: sizes in tokens.
        count_tokens: of the dense encoder; called about once a block.
    """
    maker = _Maker(settings, count_tokens)
    ordinal = 0
    for page in pages:
        for passage in maker.passages(page):
            yield passage.model_copy(update={"ordinal": ordinal})
            ordinal += 1


class _Maker:
    def __init__(self, settings: PassageSettings, count_tokens: TokenCounter) -> None:
        self._target, self._limit, self._count = settings.target_tokens, settings.max_tokens, count_tokens
        self._path = HeadingPath()
        self._open: tuple[int, _Header] | None = None
        """Page and header of the table that ended the page before."""

    def passages(self, page: PageRecord) -> Iterator[Passage]:
        """Passages of one page."""
        blocks = [b for b in page.blocks if (b.text or b.kind in _HIT_KIND) and b.kind not in _MARGINAL]
        goes_on = self._open if self._open and self._open[0] == page.page - 1 else None
        self._open = None
        units = self._units(blocks if any(b.text or b.caption for b in blocks) else page.blocks, page)
        for n, group in enumerate(self._grouped(units)):
            header = goes_on[1] if goes_on and n == 0 else None
            yield from self._made(group, page, header)
        if not units and page.caption:
            yield Passage(ordinal=0, kind=HitKind.FIGURE, text="", caption=page.caption, spans=(_nowhere(page),))
        if blocks and blocks[-1].kind is BlockKind.TABLE:
            header = self._header(blocks[-1], page)
            whole_page = goes_on and len(blocks) == 1 and _is_continuation(goes_on[1], blocks[0])
            self._open = (page.page, goes_on[1] if goes_on and whole_page else header)

    def _units(self, blocks: Sequence[Block], page: PageRecord) -> list[_Unit]:
        return [self._unit(group, page) for group in _attached(blocks)]

    def _unit(self, blocks: tuple[Block, ...], page: PageRecord) -> _Unit:
        text = "\n".join(b.text for b in blocks if b.text)
        kinds = [_HIT_KIND[b.kind] for b in blocks if b.kind in _HIT_KIND]
        return _Unit(
            kind=kinds[0] if kinds else HitKind.TEXT,
            text=text,
            span=WordSpan(blocks[0].words.start, blocks[-1].words.end),
            tokens=self._count(text) + 1,
            title=blocks[0].kind is BlockKind.TITLE and not page.is_contents,
            contents=page.is_contents or is_contents(blocks, page.words),
            blocks=blocks,
        )

    def _grouped(self, units: Sequence[_Unit]) -> Iterator[list[_Unit]]:
        """Units that make one passage; a figure right below a heading leaves the heading to the text after it."""
        group: list[_Unit] = []
        for unit in units:
            only_titles = all(u.title for u in group)
            if unit.kind is HitKind.FIGURE:
                if not only_titles:
                    yield group
                    group = []
                yield [unit]
            elif unit.kind is HitKind.TABLE and group and only_titles and not unit.contents:
                yield [*group, unit]
                group = []
            elif unit.kind is HitKind.TABLE:
                yield from ([group] if group else [])
                yield [unit]
                group = []
            elif group and self._parts(group, unit):
                yield group
                group = [unit]
            else:
                group.append(unit)
        if group:
            yield group

    def _parts(self, group: Sequence[_Unit], unit: _Unit) -> bool:
        """Whether ``unit`` starts a new passage after ``group``."""
        only_titles = all(u.title for u in group)
        if unit.contents != group[-1].contents:
            return True
        if unit.title:
            return not only_titles
        if only_titles:
            return False
        return sum(u.tokens for u in group) + unit.tokens > self._target

    def _made(self, group: list[_Unit], page: PageRecord, goes_on: _Header | None) -> Iterator[Passage]:
        """The passage of ``group``, or several where it is too long; only the first carries the group's headings."""
        for unit in group:
            if unit.title and not is_contents_heading(unit.blocks[0]):
                self._path.enter(unit.blocks[0])
        path = () if page.is_contents else self._path.texts
        titles = {" ".join(u.text.split()) for u in group if u.title}
        above = tuple(text for text in path if text not in titles)
        for n, (text, spans) in enumerate(self._pieces(group, page, goes_on)):
            yield Passage(
                ordinal=0,
                kind=group[-1].kind,
                text=text,
                caption="" if n else "\n".join(b.caption for unit in group for b in unit.blocks if b.caption),
                heading_path=path if n else above,
                spans=spans,
                is_contents=group[-1].contents,
            )

    def _pieces(self, group: list[_Unit], page: PageRecord, goes_on: _Header | None) -> Iterator[_Piece]:
        table = next((b for b in group[-1].blocks if b.kind is BlockKind.TABLE), None)
        if (
            goes_on
            and len(group) == 1
            and table
            and _may_continue(group[0], table)
            and _is_continuation(goes_on, table)
        ):
            yield from self._rows(table, group, page, goes_on)
        elif sum(u.tokens for u in group) <= self._limit:
            yield _joined(group, page)
        elif table:
            yield from self._rows(table, group, page, None)
        else:
            yield from self._sentences(group, page)

    def _sentences(self, group: list[_Unit], page: PageRecord) -> Iterator[_Piece]:
        """Pieces of the last unit; what stands before it (headings) goes with the first."""
        *head, last = group
        prefix = "".join(u.text + "\n" for u in head)
        if head and self._count(prefix) > self._limit // 2:
            yield from self._sentences(head, page)
            head, prefix = [], ""
        words = WordMap(last.text, page.words, last.span)
        for start, end in split_text(last.text, lambda text: self._count(prefix + text) <= self._limit):
            piece = last._replace(text=last.text[start:end].strip(), span=words.span(start, end))
            yield _joined([*head, piece], page)
            head = []

    def _rows(self, table: Block, group: list[_Unit], page: PageRecord, goes_on: _Header | None) -> Iterator[_Piece]:
        """Pieces of a table, each below the header row; headings and captions go with the first and the last."""
        header = goes_on or self._header(table, page)
        before = "".join(u.text + "\n" for u in group[:-1])
        before += "".join(b.text + "\n" for b in group[-1].blocks if b.order < table.order)
        after = "".join("\n" + b.text for b in group[-1].blocks if b.order > table.order)
        start, end = group[0].span.start, group[-1].span.end
        around = before + header.text + "\n" + after

        def fits(rows: str) -> bool:
            return self._count(around + rows) <= self._limit

        words = WordMap(table.text, page.words, table.words)
        cuts = list(split_text(table.text, fits))
        for n, (low, high) in enumerate(cuts):
            first, last = n == 0, n == len(cuts) - 1
            span = words.span(low, high)
            text = table.text[low:high].strip("\n")
            if header.text and (goes_on or not first):
                text = header.text + "\n" + text
            text = (before if first else "") + text + (after if last else "")
            own = PassageSpan(page.page, start if first else span.start, end if last else span.end)
            repeated = header.spans if goes_on or not first else ()
            yield text, (own, *repeated)

    def _header(self, table: Block, page: PageRecord) -> _Header:
        """The first row; an empty text when it is too long to be repeated."""
        text = table.text.split("\n", 1)[0]
        if self._count(text) > self._limit // 3:
            return _Header("", (), _columns(table))
        span = WordMap(table.text, page.words, table.words).span(0, len(text))
        return _Header(text, (PassageSpan(page.page, *span),), _columns(table))


def _attached(blocks: Sequence[Block]) -> list[tuple[Block, ...]]:
    """Blocks that stay together: captions with their figure or table, lists with their lead-in."""
    groups: list[list[Block]] = []
    for block in blocks:
        if groups and _belongs(groups[-1], block):
            groups[-1].append(block)
        else:
            groups.append([block])
    return [tuple(group) for group in groups if any(b.caption or any(map(str.isalnum, b.text)) for b in group)]


def _nowhere(page: PageRecord) -> PassageSpan:
    """A place without words: of what only a model says about a page."""
    return PassageSpan(page.page, 0, 0)


def _belongs(group: Sequence[Block], block: Block) -> bool:
    last, kinds = group[-1], {b.kind for b in group}
    if block.kind is BlockKind.LIST:
        return last.kind is BlockKind.TEXT and len(group) == 1 and bool(_LEAD_IN.search(last.text))
    if block.kind in _HIT_KIND:
        return kinds == {BlockKind.CAPTION} and _names(last, block)
    if block.kind is BlockKind.CAPTION:
        return last.kind in _HIT_KIND and BlockKind.CAPTION not in kinds and _names(block, last)
    return False


def _names(caption: Block, block: Block) -> bool:
    """Whether a caption speaks of this kind of block ("表 1" of tables; anything else of figures or tables)."""
    if re.match(r"附?表|table", caption.text.strip(), re.IGNORECASE):
        return block.kind is BlockKind.TABLE
    if re.match(r"附?[图圖]|fig", caption.text.strip(), re.IGNORECASE):
        return block.kind is not BlockKind.TABLE
    return True


def _joined(units: Sequence[_Unit], page: PageRecord) -> _Piece:
    spans: list[PassageSpan] = []
    for start, end in (unit.span for unit in units):
        if spans and spans[-1].end == start:
            spans[-1] = spans[-1]._replace(end=end)
        else:
            spans.append(PassageSpan(page.page, start, end))
    return "\n".join(unit.text for unit in units), tuple(spans)


def _columns(table: Block) -> int:
    """Number of columns, from the ruler line of the Markdown."""
    return table.markdown.split("\n", 2)[1].count("---") if "\n" in table.markdown else 0


def _may_continue(unit: _Unit, table: Block) -> bool:
    """Whether nothing stands before the table on its page but a caption that says so ("表 5（续）")."""
    first = unit.blocks[0]
    return first is table or bool(re.search(r"[续續]|continued", first.text, re.IGNORECASE))


def _is_continuation(header: _Header, table: Block) -> bool:
    """Whether ``table`` goes on with the rows of the table that ``header`` belongs to, without a header of its own."""
    rows = table.text.split("\n")
    if _columns(table) != header.columns or fold_space(rows[0]) == fold_space(header.text):
        return False
    return not _looks_like_header(rows)


def _looks_like_header(rows: Sequence[str]) -> bool:
    """Whether the first row has no figures while the others do."""
    figures = [any(char.isdigit() for char in row) for row in rows]
    return not figures[0] and sum(figures[1:]) > 0.6 * len(figures[1:]) if len(rows) > 1 else False
