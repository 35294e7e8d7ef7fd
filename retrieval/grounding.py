"""Grounding by code: find each quote among the page's words, drop what is not printed (DESIGN section 5).

A quote is looked for exactly (white space folded), then normalised (compatibility forms, case,
punctuation forms, traditional or simplified), then fuzzily: the stretch of the page at the smallest
edit distance, at most a share of the quote's length (approximate matching after Sellers, 1980,
https://doi.org/10.1016/0196-6774(80)90016-4). What is returned as the quote is always what the page
prints there, so that the words under a citation's boxes contain its quote.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Claim, Draft, Evidence, Located, Quote
from tuwen.types import Citation, PageRecord, WordSpan, fold_space

FLOOR = 0.8
"""Smallest share of a quote's characters that must stand on the page, for a fuzzy match."""

_FORMS = str.maketrans(
    {
        **dict.fromkeys("“”„‟「」『』﹁﹂﹃﹄〝〞‘’‚‛`´′″", '"'),
        "'": '"',
        **dict.fromkeys("‐‑‒–—―−─﹘", "-"),
        **dict.fromkeys("・•‧∙⋅․", "·"),
        **dict.fromkeys("。．", "."),
        **dict.fromkeys("、﹐", ","),
        **dict.fromkeys("〔【〖", "["),
        **dict.fromkeys("〕】〗", "]"),
        **dict.fromkeys("〈‹«", "<"),
        **dict.fromkeys("〉›»", ">"),
        **dict.fromkeys("〜∼", "~"),
        "⋯": "...",
    }
)


class Grounded(NamedTuple):
    """What is left of a draft after every quote was looked up."""

    text: str
    """The claims, verbatim, each followed by the markers ``[n]`` of its citations."""
    citations: tuple[Citation, ...]


class _Stream(NamedTuple):
    """The page's characters without white space, and where each comes from."""

    chars: str
    words: list[int]
    """Index of the word that owns each character."""
    gaps: dict[int, str]
    """White space that is printed before a character."""

    @classmethod
    def of(cls, record: PageRecord) -> _Stream:
        chars: list[str] = []
        words: list[int] = []
        first: list[int] = []
        for i, word in enumerate(record.words):
            first.append(len(chars))
            for char in fold_space(word.text):
                chars.append(char)
                words.append(i)
        gaps: dict[int, str] = {}
        for block in record.blocks:
            if block.words.start < block.words.end:
                position = first[block.words.start]
                gaps[position] = "\n"
                _add_gaps(gaps, block.text, position)
        return cls("".join(chars), words, gaps)

    def printed(self, start: int, end: int) -> str:
        """Characters ``[start, end)`` as the page prints them, white space included."""
        return self.chars[start : start + 1] + "".join(
            self.gaps.get(i, "") + self.chars[i] for i in range(start + 1, end)
        )


def locate(quote: str, record: PageRecord, *, floor: float = FLOOR, within: Sequence[WordSpan] = ()) -> Located | None:
    """Find ``quote`` among the page's words; None when it is not printed there.

    Args:
        quote: any text; white space does not count, and it may run over lines and blocks.
        record: the page.
        floor: least similarity of a fuzzy match, 0..1; 1 allows none.
        within: places to prefer when the quote stands more than once, best first (a block's or a passage's words).

    Returns:
        Word indices in reading order, one box a printed line, the words' own wording, and the similarity
        (1 - edit distance / quote length; 1.0 for exact and normalised matches).
    """
    needle = fold_space(quote)
    if not needle:
        return None
    stream = _Stream.of(record)
    found = _find(needle, stream.chars, stream.words, within)
    if found:
        return _located(record, stream, *found, similarity=1.0)
    text, origin = _normal_stream(stream.chars)
    needle = "".join(map(_normal_char, needle))
    words = [stream.words[i] for i in origin]
    found = _find(needle, text, words, within)
    similarity = 1.0
    if not found:
        start, end, distance = _nearest(needle, text)
        similarity = 1 - distance / max(1, len(needle))
        if similarity < floor or start == end:
            return None
        found = start, end
    return _located(record, stream, origin[found[0]], origin[found[1] - 1] + 1, similarity=similarity)


def verify(draft: Draft, evidence: Sequence[Evidence], *, floor: float = FLOOR) -> Grounded:
    """Look up every quote of ``draft`` again and keep the claims of which at least one quote is printed.

    A claim that says itself that it is unverified is kept too.

    Claims are parted by a space; without the markers the text is the claims' own, in their order.
    Markers count from 1 in order of appearance, and two claims that rest on the same place share one.
    """
    pages = {(item.document_id, item.record.page): item for item in evidence}
    citations: dict[tuple[str, int, tuple[int, ...]], Citation] = {}
    parts: list[str] = []
    for claim in draft.claims:
        markers: dict[int, None] = {}
        for item, place in _places(claim, pages, floor):
            key = (item.document_id, place.page, place.words)
            citation = citations.setdefault(key, _cite(len(citations) + 1, item, place))
            markers[citation.marker] = None
        if markers or claim.unverified:
            parts.append(claim.text + "".join(f"[{marker}]" for marker in markers))
    return Grounded(" ".join(parts), tuple(citations.values()))


def _places(claim: Claim, pages: dict[tuple[str, int], Evidence], floor: float) -> Iterator[tuple[Evidence, Located]]:
    for quote in claim.quotes:
        item = pages.get((quote.document_id, quote.page))
        if item is None:
            continue
        place = locate(quote.text, item.record, floor=floor, within=_hints(quote, item))
        if place:
            yield item, place


def _hints(quote: Quote, item: Evidence) -> list[WordSpan]:
    spans = [quote.words] if quote.words else []
    passages = (span for passage in item.passages for span in passage.spans if span.page == item.record.page)
    return spans + [WordSpan(span.start, span.end) for span in passages]


def _cite(marker: int, item: Evidence, place: Located) -> Citation:
    return Citation(
        marker=marker,
        document_id=item.document_id,
        document_name=item.document_name,
        page=place.page,
        quote=place.text,
        boxes=place.boxes,
        verified=True,
        verdict=item.record.verdict,
    )


def _add_gaps(gaps: dict[int, str], text: str, position: int) -> None:
    for i, char in enumerate(text):
        if not char.isspace():
            position += 1
        elif i and not text[i - 1].isspace():
            gaps[position] = "\n" if char == "\n" else " "


def _find(needle: str, text: str, words: Sequence[int], within: Sequence[WordSpan]) -> tuple[int, int] | None:
    """The best occurrence: inside an earlier hint, then on whole words, then the first."""
    if not needle:
        return None
    best: tuple[int, bool] | None = None
    place: tuple[int, int] | None = None
    start = text.find(needle)
    while start >= 0:
        end = start + len(needle)
        rank = _hint_rank(words[start], words[end - 1], within), _cuts_word(words, start, end)
        if best is None or rank < best:
            best, place = rank, (start, end)
        start = text.find(needle, start + 1)
    return place


def _hint_rank(first: int, last: int, within: Sequence[WordSpan]) -> int:
    return next((i for i, span in enumerate(within) if span.start <= first and last < span.end), len(within))


def _cuts_word(words: Sequence[int], start: int, end: int) -> bool:
    before = start > 0 and words[start - 1] == words[start]
    return before or (end < len(words) and words[end] == words[end - 1])


def _normal_stream(chars: str) -> tuple[str, list[int]]:
    """Normalised characters, and for each the position it comes from."""
    text: list[str] = []
    origin: list[int] = []
    for i, char in enumerate(chars):
        for part in _normal_char(char):
            text.append(part)
            origin.append(i)
    return "".join(text), origin


@lru_cache(maxsize=65536)
def _normal_char(char: str) -> str:
    """One character in its comparison form. Decomposed, so that it needs no context."""
    simple = _simplify()(unicodedata.normalize("NFKD", char.translate(_FORMS)))
    return fold_space(simple.casefold().translate(_FORMS))


@cache
def _simplify() -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("t2s").convert
    return convert


def _nearest(needle: str, text: str) -> tuple[int, int, int]:
    """The stretch ``[start, end)`` of ``text`` at the smallest edit distance from ``needle``, and that distance."""
    forward = _edit_row(needle, text, anchored=False)
    end = _longest_at_minimum(forward)
    backward = _edit_row(needle[::-1], text[:end][::-1], anchored=True)
    return end - _longest_at_minimum(backward), end, int(forward[end])


def _longest_at_minimum(row: NDArray[np.int64]) -> int:
    """The first minimum, moved on over equal neighbours: rather a wrong character inside than the stretch cut short."""
    end = int(row.argmin())
    while end + 1 < len(row) and row[end + 1] == row[end]:
        end += 1
    return end


def _edit_row(needle: str, text: str, *, anchored: bool) -> NDArray[np.int64]:
    """Distance of ``needle`` to the best stretch of ``text`` that ends at each position, shape (len(text) + 1,).

    ``anchored``: the stretch begins at the start of ``text``.
    """
    codes = np.array([ord(char) for char in text], np.int64)
    steps = np.arange(len(text) + 1)
    row = steps if anchored else np.zeros_like(steps)
    for i, char in enumerate(needle, 1):
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + (codes != ord(char)))
        best[0] = i
        # An insertion costs 1 a step, so row[j] = min over k <= j of best[k] + (j - k).
        row = np.minimum.accumulate(best - steps) + steps
    return row


def _located(record: PageRecord, stream: _Stream, start: int, end: int, *, similarity: float) -> Located:
    first, last = stream.words[start], stream.words[end - 1]
    words = tuple(range(first, last + 1))
    return Located(record.page, words, record.line_boxes(words), similarity, stream.printed(start, end))
