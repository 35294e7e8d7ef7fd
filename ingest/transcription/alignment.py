"""Edit alignment of two readings of the same page, whichever order each reads the page in.

One pass finds the longest common subsequence (bit-parallel, after Hyyrö 2004, as rapidfuzz has it) and keeps its
dense stretches: all maximal scoring subsequences in linear time (Ruzzo and Tompa 1999), where a common character
scores +1 and any other −1. Single characters that happen to be in order are so left out. Text that one reading has
elsewhere cannot be in order with the rest, so what is left is aligned again, until nothing more is found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

_PASSES = 12
"""Columns and boxes that two readers take in another order; each pass brings a good part of the rest."""
_SCORE = 4.0
"""Least score of a stretch: four common characters more than others."""
_SMALL = 0.8
"""Of a text so short that no stretch could reach that score: the share of it that is enough."""
_LEFT_END, _RIGHT_END = "\ufdd0", "\ufdd1"
"""Noncharacters that stand between stretches that are not neighbours; equal to nothing."""
_LEADERS = re.compile(r"([^\w\s])\1{2,}")
_FORMS = str.maketrans(
    {
        **dict.fromkeys("“”„‟「」『』〝〞‘’‚‛`´′″", '"'),
        "'": '"',
        **dict.fromkeys("‐‑‒–—―−─", "-"),
        **dict.fromkeys("・•‧∙⋅●", "·"),
        **dict.fromkeys("。．", "."),
        **dict.fromkeys("、﹐", ","),
        **dict.fromkeys("【〔〖", "["),
        **dict.fromkeys("】〕〗", "]"),
        **dict.fromkeys("～〜∼", "~"),
    }
)


class Run(NamedTuple):
    """Left ``[left, left_end)`` stands for right ``[right, right_end)``; one of them may be empty."""

    left: int
    left_end: int
    right: int
    right_end: int
    same: bool
    """Whether both say the same, character by character."""


Chain = tuple[Run, ...]
"""Runs that follow each other without a gap on either side: same and different in turn, same at both ends.

But for leaders, no different run has more than three characters on a side."""


def align(left: str, right: str) -> list[Chain]:
    """The stretches that two texts have in common, in the order of ``left``.

    Characters are compared by their forms (width, case, kinds of quotes and dashes); a character of either text is
    in at most one run. Texts of 3,000 characters take milliseconds. Leaders and rules are passed over: they stand in
    as many places as there are.
    """
    lefts, rights = _places(left), _places(right)
    found = _chains("".join(left[i] for i in lefts), "".join(right[i] for i in rights))
    return [tuple(_expanded(chain, lefts, rights)) for chain in found]


def _places(text: str) -> list[int]:
    """Of all characters but leaders and rules."""
    passed = {i for dots in _LEADERS.finditer(text) for i in range(*dots.span())}
    return [i for i in range(len(text)) if i not in passed]


def _expanded(chain: Chain, lefts: Sequence[int], rights: Sequence[int]) -> Iterator[Run]:
    """``chain`` in places of the whole texts, with what was passed over inside of it."""
    end, right_end = lefts[chain[0].left], rights[chain[0].right]
    for run in chain:
        if not run.same:
            continue
        for i, j in zip(range(run.left, run.left_end), range(run.right, run.right_end), strict=True):
            if (end, right_end) != (lefts[i], rights[j]):
                yield Run(end, lefts[i], right_end, rights[j], same=False)
            end, right_end = lefts[i] + 1, rights[j] + 1
            yield Run(lefts[i], end, rights[j], right_end, same=True)


def _chains(left: str, right: str) -> list[Chain]:
    ours, theirs = _Text(left, _LEFT_END), _Text(right, _RIGHT_END)
    needed = min(_SCORE, _SMALL * len(left), _SMALL * len(right))
    chains: list[Chain] = []
    for _ in range(_PASSES):
        found = [chain for chain in _dense(_common(ours, theirs)) if _score(chain) >= needed]
        if not found:
            break
        parts = [part for chain in found for part in _parted(chain)]
        for chain in parts:
            ours.take(chain[0].left, chain[-1].left_end)
            theirs.take(chain[0].right, chain[-1].right_end)
        chains.extend(_grown(chain, ours, theirs) for chain in parts)
    return sorted(chains)


class _Text:
    """One reading, and which of its characters are aligned."""

    def __init__(self, text: str, end: str) -> None:
        self.forms = "".join(map(_form, text))
        self._end = end
        self._taken = bytearray(len(text))

    def take(self, start: int, end: int) -> None:
        self._taken[start:end] = b"\1" * (end - start)

    def is_free(self, place: int) -> bool:
        return 0 <= place < len(self.forms) and not self._taken[place]

    def rest(self) -> tuple[str, list[int]]:
        """What is not aligned yet, neighbours parted by a seam, and the place of each character."""
        parts: list[str] = []
        places: list[int] = []
        for place, char in enumerate(self.forms):
            if self._taken[place]:
                continue
            if places and places[-1] != place - 1:
                parts.append(self._end)
                places.append(-1)
            parts.append(char)
            places.append(place)
        return "".join(parts), places


@lru_cache(maxsize=65536)
def _form(char: str) -> str:
    """The form in which a character is compared; always one character."""
    plain = unicodedata.normalize("NFKC", char.translate(_FORMS)).casefold().translate(_FORMS)
    return plain if len(plain) == 1 else char


def _common(ours: _Text, theirs: _Text) -> list[list[Run]]:
    """Runs of the longest common subsequence of what is not aligned, parted where either reading has a seam."""
    (left, lefts), (right, rights) = ours.rest(), theirs.rest()
    sections: list[list[Run]] = []
    before = -1, -1
    for code in LCSseq.opcodes(left, right):
        if code.tag != "equal":
            continue
        i, j = code.src_start, code.dest_start
        length = code.src_end - i
        run = Run(lefts[i], lefts[i] + length, rights[j], rights[j] + length, same=True)
        if not sections or -1 in lefts[before[0] : i] or -1 in rights[before[1] : j]:
            sections.append([])
        sections[-1].append(run)
        before = code.src_end, code.dest_end
    return sections


def _dense(sections: Iterable[Sequence[Run]]) -> Iterator[Chain]:
    """The maximal scoring stretches of each section, with what differs between their runs."""
    for runs in sections:
        for start, end in _maximal([_length(run) for run in runs], [_gap(a, b) for a, b in pairwise(runs)]):
            yield _filled(runs[start:end])


def _maximal(gains: Sequence[int], losses: Sequence[int]) -> list[tuple[int, int]]:
    """Ruzzo and Tompa's maximal subsequences of ``gains[0] − losses[0] + gains[1] − …``, as ranges of ``gains``."""
    found: list[tuple[int, int, int, int]] = []  # first, end, sum before it, sum with it
    total = 0
    for n, gain in enumerate(gains):
        start, before, total = n, total, total + gain
        while True:
            j = next((j for j in range(len(found) - 1, -1, -1) if found[j][2] < before), None)
            if j is None or found[j][3] >= total:
                break
            start, before = found[j][0], found[j][2]
            del found[j:]
        found.append((start, n + 1, before, total))
        total -= losses[n] if n < len(losses) else 0
    return [(start, end) for start, end, _, _ in found]


def _length(run: Run) -> int:
    return run.left_end - run.left


def _gap(a: Run, b: Run) -> int:
    return max(b.left - a.left_end, b.right - a.right_end)


def _score(chain: Chain) -> int:
    same = sum(_length(run) for run in chain if run.same)
    return same - sum(max(_length(run), run.right_end - run.right) for run in chain if not run.same)


def _filled(runs: Sequence[Run]) -> Chain:
    chain = [runs[0]]
    for run in runs[1:]:
        chain.append(Run(chain[-1].left_end, run.left, chain[-1].right_end, run.right, same=False))
        chain.append(run)
    return tuple(chain)


def _parted(chain: Chain) -> Iterator[Chain]:
    """``chain`` less its longer gaps, which may stand elsewhere in the other reading."""
    start = 0
    for n, run in enumerate(chain):
        if not run.same and max(_length(run), run.right_end - run.right) >= _SCORE:
            yield chain[start:n]
            start = n + 1
    yield chain[start:]


def _grown(chain: Chain, ours: _Text, theirs: _Text) -> Chain:
    """``chain`` with the free equal characters at its ends, which the subsequence may have used elsewhere."""
    first, last = chain[0], chain[-1]
    while _is_common(ours, theirs, first.left - 1, first.right - 1):
        first = first._replace(left=first.left - 1, right=first.right - 1)
        ours.take(first.left, first.left + 1)
        theirs.take(first.right, first.right + 1)
    chain = (first, *chain[1:])
    last = chain[-1]
    while _is_common(ours, theirs, last.left_end, last.right_end):
        ours.take(last.left_end, last.left_end + 1)
        theirs.take(last.right_end, last.right_end + 1)
        last = last._replace(left_end=last.left_end + 1, right_end=last.right_end + 1)
    return (*chain[:-1], last)


def _is_common(ours: _Text, theirs: _Text, left: int, right: int) -> bool:
    free = ours.is_free(left) and theirs.is_free(right)
    return free and ours.forms[left] == theirs.forms[right]
