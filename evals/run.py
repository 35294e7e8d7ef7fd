"""Measure a dataset: ``python -m evals.run DATASET_DIR``.

Takes in the dataset's documents (into a data directory of its own that is kept, so that nothing is read twice),
measures OCR, page retrieval and answers as far as the dataset has the parts, prints one table and writes one JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from evals import measure, render
from evals.dataset import Dataset, load_dataset
from evals.results import Report, by_tag, changes, summarise_answers, summarise_ocr, summarise_retrieval
from tuwen import __version__
from tuwen.engine import Tuwen
from tuwen.errors import InvalidRequestError, TuwenError
from tuwen.jobs import IngestEvent
from tuwen.settings import Settings, load_settings

PARTS = ("ocr", "retrieval", "answers")
_T = TypeVar("_T")
_R = TypeVar("_R")


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments of the command."""
    parser = argparse.ArgumentParser(prog="python -m evals.run", description="Measure a dataset (DESIGN section 7).")
    parser.add_argument("dataset", type=Path, help="folder with documents/, ocr.jsonl, queries.jsonl")
    parser.add_argument("--home", type=Path, help="data directory (default: one a dataset below the user's cache)")
    parser.add_argument("--config", type=Path, help="settings file (default: as `tuwen` finds it)")
    parser.add_argument("--only", type=_parts, default=PARTS, help="comma-separated: ocr, retrieval, answers")
    parser.add_argument("--limit", type=int, help="the first N items of each part only")
    parser.add_argument("--sample", type=int, help="N items of each part, drawn at random, the same ones every time")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--compare", type=Path, help="an earlier report: print differences and changed questions")
    return parser.parse_args(arguments)


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    if not set(parts) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(PARTS)}")
    return parts


def default_home(dataset: Path) -> Path:
    """Where a dataset's documents are kept between runs."""
    key = hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:8]
    return user_cache_path("tuwen-evals") / f"{dataset.resolve().name}-{key}"


def chosen(items: Sequence[_T], limit: int | None, sample: int | None) -> list[_T]:
    """The items to measure, in their order; the same sample for the same items."""
    picked = list(items)
    if sample is not None and sample < len(picked):
        picked = [picked[n] for n in sorted(random.Random(0).sample(range(len(picked)), sample))]
    return picked[:limit]


def run(arguments: argparse.Namespace, settings: Settings, console: Console) -> Report:
    """Ingest and measure.

    Raises:
        TuwenError: a bad dataset, a locked data directory, a missing model.
    """
    dataset = load_dataset(arguments.dataset)
    ocr = chosen(dataset.ocr, arguments.limit, arguments.sample) if "ocr" in arguments.only else []
    queries = chosen(dataset.queries, arguments.limit, arguments.sample) if set(arguments.only) - {"ocr"} else []
    files = dataset.files if queries else tuple(dict.fromkeys(item.file for item in ocr))
    home = arguments.home or default_home(arguments.dataset)
    with Tuwen.open(settings, home) as engine:
        began = time.perf_counter()
        corpus = _ingest(engine, dataset, files, console)
        ingest_s = time.perf_counter() - began
        ocr_items = _each(console, "ocr", ocr, lambda item: measure.measure_ocr(engine, corpus, item))
        asked = [query for query in queries if query.answerable] if "retrieval" in arguments.only else []
        ranked = _each(console, "retrieval", asked, lambda query: measure.measure_retrieval(engine, corpus, query))
        # Questions without answers (page relevance only) have nothing to score an answer with.
        open_questions = [query for query in queries if query.answers or not query.answerable]
        wanted = open_questions if "answers" in arguments.only else []
        answered = _each(console, "answers", wanted, lambda query: measure.measure_answer(engine, corpus, query))
    return Report(
        dataset=dataset.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tuwen_version=__version__,
        preset=settings.preset,
        settings=settings.model_dump(mode="json"),
        command=shlex.join(["python", "-m", "evals.run", *sys.argv[1:]]),
        ingest_s=ingest_s,
        documents=len(files),
        failed_documents=corpus.failed,
        ocr=by_tag(ocr_items, summarise_ocr),
        retrieval=by_tag(ranked, summarise_retrieval),
        answers=by_tag(answered, summarise_answers),
        ocr_items=tuple(ocr_items),
        retrieval_items=tuple(ranked),
        answer_items=tuple(answered),
    )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _ingest(engine: Tuwen, dataset: Dataset, files: Sequence[str], console: Console) -> measure.Corpus:
    with _progress(console) as progress:
        task = progress.add_task("ingest", total=None)

        def show(event: IngestEvent) -> None:
            progress.update(task, description=f"{event.stage} {event.name}", completed=event.done, total=event.total)

        return measure.ingest(engine, dataset, files, show)


def _each(console: Console, name: str, items: Sequence[_T], measured: Callable[[_T], _R]) -> list[_R]:
    with _progress(console) as progress:
        return [measured(item) for item in progress.track(items, description=name)]


def _earlier(path: Path | None) -> Report | None:
    if path is None:
        return None
    try:
        return Report.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise InvalidRequestError(f"{path}: not a report of evals.run: {error}") from error


def main() -> int:
    """Run from the command line; the exit code."""
    arguments = parse_args()
    console = Console(stderr=True)
    try:
        earlier = _earlier(arguments.compare)
        report = run(arguments, load_settings(arguments.config), console)
    except TuwenError as error:
        console.print(f"[red]{error.message}[/red]")
        return error.exit_code
    if arguments.json:
        arguments.json.write_text(report.model_dump_json(indent=1), "utf-8")
    out = render.wide_console()
    render.print_report(report, earlier, out)
    if earlier is not None:
        render.print_changes(changes(earlier, report), out)
    return 1 if report.failed_documents else 0


if __name__ == "__main__":
    sys.exit(main())
