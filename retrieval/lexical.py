"""Chinese lexical analysis: text in, weighted terms out; the same on every index.

NFKC, lower case, traditional to simplified (OpenCC t2s), then terms: characters, their bigrams, and jieba search-mode
words of three characters and more (two-character words *are* bigrams), Latin words and
identifiers whole and in parts, numbers and dates as written and in one canonical spelling.
BM25 after Robertson & Zaragoza (2009), https://doi.org/10.1561/1500000019; bigrams and words
together after Nie et al. (2000), https://doi.org/10.1145/355214.355235.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Literal

from retrieval.numerals import date_forms, join_thousands, number_forms
from retrieval.stopwords import FUNCTION_WORDS, QUESTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rjieba import Jieba

Mode = Literal["passage", "query"]

VERSION = 3
"""Raised whenever the same text gives other terms or weights; part of the encoder's fingerprint."""


_HAN = "々〇㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff"
_GAP = re.compile(rf"(?<=[{_HAN}])\s+(?=[{_HAN}])")
_RUN = re.compile(
    rf"(?P<han>[{_HAN}]+)"
    r"|(?P<code>[a-z0-9]+(?:[-_./:@+'&~][a-z0-9]+)*(?:\+\+|#|%)?)"
    rf"|(?P<word>[^\W_{_HAN}]+)"
)
_PARTS = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_STANDARD = re.compile(r"(?<![a-z0-9])([a-z]+(?:/[a-z]+)?)[ -]?(\d+(?:[-.]\d+)*)(?![a-z0-9])")
_COUNTED = re.compile(rf"(?<![\d.])(\d+(?:\.\d+)?)([{_HAN}])")

_CROSSING = 0.35
"""Query weight of a bigram that joins a content word and a function word."""

_CHARACTER = 0.5
"""Query weight of a single character: rephrased and abbreviated words share characters, not bigrams."""

_STOP_CHARACTERS = frozenset(word for word in QUESTION_WORDS | FUNCTION_WORDS if len(word) == 1)


def normalize(text: str) -> str:
    """NFKC, lower case, simplified; white space between ideographs (a line break in print) removed."""
    folded = _GAP.sub("", unicodedata.normalize("NFKC", well_formed(text)))
    return join_thousands(_simplify()(folded).lower())


def well_formed(text: str) -> str:
    """``text`` without lone surrogates, which broken PDF character maps give and no encoder takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def analyze(text: str, mode: Mode = "passage") -> list[str]:
    """The terms of ``text``, repeated as often as they occur.

    Args:
        text: any text.
        mode: ``passage`` keeps everything; ``query`` leaves out question words and bigrams that
            lie wholly in question or function words.
    """
    if mode == "query":
        return list(query_weights(text))
    normal = normalize(text)
    terms: list[str] = []
    for run in _RUN.finditer(normal):
        terms += _han_terms(run[0]) if run["han"] else _code_terms(run[0])
    terms += _canonical_terms(normal)
    return terms


def query_weights(text: str) -> dict[str, float]:
    """Terms of a question and how much each counts, 0 < weight <= 1, in order of appearance.

    A question made of nothing but stop words keeps them all, so that it still finds something.
    """
    normal = normalize(text)
    weights: dict[str, float] = {}
    for run in _RUN.finditer(normal):
        pairs = _weigh_han(run[0]) if run["han"] else ((term, 1.0) for term in _code_terms(run[0]))
        for term, weight in pairs:
            weights[term] = max(weight, weights.get(term, 0.0))
    for term in _canonical_terms(normal):
        weights[term] = 1.0
    return weights or dict.fromkeys(analyze(text), 1.0)


def term_id(term: str) -> int:
    """A stable u32 for a term: CRC-32 of its UTF-8."""
    return zlib.crc32(term.encode())


def words(text: str) -> list[str]:
    """``text`` (normalised) cut into words, nothing left out: ``"".join(words(t)) == t``."""
    return _jieba().cut(text, False)


def _han_terms(run: str) -> Iterator[str]:
    yield from (char for char in run if len(run) == 1 or char not in _STOP_CHARACTERS)
    for i in range(len(run) - 1):
        yield run[i : i + 2]
    if len(run) > 2:
        yield from (word for word in _jieba().cut_for_search(run, False) if len(word) > 2)


def _weigh_han(run: str) -> Iterator[tuple[str, float]]:
    """Characters, bigrams and words of a run of ideographs, damped where they rest on stop words."""
    keep: list[float] = []
    for word in words(run):
        weight = 0.0 if word in QUESTION_WORDS else _CROSSING if word in FUNCTION_WORDS else 1.0
        keep += [weight] * len(word)
        if weight == 1.0:
            yield from ((char, _CHARACTER) for char in word if char not in _STOP_CHARACTERS)
            if len(word) > 2:
                yield from ((sub, 1.0) for sub in _jieba().cut_for_search(word, False) if len(sub) > 2)
    for i in range(len(run) - 1):
        weight = min(keep[i], keep[i + 1])
        if weight and max(keep[i], keep[i + 1]) == 1.0:
            yield run[i : i + 2], weight


def _code_terms(run: str) -> Iterator[str]:
    yield run
    parts = _PARTS.findall(run)
    if parts != [run]:
        yield from parts


def _canonical_terms(normal: str) -> Iterator[str]:
    for match in _STANDARD.finditer(normal):
        yield f"{match[1]}{match[2]}"
    for match in _COUNTED.finditer(normal):
        yield f"{match[1]}{match[2]}"
    yield from number_forms(normal)
    yield from date_forms(normal)


@cache
def _simplify() -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("t2s").convert
    return convert


@cache
def _jieba() -> Jieba:
    """The segmenter with its own dictionary: no cache file, no log, no words that others added."""
    from rjieba import Jieba

    return Jieba()
