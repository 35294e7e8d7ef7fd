"""Which printed lines of a passage made it match: what a hit highlights."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.lexical import analyze, query_weights
from tuwen.types import Box, PageRecord, Passage, is_cjk

_SHARE = 0.5
"""A line is shown when it weighs at least this share of the best line."""


def matched_boxes(query: str, record: PageRecord, passage: Passage) -> tuple[Box, ...]:
    """Boxes of the lines of ``passage`` on ``record``'s page that hold the query's terms.

    Lines are weighed by the query terms in them; when none holds any (a match by meaning alone), all lines
    of the passage on this page are given. A passage without words is about its figures, or the page.
    """
    indices = [i for span in passage.spans if span.page == record.page for i in range(span.start, span.end)]
    if not indices:
        spans = {(span.start, span.end) for span in passage.spans if span.page == record.page}
        described = (block.box for block in record.blocks if block.caption and tuple(block.words) in spans)
        return tuple(described) or (Box(0, 0, 1, 1),)
    lines: dict[int, list[int]] = {}
    for i in indices:
        lines.setdefault(record.words[i].line, []).append(i)
    weights = query_weights(query)
    scores = {line: _weight(record, words, weights) for line, words in lines.items()}
    best = max(scores.values(), default=0.0)
    chosen = [i for line, words in lines.items() if not best or scores[line] >= _SHARE * best for i in words]
    return record.line_boxes(chosen)


def _weight(record: PageRecord, words: list[int], weights: dict[str, float]) -> float:
    terms = set(analyze(_joined([record.words[i].text for i in words])))
    return sum(weight for term, weight in weights.items() if term in terms)


def _joined(words: Sequence[str]) -> str:
    """The line as it is printed: words of other scripts parted by a space, ideographs by none."""
    text = ""
    for word in words:
        # Without the space "annual leave" would be one term, and the cells "3" and "10,000" one number.
        parted = text and word and not is_cjk(text[-1]) and not is_cjk(word[0])
        text += f" {word}" if parted else word
    return text
