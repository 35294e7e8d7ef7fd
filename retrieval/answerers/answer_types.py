"""Whether a text holds something of the kind that a question asks for, outside of what the question says itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from retrieval.answerers.question import Kind, Question, dictionary

_DIGIT = r"[\d〇零一二两三四五六七八九十百千万亿]"
_DATE = re.compile(
    rf"{_DIGIT}{{1,4}}(?:[-~至到]{_DIGIT}{{1,4}})?\s?(?:年代?|月|日|号|世纪|时|点)|\d+:\d+|\d{{4}}-\d{{1,2}}|世纪|年间|时期|"
    r"[春夏秋冬]季|朝|代(?=[初中末晚早])|星期|周[一二三四五六日]|战争?(?:前|后|时)|[之以](?:后|前)"
)
_NUMBER = re.compile(
    rf"{_DIGIT}+(?:\.\d+)?(?:[-~至到]{_DIGIT}+(?:\.\d+)?)?\s?(?:(?:平方|立方)?[公千厘毫海英]?[㐀-鿿a-z]|%)?"
)
_REGION = re.compile(r"[㐀-鿿]{1,6}[省市县区州国岛山河湖路街镇村洲洋海港道乡府]|位于|地处|坐落|分布")
_FOREIGN_NAME = re.compile(r"[㐀-鿿]+·[㐀-鿿]+")
_DATE_UNITS = frozenset("年月日号时点世")
_PERSONS = frozenset({"nr", "nrt", "nrfg", "nt"})
_NAMES = _PERSONS | {"ns"}
_CUES = {
    Kind.REASON: re.compile(r"因|由于|为了|所以|故|以致|导致|原因|以便|鉴于|使得|源于|理由|考虑"),
    Kind.MANNER: re.compile(r"通过|以|用|利用|方式|方法|经由|凭"),
    Kind.DEFINITION: re.compile(r"是|指|即|为|称"),
    Kind.LIST: re.compile(r"、|包括|分为|有"),
    Kind.TITLE: re.compile(r"[《「『]"),
}


TELLING = frozenset({Kind.NUMBER, Kind.DATE, Kind.PERSON})
"""Kinds of answers that one text holds and another does not; the cues of the other kinds stand nearly everywhere."""


def lacks_type(question: Question, text: str) -> bool:
    """Whether ``text`` (normalised) holds nothing of the telling kind, or not in the unit, that is asked for."""
    return question.kind in TELLING and type_match(question, text) < 1


def type_match(question: Question, text: str) -> float:
    """How well ``text`` (normalised) fits the kind of answer, 0..1.3; 0 for questions of no kind."""
    match question.kind:
        case Kind.DATE:
            return float(any(_new(question, _DATE.findall(text))))
        case Kind.NUMBER:
            return _number_match(question, text)
        case Kind.PERSON:
            return float(any(_new(question, [*_tagged(text, _PERSONS), *_FOREIGN_NAME.findall(text)])))
        case Kind.PLACE:
            places = any(_new(question, _tagged(text, frozenset({"ns"}))))
            return 0.5 * any(_new(question, _REGION.findall(text))) + 0.5 * places
        case Kind.OTHER:
            return 0.0
    return float(bool(_CUES[question.kind].search(text)))


def values(kind: Kind, text: str) -> list[str]:
    """The dates or the quantities in ``text`` (normalised), in order; empty for other kinds."""
    if kind is Kind.DATE:
        return [match[0] for match in _DATE.finditer(text) if re.search(_DIGIT, match[0])]
    if kind is Kind.NUMBER:
        return [match[0] for match in _NUMBER.finditer(text) if match[0][-1] not in _DATE_UNITS]
    return []


def names(text: str) -> list[str]:
    """People, places and bodies in ``text`` (normalised), as far as the dictionary tells them."""
    return [name for name in _tagged(text, _NAMES) if len(name) > 1]


def _number_match(question: Question, text: str) -> float:
    numbers = list(_new(question, _NUMBER.findall(text)))
    if not question.unit:
        return float(bool(numbers))
    return float(any(question.unit[0] in number for number in numbers)) + 0.3 * bool(numbers)


def _new(question: Question, found: list[str]) -> Iterator[str]:
    return (item for item in found if item not in question.text)


@lru_cache(maxsize=8192)
def _tagged(text: str, tags: frozenset[str]) -> list[str]:
    return [word for word, tag in dictionary().tag(text) if tag in tags]
