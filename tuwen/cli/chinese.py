"""English sentences into Chinese, at the edge: what is raised, stored and sent stays English.

A pair of :mod:`tuwen.cli.zh` is a template. A sentence is matched against the templates, most words first, and its
fields are carried over. What matches none is shown as it is.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from tuwen.cli.zh import FOREIGN, HELP, SENTENCES

PAIRS = {**FOREIGN, **HELP, **SENTENCES}
NESTED = "reason"
"""What the name of a field begins with that holds words to be translated too."""


class _Template(NamedTuple):
    words: int
    pattern: re.Pattern[str]
    chinese: str

    def render(self, found: re.Match[str]) -> str:
        fields = {name: chinese(text) if name.startswith(NESTED) else text for name, text in found.groupdict().items()}
        return self.chinese.format(**fields)


@lru_cache(maxsize=4096)
def chinese(text: str) -> str:
    """``text`` in Chinese, line by line; lines that nobody has translated stay as they are."""
    if "\n" in text:
        return "\n".join(map(chinese, text.split("\n")))
    if text in PAIRS and "{" not in text:
        return PAIRS[text]
    for template in _templates():
        if found := template.pattern.fullmatch(text):
            return template.render(found)
    return text


@cache
def _templates() -> tuple[_Template, ...]:
    """Those with fields, most words first: a sentence that fits two is meant by the more exact one."""
    made = (_template(english, text) for english, text in PAIRS.items() if "{" in english)
    return tuple(sorted(made, key=lambda template: -template.words))


def _template(english: str, text: str) -> _Template:
    pieces = list(parsed(english))
    pattern = "".join(re.escape(words) + (f"(?P<{field}>.*?)" if field else "") for words, field in pieces)
    return _Template(sum(len(words) for words, _ in pieces), re.compile(pattern), text)


def parsed(template: str) -> Iterator[tuple[str, str | None]]:
    """The pieces of a template: words, and the name of the field that follows them, if any."""
    for words, field, _, _ in string.Formatter().parse(template):
        yield words, field
