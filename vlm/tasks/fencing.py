"""Document text inside a prompt: data between ``<<<`` and ``>>>``, which nothing in it can end."""

from __future__ import annotations

import re

FENCING_VERSION = 1
"""Raise it whenever the same text would be fenced otherwise."""

_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_UNSEEN = re.compile(f"[{_INVISIBLE}]")
_MARKS = re.compile(r"(?:[<＜﹤‹«⟨][ \t\u3000]*){3,}|(?:[>＞﹥›»⟩][ \t\u3000]*){3,}")
_TEMPLATE = re.compile(r"<(?=[|｜]|/?(?:img|image|IMG_CONTEXT|video|box|ref|quad)\b)")


def defused(text: str) -> str:
    """``text`` without anything that reads as the fence or as a mark of a chat template.

    Models read look-alikes (``＞＞＞``, ``> > >``, letters with invisible characters between them) as the same. Servers
    may also obey the marks of their template where they stand in a text, so that these lose their first bracket.
    """
    return _TEMPLATE.sub("＜", _MARKS.sub("", _UNSEEN.sub("", text)))


def one_line(text: str, longest: int) -> str:
    """A name for use outside of the fence: defused, one line, nothing that reads as the number of a source."""
    flat = " ".join(defused(text).translate(str.maketrans("【】[]［］<>", "〔〕()（）()")).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
