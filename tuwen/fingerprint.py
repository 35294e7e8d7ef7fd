"""Fingerprints: short stable hashes of what a stage's result depends on (DESIGN section 2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
"""What a part may be made of; anything else is a TypeError, so that no ``repr`` with an address slips in."""


def fingerprint(**parts: Json) -> str:
    """Hash named parts, such as model id, revision, prompt and parameters, to 16 hexadecimal digits.

    The hash is BLAKE2b (64 bits) of the parts as canonical JSON: keys sorted at every level, no white space,
    non-ASCII characters as they are, UTF-8. It is the same in every process, on every machine and in every
    Python version. Order of keyword arguments does not matter, order of lists does; ``1``, ``1.0`` and
    ``True`` differ.

    >>> fingerprint(model="PP-OCRv6", dpi=200)
    '2909478401900fd0'

    Raises:
        TypeError: a part is not JSON.
        ValueError: a part is NaN or infinite, or a string is not valid Unicode.
    """
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode("utf-8"), digest_size=8).hexdigest()
