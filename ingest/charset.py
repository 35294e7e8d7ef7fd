"""Which encoding a text file is in: the handful that Chinese text comes in, decided by evidence.

General detectors guess among a hundred encodings and are unsure below a few hundred characters; here the
choice is between UTF-8, UTF-16, GB18030 and Big5, and the code points' *rank* decides between the last two.
"""

from __future__ import annotations

import codecs
import unicodedata

SAMPLE_BYTES = 1 << 16
"""As much of a file as :func:`detect_encoding` needs."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "hz-gb-2312": "hz", "big5": "big5hkscs"}
_NO_LABELS = frozenset({"ascii", "us-ascii", "unknown-8bit"})
_PLAIN_CONTROLS = frozenset("\t\n\r\f\x0b\x1a\x1b")


def detect_encoding(sample: bytes) -> str | None:
    """The Python codec name of a text's first bytes; None when they are no text.

    Args:
        sample: the beginning of the file; may end inside a character.
    """
    for bom, name in _BOMS:
        if sample.startswith(bom):
            return name if _decode(sample, name) is not None else None
    if _decode(sample, "utf-8") is not None:
        return "utf-8"
    wide = _bare_utf16(sample)
    if wide or b"\0" in sample:
        return wide
    scores = {name: score for name in ("gb18030", "big5hkscs") if (score := _commonness(sample, name)) is not None}
    return max(scores, key=lambda name: scores[name]) if scores else None


def decode(data: bytes) -> str | None:
    """The whole text, damaged characters as U+FFFD; None when ``data`` is no text."""
    encoding = detect_encoding(data[:SAMPLE_BYTES])
    return None if encoding is None else data.decode(encoding, errors="replace")


def decoded_as(data: bytes, label: str | None) -> str:
    """Text in the encoding that it is said to be in, or else in the one that it seems to be in.

    Args:
        data: all of the text.
        label: as mails and web pages name it; ``gb2312`` there usually means its superset.
    """
    name = (label or "").strip().lower()
    if name and name not in _NO_LABELS:
        try:
            return data.decode(_SUPERSETS.get(name, name))
        except (LookupError, ValueError):  # no such encoding, or not in it
            pass
    return decode(data) or data.decode("latin-1")


def _decode(sample: bytes, encoding: str) -> str | None:
    """``sample`` as text, an incomplete last character left out; None when it is not in ``encoding``."""
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(sample)
    except UnicodeDecodeError:
        return None
    controls = sum(1 for char in text if unicodedata.category(char) == "Cc" and char not in _PLAIN_CONTROLS)
    return text if controls == 0 else None


def _bare_utf16(sample: bytes) -> str | None:
    """UTF-16 without a byte order mark, known by the line feeds and spaces in it."""
    for name, marks in (("utf-16-le", (b"\n\0", b" \0", b"\x0c\xff", b"\x020")), ("utf-16-be", (b"\0\n", b"\0 "))):
        pairs = {sample[i : i + 2] for i in range(0, len(sample) - 1, 2)}
        if pairs.intersection(marks) and _decode(sample, name) is not None:
            return name
    return None


def _commonness(sample: bytes, encoding: str) -> float | None:
    """Share of double-byte characters that belong to the everyday part of ``encoding``; None when invalid.

    GB 2312 level 1 (3,755 hanzi, lead bytes B0 to D7) and Big5 level 1 (5,401 hanzi, A4 to C6) were picked by
    frequency, and the punctuation rows precede them in both. Text read in the wrong one of the two lands in
    the rare rows or, in GBK, in extension cells with a trail byte below A1.
    """
    if _decode(sample, encoding) is None:
        return None
    common = total = i = 0
    while i < len(sample) - 1:
        lead, trail = sample[i], sample[i + 1]
        if lead < 0x80:
            i += 1
            continue
        total += 1
        if encoding == "gb18030":
            common += trail >= 0xA1 and (0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3)
        else:
            common += 0xA4 <= lead <= 0xC6 or (lead in (0xA1, 0xA2) and trail < 0xA1)
        i += 2
    return common / total if total else None
