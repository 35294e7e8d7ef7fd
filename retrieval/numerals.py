"""Numbers and dates as they are written in Chinese, brought to one spelling.

All functions take normalised text (:func:`retrieval.lexical.normalize`): half-width, lower case,
simplified.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

_DIGITS = {char: i for i, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "亿": 10**8}
_NUMERAL = "零〇一二两三四五六七八九十百千万亿"

_THOUSANDS = re.compile(r"(?<![\d.])(?<!\d,)\d{1,3}(?:,\d{3})+(?![\d,])")
_SCALED = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s?(万亿|[百千]?[万亿]|[百千])")
_SPELLED = re.compile(f"[零〇一二两三四五六七八九十][{_NUMERAL}]+")
_PERCENT = re.compile(rf"百分之([{_NUMERAL}]+|\d+(?:\.\d+)?)")
_N = rf"(?:\d{{1,2}}|[{_NUMERAL}]{{1,3}})"
_Y = r"(?:\d{4}|[零〇一二三四五六七八九]{4})"
_DATE = re.compile(rf"(?:({_Y})\s?年)?\s?({_N})\s?月(?:\s?份)?(?:\s?({_N})\s?[日号])?")
_ISO = re.compile(r"(?<![\d.\-/])(\d{4})([-/.])(\d{1,2})(?:\2(\d{1,2}))?(?![\d\-/])")


def join_thousands(text: str) -> str:
    """``10,000`` becomes ``10000``."""
    return _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)


def parse_numeral(text: str) -> int | None:
    """The value of a spelled number (``二十三`` 23, ``二〇二四`` 2024, ``三万五千`` 35000), or None."""
    if all(char in _DIGITS for char in text):
        return int("".join(str(_DIGITS[char]) for char in text)) if text else None
    total = section = digit = 0
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _UNITS:
            section += (digit or 1) * _UNITS[char]
            digit = 0
        elif char in _MYRIADS:
            # 亿 scales all before it (三万亿), 万 only what follows the last 亿 (三亿二千万).
            part = section + digit
            total = (total + part) * 10**8 if char == "亿" else total + part * 10**4
            section = digit = 0
        else:
            return None
    return total + section + digit


def number_forms(text: str) -> Iterator[str]:
    """Decimal spellings of scaled, spelled and percent numbers: ``1.5万`` gives ``15000``, ``二十三`` gives ``23``."""
    for match in _SCALED.finditer(text):
        value = Decimal(match[1])
        for unit in match[2]:
            value *= (_UNITS | _MYRIADS)[unit]
        yield _plain(value)
    for match in _SPELLED.finditer(text):
        spelled = parse_numeral(match[0])
        if spelled is not None:
            yield str(spelled)
    for match in _PERCENT.finditer(text):
        share = parse_numeral(match[1])
        yield f"{match[1] if share is None else share}%"


def date_forms(text: str) -> Iterator[str]:
    """ISO spellings of dates and their parts: ``2024年3月5日`` gives ``2024-03-05``, ``2024-03``, ``03-05``."""
    for _, forms in dates(text):
        yield from forms


def dates(text: str) -> Iterator[tuple[tuple[int, int], tuple[str, ...]]]:
    """The dates in a text: where each stands, and its ISO spellings and those of its parts."""
    for match in _DATE.finditer(text):
        if match[1] or match[3]:
            yield match.span(), tuple(_forms(_value(match[1]), _value(match[2]), _value(match[3])))
    for match in _ISO.finditer(text):
        yield match.span(), tuple(_forms(int(match[1]), int(match[3]), _value(match[4])))


def _value(text: str | None) -> int | None:
    if not text:
        return None
    return int(text) if text.isdecimal() else parse_numeral(text)


def _forms(year: int | None, month: int | None, day: int | None) -> Iterator[str]:
    if month is None or not 1 <= month <= 12 or (day is not None and not 1 <= day <= 31):
        return
    if year is not None:
        yield f"{year:04}-{month:02}"
        if day is not None:
            yield f"{year:04}-{month:02}-{day:02}"
    if day is not None:
        yield f"{month:02}-{day:02}"


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
