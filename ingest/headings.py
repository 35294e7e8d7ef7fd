"""Printed numbering of headings and captions: 第三章, 1.2, 一、, （二）, 附录 A, 图 1-2."""

from __future__ import annotations

import re
from typing import NamedTuple

from tuwen.types import Block

_CN = "零〇一二三四五六七八九十百"
_ROMAN = "IVX"


class Numbering(NamedTuple):
    """How a heading is numbered."""

    scheme: str
    """Headings of one scheme are siblings: ``章``, ``decimal-2``, ``cn``, …"""
    level: int
    """1..6, as such headings usually nest."""
    number: str
    """As printed, without brackets and marks."""


_PATTERNS: tuple[tuple[str, int, re.Pattern[str]], ...] = tuple(
    (scheme, level, re.compile(pattern, re.IGNORECASE))
    for scheme, level, pattern in (
        ("部", 1, rf"第\s*([{_CN}\d]+|[{_ROMAN}]+)\s*[部编編篇卷](?!\w*[，。])"),
        ("章", 1, rf"第\s*([{_CN}\d]+)\s*章"),
        ("章", 1, r"(?:chapter|part)\s+(\d+|[ivx]+)\b"),
        ("附录", 1, rf"(?:附\s*[录錄件]|appendix)\s*([A-Z]\b|\d+\b|[{_CN}]+)"),
        ("节", 2, rf"第\s*([{_CN}\d]+)\s*[节節]"),
        ("节", 2, r"section\s+(\d+)\b"),
        ("条", 3, rf"第\s*([{_CN}\d]+)\s*[条條](?=\s|[:：]|$)"),
        ("cn", 3, rf"([{_CN}]+)\s*[、．.]"),
        ("cn-bracket", 4, rf"[（(]\s*([{_CN}]+)\s*[）)]"),
        ("arabic", 5, r"(\d{1,2})\s*[、．](?!\d)"),
        ("arabic-bracket", 6, r"[（(]?\s*(\d{1,2})\s*[）)]"),
    )
)
_DECIMAL = re.compile(
    r"§?\s*(\d{1,3}(?:\.\d{1,3})*|[A-Z](?:\.\d{1,3})+|[A-Z](?=\s))(?:\.(?=\s)|(?![\w.])|(?=[^\W\d_A-Za-z]))"
)
_DATE_OR_UNIT = re.compile(
    r"\d+\s*(?:[年月日号時时分秒点點元万亿億个個人名项項页頁次倍家台台度岁歲米%％]|[a-z]{1,3}\b)", re.IGNORECASE
)

_UNNUMBERED = re.compile(
    r"(?:目\s*[录錄次]|前\s*言|序\s*言?|引\s*言|[摘提]\s*要|参考文献|參考文獻|致\s*[谢謝]|[后後]\s*[记記]|索\s*引|结\s*[论語语]|結\s*論"
    r"|abstract|preface|(?:table of )?contents|references|bibliography|acknowledge?ments?|index)",
    re.IGNORECASE,
)
"""Headings of the first level that carry no number."""
_QUANTITY = re.compile(
    r"[\d.,，%+\-−–~～/\s]*(?:[%℃°]|[万亿萬億]?(?:元|只|台|件|个|個|种|種|项|項|人|名|家|次|倍|度|米|公里|千克|吨|路|套|颗|张)|小时|分钟|秒|天|年|月|日)?"
)
"""A figure with its unit, as slides and reports print large."""

_CAPTION = re.compile(
    r"(?:附?[图圖表]|照片|清单|清單|代码|代碼|示例|(?:figure|fig\.|table|listing|exhibit)\s)"
    rf"\s*(?:[A-Z]?\d+(?:\s*[-–—.．]\s*\d+)*|[{_CN}]+|[{_ROMAN}]+)\s*(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_MENTION = re.compile(
    r"(?:中|所|是|为|為|的|给出|給出|显示|顯示|展示|列出|说明|說明|描述|可以|可见|可見|与|與|和|及|、|，|,|shows?\b|is\b|lists?\b|gives?\b)",
    re.IGNORECASE,
)


def numbering(text: str) -> Numbering | None:
    """The printed number that ``text`` starts with, or None."""
    head = text.lstrip()[:40]
    for scheme, level, pattern in _PATTERNS:
        if found := pattern.match(head):
            return Numbering(scheme, level, found.group(1).strip())
    if (found := _DECIMAL.match(head)) and not _DATE_OR_UNIT.match(head) and not is_quantity(text):
        number = found.group(1)
        depth = number.count(".") + 1
        if head[found.end() :].strip() or depth > 1:
            return Numbering(f"decimal-{depth}", min(depth, 6), number)
    return None


def heading_level(text: str, size: float, body: float) -> int:
    """Level 1..6 of a heading: by its number where it has one, else by its size against the body's, in points."""
    if found := numbering(text):
        return found.level
    if _UNNUMBERED.fullmatch(text.strip()):
        return 1
    ratio = size / body if body else 1.0
    return next((level for level, least in ((1, 1.7), (2, 1.35), (3, 1.12)) if ratio >= least), 4)


def is_quantity(text: str) -> bool:
    """Whether ``text`` is nothing but a figure and its unit ("4.6 小时")."""
    return bool(_QUANTITY.fullmatch(text.strip()))


def is_caption(text: str) -> bool:
    """Whether ``text`` names a figure, table or listing (图 1 组织结构); a sentence about one (图 1 所示…) does not."""
    found = _CAPTION.match(text.strip())
    if not found or text.rstrip().endswith(("。", "；")):
        return False
    return not _MENTION.match(found["rest"].strip())


class HeadingPath:
    """Headings above the current place of a document, outermost first; of bounded depth and length."""

    _MAX_DEPTH = 6
    _MAX_CHARS = 120

    def __init__(self) -> None:
        self._entries: list[tuple[str, int, str]] = []

    def enter(self, title: Block) -> None:
        """Go below ``title``: its siblings, known by their scheme of numbering or else by level, are left."""
        text = " ".join(title.text.split())[: self._MAX_CHARS]
        found = numbering(text)
        level = found.level if found else title.level or 4
        scheme = found.scheme if found else f"level-{level}"
        depth = next((i for i, (other, _, _) in enumerate(self._entries) if other == scheme), None)
        if depth is None:
            depth = next((i for i, (_, other, _) in enumerate(self._entries) if other >= level), len(self._entries))
        self._entries[depth:] = [(scheme, level, text)]
        del self._entries[: -self._MAX_DEPTH]

    @property
    def texts(self) -> tuple[str, ...]:
        """The headings' texts, white space folded."""
        return tuple(text for _, _, text in self._entries)
