"""What a Chinese question asks for: the kind of answer, its terms, and how telling each of its words is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from retrieval.lexical import normalize, query_weights, words
from retrieval.stopwords import FUNCTION_WORDS, QUESTION_WORDS

if TYPE_CHECKING:
    from rjieba import Jieba


class Kind(StrEnum):
    """What would answer."""

    REASON = "reason"
    DATE = "date"
    PLACE = "place"
    NUMBER = "number"
    PERSON = "person"
    TITLE = "title"
    LIST = "list"
    DEFINITION = "definition"
    MANNER = "manner"
    OTHER = "other"


class Question(NamedTuple):
    """An analysed question; all texts normalised (half-width, lower case, simplified)."""

    text: str
    kind: Kind
    terms: Mapping[str, float]
    """Terms and their weights, see :func:`retrieval.lexical.query_weights`."""
    words: Mapping[str, float]
    """Content words and how telling each is: the square of its information in nats."""
    asked: Mapping[str, float]
    """Those of the words beside the question word, which say what is asked about the subject."""
    unit: str
    """Of a number: the word after 多少 or 几; else empty."""

    @property
    def chars(self) -> frozenset[str]:
        """The characters of the content words."""
        return frozenset(char for word in self.words for char in word)


# In order: the first rule that matches decides.
_RULES: tuple[tuple[Kind, str], ...] = (
    (
        Kind.REASON,
        r"(?<![称名做作叫之算更改命变])为(?:什么|甚么)(?![?？]?$)|^为什么|为啥|为何(?!时|人|物|处|地|[?？]?$)|"
        r"何以|缘何|因何|怎么会|原因|理由|因为?(?:什么|何)",
    ),
    (
        Kind.DATE,
        r"什么时[候间]|何[时年]|哪一?个?(?:年|天|日|月|世纪|年代|时期|时代|朝代)|几(?:月|号|年(?!级)|世纪|点[钟整开关上下停起到至前后？?]|点$)|"
        r"什么年[代份]|时间(?:是|为)|日期|花期",
    ),
    (
        Kind.TITLE,
        r"哪一?些?(?:本|部(?!分|门|会)|首(?!都)|张专辑|篇|作品|电影|小说|专辑|歌曲|单曲|书|杂志|著作)|"
        r"什么(?:书|作品|电影|小说|专辑|歌|单曲|杂志|节目|剧|著作)",
    ),
    (
        Kind.PLACE,
        r"哪里|哪儿|何处|何地|什么地[方区点]|哪国|什么国|地理位置|出生地|位于什么|在哪[?？]?$|"
        r"哪一?[个座些]?(?:国家?|城市|省份?|地区|地方|县|市|州|洲|岛|镇|区|海域|港口)",
    ),
    (Kind.NUMBER, r"多少|第?几(?![乎何])|多[大长高远久重宽深快厚]|百分之[几多]|几分之"),
    (Kind.PERSON, r"谁|何人|什么人|哪一?[位名]|哪一?个人|哪些人|哪几[位名]"),
    (
        Kind.DEFINITION,
        r"^什么(?:是|叫做?)|何谓|指(?:的)?是?什么|定义|什么意思|含义|"
        r"^(?:请问)?(?:(?!的)[^，,]){1,16}是(?:什么|何)[?？]?$",
    ),
    (Kind.LIST, r"哪些|哪几|哪[两三四五]|有什么|包括什么|分为什么"),
    (Kind.MANNER, r"如何|怎么|怎样|什么方[式法]|什么手段|什么过程"),
)
_QUESTION_WORD = re.compile(
    r"什么(?:时[候间]|地[方点])?|甚么|多(?:少|[大长高远久重宽深快厚])|几|谁|哪(?:一?[个些位种所家座本部首年])?|"
    r"何[时年处地人]?|如何|怎[么样]+"
)
_UNIT = re.compile(r"(?:多少|几)(?![乎何])个?((?:平方|立方)?[公千厘毫海英]?[㐀-鿿a-z%])")
_NO_UNIT = frozenset("的是时数比，。")
_DICTIONARY_TOTAL = 60_101_967
"""Sum of the frequencies in the segmenter's dictionary."""
_UNKNOWN_CODE = 30
"""Frequency assumed of an identifier or a number, which no dictionary lists."""


def analyze_question(question: str) -> Question:
    """Take a question apart; any text is accepted."""
    text = normalize(question)
    kind = next((kind for kind, pattern in _RULES if re.search(pattern, text)), Kind.OTHER)
    unit = _UNIT.search(text) if kind is Kind.NUMBER else None
    content = content_words(text)
    named = unit[1] if unit and unit[1][0] not in _NO_UNIT else ""
    beside = {word: content[word] for word in _beside_question_word(text) if word in content}
    return Question(text, kind, query_weights(question), content, beside, named)


def with_answer(question: str, answer: str) -> str:
    """A sentence that gives ``answer``: in the place of the word that asks, or behind the question."""
    text = question.rstrip("？?")
    found = _QUESTION_WORD.search(text)
    return f"{text[: found.start()]}{answer}{text[found.end() :]}。" if found else f"{text}：{answer}。"


def content_words(text: str) -> dict[str, float]:
    """The words of a text (normalised) that are no function words, and how telling each is."""
    return {word: information(word) ** 2 for word in words(text) if _is_content(word)}


def _beside_question_word(text: str) -> list[str]:
    """The last content word before the word that asks, and the first one after it."""
    found = _QUESTION_WORD.search(text)
    if not found:
        return []
    before = [word for word in words(text[: found.start()]) if _is_content(word)]
    after = [word for word in words(text[found.end() :]) if _is_content(word)]
    return [*before[-1:], *after[:1]]


@lru_cache(maxsize=65536)
def information(word: str) -> float:
    """How much a word tells, in nats: minus the logarithm of its frequency in the segmenter's dictionary.

    Words that no dictionary lists, names above all, tell most.
    """
    if word.isascii():
        frequency = _UNKNOWN_CODE if len(word) > 1 else _UNKNOWN_CODE * 100
    else:
        frequency = dictionary().suggest_freq(word) if dictionary().has_word(word) else 1
    return math.log(_DICTIONARY_TOTAL / max(1, frequency))


@cache
def dictionary() -> Jieba:
    """The segmenter's dictionary, with parts of speech."""
    from rjieba import Jieba

    return Jieba()


def _is_content(word: str) -> bool:
    return any(char.isalnum() for char in word) and word not in QUESTION_WORDS and word not in FUNCTION_WORDS
