"""Numbers, dates and codes: what a sentence must share with its source to the letter, however it is spelled.

``十天`` and ``10 天``, ``2024年3月5日`` and ``2024-03-05``, ``1.5万`` and ``15,000`` are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from retrieval.lexical import normalize
from retrieval.numerals import date_forms, dates, number_forms, parse_numeral

NUMERALS = "〇零一二两三四五六七八九十百千万亿"

_DECIMAL = re.compile(r"\d+\.\d+")
_SCALED = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?(万亿|[百千]?[万亿]|[百千])")
_PERCENT = re.compile(rf"百分之(?:[{NUMERALS}]+|\d+(?:\.\d+)?)")
_CODE = re.compile(r"[a-z0-9]+(?:[-_./:@+&~][a-z0-9]+)*%?", re.ASCII)
_PLAIN = re.compile(r"\d+(?:\.\d+)?%?")
_GROUPED = re.compile(r"\d+(?:\.\d+)?(?:[-~/:]\d+(?:\.\d+)?)*%?")
_SPELLED = re.compile(f"[{NUMERALS}]+")
_COUNTED = re.compile(
    r"个?[天日月年周岁元角吨米里级倍人名位次条章款项号届期版层楼室页份台套件种类亩]|个?(?:小时|工作日|分钟|星期|公|千|毫|厘|平方|立方)"
)
_ONE_COUNTED = re.compile(r"[天日月周元倍级号]|个?(?:小时|工作日|月)")
_IDIOMS = frozenset(("千万", "万一", "一一", "万千", "百千"))
_MONEY_UNIT = re.compile(r"(?<!\d)[百千]?(万亿|[万亿])元")
_SHARE_UNIT = re.compile(r"(?<!\d)%")


@lru_cache(maxsize=4096)
def exact_values(text: str) -> tuple[frozenset[str], ...]:
    """The values that ``text`` states, each as the spellings of which a source must have one."""
    normal = normalize(text)
    found: list[frozenset[str]] = []
    for span, forms in dates(normal):
        if forms and not _DECIMAL.fullmatch(normal, *span):
            found.append(frozenset((max(forms, key=len),)))
            normal = _blank(normal, span)
    for match in _SCALED.finditer(normal):
        found.append(frozenset((*number_forms(match[0]), _unscaled(match[1], match[2]))))
        normal = _blank(normal, match.span())
    for match in _PERCENT.finditer(normal):
        found.append(frozenset(form for form in number_forms(match[0]) if form.endswith("%")))
        normal = _blank(normal, match.span())
    found += [frozenset((form,)) for form in (*_codes(normal), *_spelled(normal, loose=False))]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def printed_forms(text: str) -> frozenset[str]:
    """All values of a source, and their parts, in every spelling that a sentence may use."""
    normal = normalize(text)
    forms = {*date_forms(normal), *number_forms(normal), *_spelled(normal, loose=True)}
    bare = _SCALED.sub(" ", normal)
    numbers = set(_codes(bare))
    forms |= numbers
    for unit in _MONEY_UNIT.findall(normal):
        forms |= {_unscaled(number, unit) for number in numbers if _PLAIN.fullmatch(number)}
    if _SHARE_UNIT.search(normal):
        forms |= {f"{number}%" for number in numbers if _PLAIN.fullmatch(number) and number[-1] != "%"}
    return frozenset(forms)


def unmet(text: str, printed: str) -> tuple[frozenset[str], ...]:
    """The values of ``text`` that ``printed`` does not have."""
    have = printed_forms(printed)
    return tuple(value for value in exact_values(text) if not value & have)


def _codes(normal: str) -> Iterator[str]:
    """Numbers in digits, each by itself, and codes of letters and digits, whole."""
    for match in _CODE.finditer(normal):
        if _GROUPED.fullmatch(match[0]):
            percent = "%" if match[0].endswith("%") else ""
            for number in re.findall(r"\d+(?:\.\d+)?", match[0]):
                yield _decimal(number) + percent
        elif any(char.isdigit() for char in match[0]):
            yield match[0]


def _spelled(normal: str, *, loose: bool) -> Iterator[str]:
    """Values of numbers in Chinese numerals; not ``loose``: only where they surely count something."""
    for match in _SPELLED.finditer(normal):
        value = parse_numeral(match[0])
        if value and (loose or _counts(match[0], normal, match.end())):
            yield str(value)


def _counts(numeral: str, normal: str, end: int) -> bool:
    if len(numeral) > 1:
        return numeral not in _IDIOMS
    return bool((_ONE_COUNTED if numeral == "一" else _COUNTED).match(normal, end))


def _decimal(number: str) -> str:
    whole, _, part = number.partition(".")
    part = part.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{part}" if part else "")


def _unscaled(number: str, unit: str) -> str:
    """A number whose unit (万, 亿) may stand in the head of a column."""
    return f"{_decimal(number)}@{unit}"


def _blank(text: str, span: tuple[int, int]) -> str:
    return text[: span[0]] + " " * (span[1] - span[0]) + text[span[1] :]
