"""What a model wrote, as sentences with the sources and quotes that it names; in whatever format it came.

The prompt asks for ``句子。[1]「原文」`` a line. A small model also gives lists, bare paragraphs, full-width brackets,
quotes on lines of their own, JSON, and JSON that is not finished.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from retrieval.sentences import sentences
from tuwen.types import fold_space

_SOURCE = r"(?:资料|来源|文档|出处|依据|编号|页面|source|ref)"
_NUMBERS = rf"{_SOURCE}?\s*[:：]?\s*\d{{1,2}}(?:\s*[,，、;和及\-]\s*{_SOURCE}?\s*\d{{1,2}})*"
_MARK = re.compile(
    rf"[\[［【〔]\^?\s*{_NUMBERS}\s*[\]］】〕]|[(（]\s*(?:[参详]?见|根据|引自)?\s*{_SOURCE}\s*\d{{1,2}}\s*[)）]",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[「『“\"](.+?)[」』”\"]")
_AFTER_MARK = re.compile(r"^\s*[:：]?\s*[(（]?(?:原文)?[:：]?\s*[「『“\"](.+?)[」』”\"][)）]?[。；;，,]?")
_LAST_QUOTE = re.compile(
    r"(?<=[。！？!?；;])\s*[(（]?(?:原文|依据)?[:：]?\s*[「『“\"]([^「『“\"]+)[」』”\"][)）]?[。]?\s*$"
)
_BULLET = re.compile(r"^\s*(?:(?:[-*•·▪]|\d{1,2}[.、)）](?!\d)|[(（]\d{1,2}[)）])\s*|#+\s+|>\s+)+")
_LABEL = re.compile(r"^(?:最终)?(?:答案?|回答|结论|答复)(?:是|如下)?\s*[:：]\s*")
_QUOTE_LABEL = re.compile(r"^(?:原文|依据|引用|出处|来源|资料来源|参考(?:资料)?)\s*[:：]\s*")
_LEAD_IN = re.compile(
    rf"^(?:根据|依据|按照|参[照见])?\s*(?:[\[【]?{_SOURCE}\s*(\d{{1,2}})[\]】]?)(?:中|里|的)?(?:所述|内容|显示|可知|规定|记载|提到|指出)?\s*[,，:：]?\s*"
)
_MARKDOWN = re.compile(r"\*\*|__|`")
_SUBJECT = r"(?:资料|文档|文件|页面|图片|材料|内容|上文|上述|以上|所给|提供的|文本)"
_REFUSAL = re.compile(
    rf"{_SUBJECT}[^。，]{{0,12}}(?:没有|并?未|不(?:包含|含|足|够)|无法?|缺)|(?:无法|不能|难以)(?:[^。，]{{0,8}})(?:回答|确定|判断|得知|作答)|"
    r"^(?:没有|未|无)(?:找到|提及|提到|提供|给出)?(?:相关|答案|对应)|^(?:抱歉|对不起|不知道|未知|无)[。，！]?"
)
_HELD_BACK = re.compile(r"^\s*(?:\{|```|\[\s*[{\"])")
_PAIR = re.compile(
    r'"([^"\\]+)"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|\[?\s*((?:"?\d{1,2}"?\s*,?\s*)+)\]?|\[\s*"((?:[^"\\]|\\.)*)")'
)
_TEXT_KEYS = frozenset(
    ("sentence", "text", "claim", "answer", "content", "statement", "句子", "回答", "答案", "内容", "结论")
)
_QUOTE_KEYS = frozenset(("quote", "quotes", "evidence", "snippet", "original", "原文", "依据", "引用", "证据"))


class Sentence(NamedTuple):
    """One sentence of a reply."""

    text: str
    sources: tuple[int, ...] = ()
    """Numbers that it names, from 1; they may be of no source."""
    quotes: tuple[str, ...] = ()
    """What it says is printed there."""


def is_refusal(text: str) -> bool:
    """Whether a sentence says that there is no answer in the sources."""
    return bool(_REFUSAL.search(text))


class ReplyReader:
    """Takes in a reply as it is written and gives its sentences as soon as they are complete.

    A sentence is complete when the next one has begun, since its source and quote may stand on the next line.
    JSON is held back until its end.
    """

    def __init__(self) -> None:
        self._text = ""
        self._taken = 0
        self._last: Sentence | None = None

    def feed(self, piece: str) -> list[Sentence]:
        """The sentences that ``piece`` completes."""
        self._text += piece
        if "\n" not in piece or _HELD_BACK.match(self._text):
            return []
        end = self._text.rindex("\n") + 1
        lines, self._taken = self._text[self._taken : end].splitlines(), end
        return [sentence for line in lines for sentence in self._add(_line(line))]

    def finish(self, *, whole: bool = True) -> list[Sentence]:
        """The rest. Of a reply that is not ``whole``, the sentence that was cut off is left out."""
        if _HELD_BACK.match(self._text):
            return _json(self._text)
        rest = self._text[self._taken :]
        found = [sentence for line in rest.splitlines() for sentence in self._add(_line(line))]
        if not whole and rest.strip() and not rest.rstrip().endswith(("。", "！", "？", "；", "]", "】", "」", "”")):
            self._last = None
        return [*found, *([self._last] if self._last else [])]

    def _add(self, line: list[Sentence]) -> Iterator[Sentence]:
        """What is complete now that ``line`` follows; a sentence without words goes with the one before."""
        for sentence in line:
            if sentence.text:
                if self._last:
                    yield self._last
                self._last = sentence
            elif self._last:
                self._last = _joined(self._last, sentence)


def _joined(sentence: Sentence, more: Sentence) -> Sentence:
    return Sentence(sentence.text, (*sentence.sources, *more.sources), (*sentence.quotes, *more.quotes))


def _line(line: str) -> list[Sentence]:
    """The sentences of one line; the first has no text when the line belongs to the sentence before."""
    text = _LABEL.sub("", _MARKDOWN.sub("", _BULLET.sub("", line))).strip()
    about = _QUOTE_LABEL.sub("", text)
    if about != text:
        quotes = _QUOTED.findall(about) or [_MARK.sub("", about).strip()]
        return [Sentence("", _numbers(about), tuple(quote for quote in quotes if fold_space(quote)))]
    found: list[Sentence] = []
    place = 0
    for mark in _MARK.finditer(text):
        if mark.start() < place:
            continue
        said, place, sources, quotes = text[place : mark.start()], mark.end(), _numbers(mark[0]), []
        while quoted := _AFTER_MARK.match(text[place:]):
            quotes.append(quoted[1])
            place += quoted.end()
        named = Sentence("", sources, tuple(quotes))
        parted = _parted(said)
        # A mark stands for all that was said since the one before.
        found += [_joined(sentence, named) for sentence in parted] or [named]
    rest = _parted(text[place:])
    if rest and not any(sentence.text for sentence in found):
        return [_joined(sentence, before) for sentence in rest for before in found or [Sentence("")]]
    return found + rest


def _parted(text: str) -> list[Sentence]:
    """The sentences of a text without marks."""
    text = text.strip().lstrip("。．.，,；;：: ").strip()
    last = _LAST_QUOTE.search(text)
    if last:
        text = text[: last.start()].strip()
    lead = _LEAD_IN.match(text)
    sources = (int(lead[1]),) if lead else ()
    text = text[lead.end() :] if lead else text
    found = [Sentence(text[start:end], sources, _inner(text[start:end])) for start, end in sentences(text)]
    found = [sentence for sentence in found if any(char.isalnum() for char in sentence.text)]
    if last:
        found[-1:] = [_joined(found[-1], Sentence("", (), (last[1],)))] if found else [Sentence("", (), (last[1],))]
    return found


def _inner(text: str) -> tuple[str, ...]:
    """Quotes inside a sentence, long enough to be no mere name."""
    return tuple(quote for quote in _QUOTED.findall(text) if len(fold_space(quote)) >= 6)


def _numbers(mark: str) -> tuple[int, ...]:
    marks = _MARK.findall(mark)
    return tuple(dict.fromkeys(int(number) for one in marks for number in re.findall(r"\d{1,2}", one)))


def _json(text: str) -> list[Sentence]:
    """The sentences of JSON, of any shape, valid or not: each key with text begins one, what follows belongs to it."""
    found: list[Sentence] = []
    for key, string, numbers, listed in _PAIR.findall(text):
        value = _unescaped(string or listed)
        if key.lower() in _TEXT_KEYS and value:
            found += [sentence for line in value.splitlines() for sentence in _line(line) if sentence.text]
        elif found and key.lower() in _QUOTE_KEYS and value:
            found[-1] = _joined(found[-1], Sentence("", (), (value,)))
        elif found and (numbers or value.isdecimal()):
            cited = tuple(int(number) for number in re.findall(r"\d{1,2}", numbers or value))
            found[-1] = _joined(found[-1], Sentence("", cited))
    return found


def _unescaped(string: str) -> str:
    try:
        return str(json.loads(f'"{string}"', strict=False))
    except ValueError:
        return string
