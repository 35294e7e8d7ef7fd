"""Prompts: Chinese texts in files of their own, ``{name}-{version}.txt``, with ``{{places}}`` to be filled.

A file that was released is never edited: a new wording is a new version.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from vlm.base import RGB

_PLACE = re.compile(r"\{\{(\w+)\}\}")


class Prompt(NamedTuple):
    """One prompt; its text is part of the fingerprint of whatever uses it."""

    name: str
    version: int
    text: str

    def fill(self, **values: str) -> str:
        """The text with every ``{{place}}`` filled, each value once and as it is.

        Raises:
            KeyError: a place has no value.
        """
        return _PLACE.sub(lambda place: values[place[1]], self.text)

    def parts(self, image: RGB, **values: str) -> tuple[str | RGB, ...]:
        """The same with ``image`` at the place of that name: the text before it, the image, the text after it."""
        before, after = self.text.split("{{image}}")
        filled = (self._replace(text=text).fill(**values) for text in (before, after))
        return next(filled), image, next(filled)


@cache
def prompt(name: str, version: int) -> Prompt:
    """A packaged prompt. Raises FileNotFoundError."""
    text = (files(__name__) / f"{name}-{version}.txt").read_text("utf-8")
    return Prompt(name, version, text.strip())
