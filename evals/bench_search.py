"""How long a query takes on many pages: ``python -m evals.bench_search [--pages 5000]``.

The pages are invented: words of two or three characters drawn by Zipf's law, always the same ones. Their sparse
vectors come from the real encoder; their dense vectors are random unit vectors unless ``--dense real`` is given,
because encoding takes much longer than it tells about queries. Queries are words of a page, encoded by the real
encoders in any case. The index is the real one, on disk.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid5

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from evals.metrics import percentile
from evals.render import wide_console
from retrieval.base import Encoders, Filter, IndexPoint, PageIndex, PointPayload, Vector
from retrieval.encoders import build_encoders
from retrieval.fields import DENSE, IMAGE, PAGE, SPARSE, vector_fields
from retrieval.index import open_index
from retrieval.search import SearchQuery, floors, fuse, plan
from tuwen.settings import SearchSettings, Settings, load_settings
from tuwen.types import HitKind

_SEED = 20261101
_VOCABULARY = 30_000
_PASSAGES = 3
"""A page."""
_WORDS = 110
"""A passage; about 250 characters."""
_PAGES_A_DOCUMENT = 50
_BATCH = 64
_IDS = UUID("6b0f6a86-5a0a-5b8e-8a53-62656e636831")


class Corpus(NamedTuple):
    """Invented pages: word numbers, shape (pages, passages, words)."""

    words: tuple[str, ...]
    draws: np.ndarray[tuple[int, int, int], np.dtype[np.int64]]

    def passage(self, page: int, number: int) -> str:
        """Text of a passage."""
        return "".join(self.words[n] for n in self.draws[page, number])

    def question(self, page: int, rng: np.random.Generator) -> str:
        """A few words that stand on the page."""
        return "".join(self.words[n] for n in rng.choice(self.draws[page].ravel(), 6, replace=False))


def make_corpus(pages: int) -> Corpus:
    """The same pages every time."""
    rng = np.random.default_rng(_SEED)
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 3500)]
    lengths = rng.choice((2, 2, 2, 3), _VOCABULARY)
    words = tuple("".join(rng.choice(characters, length)) for length in lengths)
    weights = 1 / np.arange(1, _VOCABULARY + 1)
    draws = rng.choice(_VOCABULARY, (pages, _PASSAGES, _WORDS), p=weights / weights.sum())
    return Corpus(words, draws)


class _Timing(NamedTuple):
    encode: float
    search: float
    rest: float


class SearchFigures(BaseModel):
    """Milliseconds of a query, by part."""

    model_config = ConfigDict(frozen=True)

    state: str
    pages: int
    points: int
    queries: int
    found_first: float
    """Share of the queries whose page came first: shows that the search works, no measure of quality."""
    p50_ms: dict[str, float]
    p95_ms: dict[str, float]


def points(corpus: Corpus, encoders: Encoders, dense: str) -> Iterator[list[IndexPoint]]:
    """Points of all pages, some pages at a time."""
    rng = np.random.default_rng(_SEED + 1)
    total = len(corpus.draws)
    for start in range(0, total, _BATCH):
        pages = range(start, min(start + _BATCH, total))
        texts = [corpus.passage(page, number) for page in pages for number in range(_PASSAGES)]
        whole = ["\n".join(texts[n : n + _PASSAGES]) for n in range(0, len(texts), _PASSAGES)]
        sparse = encoders.sparse.encode_texts([*texts, *whole], "passage")
        meaning = encoders.dense.encode_texts(texts, "passage") if dense == "real" else _random(rng, encoders, texts)
        pictures = _unit(rng, len(whole), encoders.image.description.dimension or 1)
        batch = []
        for place, page in enumerate(pages):
            vectors = {PAGE: sparse[len(texts) + place], IMAGE: pictures[place]}
            batch.append(_point(page, HitKind.IMAGE, page + 1, vectors))
            for number in range(_PASSAGES):
                n = place * _PASSAGES + number
                ordinal = (page % _PAGES_A_DOCUMENT) * _PASSAGES + number
                batch.append(_point(page, HitKind.TEXT, ordinal, {DENSE: meaning[n], SPARSE: sparse[n]}))
        yield batch


def _point(page: int, kind: HitKind, ordinal: int, vectors: dict[str, Vector]) -> IndexPoint:
    document, number = f"document-{page // _PAGES_A_DOCUMENT}", page % _PAGES_A_DOCUMENT + 1
    payload = PointPayload(
        tenant="default",
        collection="default",
        document_id=document,
        page=number,
        pages=(number,),
        kind=kind,
        ordinal=ordinal,
    )
    return IndexPoint(uuid5(_IDS, f"{page}/{kind}/{ordinal}"), vectors, payload)


def _random(rng: np.random.Generator, encoders: Encoders, texts: Sequence[str]) -> list[Vector]:
    return list(_unit(rng, len(texts), encoders.dense.description.dimension or 1))


def _unit(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def ask(
    corpus: Corpus, encoders: Encoders, index: PageIndex, settings: SearchSettings, queries: int, state: str
) -> SearchFigures:
    """Time ``queries`` searches, one after the other, after three that warm up."""
    rng = np.random.default_rng(_SEED + 2)
    pages = [int(page) for page in rng.integers(0, len(corpus.draws), queries + 3)]
    timings, first = [], 0
    where = Filter(tenant="default", collection="default")
    for number, page in enumerate(pages):
        request = SearchQuery(corpus.question(page, rng), None, where)
        began = time.perf_counter()
        planned = plan(request, encoders, settings)
        encoded = time.perf_counter()
        results = index.query(planned)
        searched = time.perf_counter()
        hits = fuse(dict(zip((query.field for query in planned), results, strict=True)), settings, floors(encoders))
        hits = hits[: request.top_k]
        fused = time.perf_counter()
        if number >= 3:
            timings.append(_Timing(encoded - began, searched - encoded, fused - searched))
            place = (f"document-{page // _PAGES_A_DOCUMENT}", page % _PAGES_A_DOCUMENT + 1)
            first += bool(hits) and (hits[0].document_id, hits[0].page) == place
    return SearchFigures(
        state=state,
        pages=len(corpus.draws),
        points=index.count(),
        queries=queries,
        found_first=first / queries,
        p50_ms=_summary(timings, 50),
        p95_ms=_summary(timings, 95),
    )


def _summary(timings: Sequence[_Timing], percent: float) -> dict[str, float]:
    parts = {name: [getattr(timing, name) * 1000 for timing in timings] for name in _Timing._fields}
    parts["total"] = [sum(timing) * 1000 for timing in timings]
    return {name: percentile(values, percent) for name, values in parts.items()}


def run(arguments: argparse.Namespace, settings: Settings, home: Path, console: Console) -> list[SearchFigures]:
    """Build the index and ask, before and after it is optimised."""
    corpus = make_corpus(arguments.pages)
    encoders = build_encoders(settings.encoders, home)
    index = open_index(settings.index, home / "index", vector_fields(encoders))
    try:
        began = time.perf_counter()
        written = sum(index.upsert(batch) for batch in points(corpus, encoders, arguments.dense))
        console.print(f"{written} points encoded and written in {time.perf_counter() - began:.1f} s")
        figures = [ask(corpus, encoders, index, settings.search, arguments.queries, "as written")]
        began = time.perf_counter()
        index.optimize()
        console.print(f"optimised in {time.perf_counter() - began:.1f} s")
        figures.append(ask(corpus, encoders, index, settings.search, arguments.queries, "optimised"))
    finally:
        index.close()
    return figures


def print_table(figures: Sequence[SearchFigures], console: Console) -> None:
    """One row a state of the index."""
    title = f"{figures[0].pages} invented pages, {figures[0].points} points, {figures[0].queries} queries; p50 / p95 ms"
    table = Table(title=title)
    table.add_column("index")
    for name in (*_Timing._fields, "total"):
        table.add_column(name, justify="right")
    for one in figures:
        table.add_row(one.state, *(f"{one.p50_ms[name]:.1f} / {one.p95_ms[name]:.1f}" for name in one.p50_ms))
    console.print(table)


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_search", description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=5000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--dense", choices=("random", "real"), default="random", help="dense vectors of the pages")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuwen-bench-") as folder:
        figures = run(arguments, load_settings(), Path(folder), Console(stderr=True))
    if arguments.json:
        arguments.json.write_text(json.dumps([one.model_dump() for one in figures], indent=1), "utf-8")
    print_table(figures, wide_console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
