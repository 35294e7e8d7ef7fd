"""How well sentences are told from inventions: ``python -m evals.check_support DATASET_DIR [--questions N]``.

Makes sentences of the questions of a dataset by putting an answer in the place of the question word, and looks for
their support on a page, as :mod:`retrieval.answerers.support` does for what a model writes. Right answers on the page
that holds them should have one; on another page, or with the answer to another question of the same kind, none.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from evals.dataset import PageRef, Query, load_dataset
from ingest.base import word_spans
from retrieval.answerers.question import analyze_question, with_answer
from retrieval.answerers.replies import Sentence
from retrieval.answerers.support import Supporter
from retrieval.base import Evidence
from tuwen.types import Block, BlockKind, Box, PageRecord, Word, WordSpan

CASES = ("right answer", "the answer alone", "another page", "another answer", "another answer alone")
"""The first two should have support."""

_PLACE = Box(0, 0, 1, 1)


def page_of(text: str) -> PageRecord:
    """A page with one block a line; where its words stand plays no part here."""
    words: list[Word] = []
    blocks: list[Block] = []
    for line in filter(str.strip, text.split("\n")):
        first = len(words)
        words += [Word(text=line[start:end], box=_PLACE) for start, end in word_spans(line)]
        span = WordSpan(first, len(words))
        blocks.append(Block(kind=BlockKind.TEXT, order=len(blocks), box=_PLACE, text=line, words=span))
    return PageRecord(page=1, width=595, height=842, blocks=tuple(blocks), words=tuple(words))


def check(query: Query, others: Sequence[Query], pages: dict[PageRef, str], chance: random.Random) -> list[bool | None]:
    """Whether each of :data:`CASES` has support; None where there is nothing to try it with."""
    asked, answer, page = query.question, query.answers[0], query.relevant[0]
    kind = analyze_question(asked).kind
    strange = [text for text in pages.values() if answer not in text]
    wrong = [
        other.answers[0]
        for other in others
        if analyze_question(other.question).kind is kind and other.answers[0] not in pages[page]
    ]
    tried: list[tuple[str, str] | None] = [(with_answer(asked, answer), pages[page]), (answer, pages[page])]
    tried.append((with_answer(asked, answer), chance.choice(strange)) if strange else None)
    invented = chance.choice(wrong) if wrong else None
    tried += [
        (said, pages[page]) if invented else None for said in (with_answer(asked, invented or ""), invented or "")
    ]
    return [_has_support(asked, *one) if one else None for one in tried]


def _has_support(question: str, said: str, text: str) -> bool:
    evidence = Evidence("d", "d.pdf", page_of(text), (), 1.0, {})
    return Supporter(question, [evidence]).find(Sentence(said, (1,))) is not None


def main() -> None:
    """Print a table of shares."""
    parser = argparse.ArgumentParser(prog="python -m evals.check_support", description="Sentences and inventions.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset)
    pages = {PageRef(file=item.file, page=item.page): item.text for item in dataset.ocr if item.match == "full"}
    queries = [query for query in dataset.queries if query.answers and query.relevant and query.relevant[0] in pages]
    chance = random.Random(1)
    chance.shuffle(queries)
    queries = queries[: arguments.questions]
    outcomes = [check(query, queries, pages, chance) for query in queries]
    table = Table("sentence", "has support", "of")
    for case, results in zip(CASES, zip(*outcomes, strict=True), strict=True):
        known = [result for result in results if result is not None]
        table.add_row(case, str(sum(known)), str(len(known)))
    Console().print(table)


if __name__ == "__main__":
    main()
