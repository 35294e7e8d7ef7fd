"""Refusals near the topic: ``python -m evals.near_topic DATASET_DIR``.

Asks the answerable questions of a dataset. Some as if the pages that hold their answers were not in the index: what is
left is about the nearest other subjects, so that the right outcome is a refusal, or the answer from another page
that holds it too. The rest as they are: what is refused of these, is refused wrongly. Nothing is read again, since the
pages are hidden from the query and not deleted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from evals import measure
from evals.dataset import Query, load_dataset
from evals.measure import Corpus, Place
from evals.metrics import containment
from evals.results import Value, value
from evals.run import chosen, default_home
from retrieval.base import Filter, PageIndex, Scored, VectorQuery
from tuwen.engine import Tuwen
from tuwen.errors import TuwenError
from tuwen.settings import Settings, load_settings

_SPARE = 20
"""Further points that are asked for, in the place of those of hidden pages."""


class WithoutPages:
    """The part of an index that questions need, with some pages that cannot be found."""

    def __init__(self, index: PageIndex, hidden: Iterable[Place]) -> None:
        self._index = index
        self._hidden = frozenset(hidden)

    def query(self, queries: Sequence[VectorQuery]) -> list[list[Scored]]:
        """As the index answers, hidden pages left out; a passage that runs over pages stays on its other ones."""
        wider = [query._replace(limit=query.limit + _SPARE) for query in queries]
        found = self._index.query(wider)
        return [[*self._visible(points)][: query.limit] for query, points in zip(queries, found, strict=True)]

    def _visible(self, points: Iterable[Scored]) -> Iterable[Scored]:
        for point in points:
            document = point.payload.document_id
            pages = tuple(page for page in point.payload.pages if (document, page) not in self._hidden)
            if pages:
                yield point._replace(payload=point.payload.model_copy(update={"pages": pages}))

    def count(self, where: Filter | None = None) -> int:
        """As the index counts, hidden pages included."""
        return self._index.count(where)


class Outcome(BaseModel):
    """One question and what came of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str
    hidden: bool
    """Whether the pages that hold its answer were hidden."""
    refused: bool
    right: bool
    """Whether the answer holds a gold string; of a hidden question, from another page."""
    answer: str


class Summary(NamedTuple):
    """Shares of the questions."""

    held: Value
    """Of the hidden ones: refused, or answered from another page that holds the answer."""
    refused: Value
    """Of the hidden ones: refused."""
    false_refusals: Value
    """Of the others: refused."""
    contained: Value
    """Of the others: the answer holds a gold string."""


@contextmanager
def hiding(engine: Tuwen, pages: Iterable[Place]) -> Iterator[None]:
    """Ask as if ``pages`` were not in the index."""
    index = engine.parts.index
    engine.parts.index = cast(PageIndex, WithoutPages(index, pages))
    try:
        yield
    finally:
        engine.parts.index = index


def ask(engine: Tuwen, corpus: Corpus, query: Query, *, hidden: bool) -> Outcome:
    """Ask one question, with or without the pages that hold its answer."""
    with hiding(engine, corpus.places(query.relevant) if hidden else ()):
        answer = engine.ask(query.question)
    text = "" if answer.refused else measure.plain(answer)
    right = bool(containment(query.answers, text, simplified=True))
    return Outcome(
        id=query.id, question=query.question, hidden=hidden, refused=answer.refused, right=right, answer=text
    )


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Shares with bootstrap intervals over the questions."""
    hidden = [one for one in outcomes if one.hidden]
    others = [one for one in outcomes if not one.hidden]
    return Summary(
        held=value(float(one.refused or one.right) for one in hidden),
        refused=value(float(one.refused) for one in hidden),
        false_refusals=value(float(one.refused) for one in others),
        contained=value(float(one.right) for one in others),
    )


def measure_set(folder: Path, settings: Settings, home: Path, count: int) -> list[Outcome]:
    """Ask ``count`` questions, drawn at random, without their pages, and the others with them.

    Raises:
        TuwenError: a bad dataset, a locked data directory, a missing model.
    """
    dataset = load_dataset(folder)
    asked = [query for query in dataset.queries if query.answerable and query.answers and query.question.strip()]
    hidden = {query.id for query in chosen(asked, None, count)}
    with Tuwen.open(settings, home) as engine:
        corpus = measure.ingest(engine, dataset, dataset.files, lambda _: None)
        return [ask(engine, corpus, query, hidden=query.id in hidden) for query in asked]


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.near_topic", description="Measure refusals near the topic.")
    parser.add_argument("dataset", type=Path, help="folder with documents/ and queries.jsonl")
    parser.add_argument("--home", type=Path, help="data directory (default: the one of evals.run)")
    parser.add_argument("--count", type=int, default=200, help="questions whose pages are hidden")
    parser.add_argument("--json", type=Path, help="write every question's outcome here, a line each")
    arguments = parser.parse_args()
    home = arguments.home or default_home(arguments.dataset)
    try:
        outcomes = measure_set(arguments.dataset, load_settings(), home, arguments.count)
    except TuwenError as error:
        Console(stderr=True).print(f"[red]{error.message}[/red]")
        return error.exit_code
    if arguments.json:
        arguments.json.write_text("".join(f"{one.model_dump_json()}\n" for one in outcomes), "utf-8")
    _print(arguments.dataset.name, summarise(outcomes))
    return 0


def _print(name: str, summary: Summary) -> None:
    table = Table("metric", "mean", "95 %", "questions", title=name)
    for metric, one in zip(Summary._fields, summary, strict=True):
        interval = f"{one.low:.4f} to {one.high:.4f}" if one.low is not None else ""
        table.add_row(metric, f"{one.mean:.4f}" if one.mean is not None else "", interval, str(one.n))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
