"""Fit the extractive answerer: ``python -m evals.fit_answers DATASET_DIR [--write]``.

Takes in the dataset's documents (into the data directory that ``evals.run`` uses), asks every question, fits ranking,
refusal and length, and prints what the numbers reach on documents that they were not fitted on. ``--write``
replaces the numbers that the answerer ships. ``--test`` measures them, fitted on the first set, on others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import retrieval.answerers
from evals import measure
from evals.dataset import load_dataset
from evals.fitting import CrossValidation, Observation, cross_validate, evaluate, fit, observe
from evals.near_topic import hiding
from evals.run import default_home
from retrieval.answerers.calibration import FILE
from retrieval.base import ALONE, Dialogue, Draft, Encoder, Evidence, Role, Vector
from tuwen.engine import Tuwen
from tuwen.errors import TuwenError
from tuwen.settings import Settings, load_settings


class _Listener:
    """An answerer that keeps the evidence and answers nothing."""

    def __init__(self) -> None:
        self.evidence: Sequence[Evidence] = ()

    def answer(self, _question: str, evidence: Sequence[Evidence], _dialogue: Dialogue = ALONE, /) -> Draft:
        self.evidence = evidence
        return Draft((), 0.0)


class _Remembering:
    """An encoder that encodes no text twice: questions about one page share their sentences."""

    def __init__(self, encoder: Encoder) -> None:
        self.description = encoder.description
        self.encode_images = encoder.encode_images
        self.count_tokens = encoder.count_tokens
        self._encode = encoder.encode_texts
        self._known: dict[tuple[str, Role], Vector] = {}

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        new = [text for text in dict.fromkeys(texts) if (text, role) not in self._known]
        self._known.update(zip([(text, role) for text in new], self._encode(new, role), strict=True))
        return [self._known[text, role] for text in texts]


def observations(folder: Path, settings: Settings, home: Path | None = None) -> list[Observation]:
    """Every question of a dataset that has answers or none at all, with the evidence that the engine finds.

    Raises:
        TuwenError: a bad dataset, a locked data directory, a missing model.
    """
    dataset = load_dataset(folder)
    listener = _Listener()
    found: list[Observation] = []
    elsewhere: Sequence[Evidence]
    with Tuwen.open(settings, home or default_home(folder)) as engine:
        corpus = measure.ingest(engine, dataset, dataset.files, lambda _: None)
        engine.parts.answerer = listener
        encoder = _Remembering(engine.parts.encoders.dense)
        for query in dataset.queries:
            if query.question.strip() and (query.answers or not query.answerable):
                relevant = corpus.places(query.relevant)
                engine.ask(query.question)
                evidence, elsewhere = listener.evidence, ()
                if relevant:
                    with hiding(engine, relevant):
                        engine.ask(query.question)
                    elsewhere = listener.evidence
                found.append(observe(query, evidence, relevant, encoder, elsewhere))
    return found


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.fit_answers", description="Fit the extractive answerer.")
    parser.add_argument("dataset", type=Path, help="folder to fit on")
    parser.add_argument("--test", type=Path, nargs="*", default=[], help="folders to measure the result on")
    parser.add_argument("--home", type=Path, help="data directory of the dataset to fit on")
    parser.add_argument("--write", action="store_true", help="replace the numbers that the answerer ships")
    arguments = parser.parse_args()
    try:
        _run(arguments)
    except TuwenError as error:
        Console(stderr=True).print(f"[red]{error.message}[/red]")
        return error.exit_code
    return 0


def _run(arguments: argparse.Namespace) -> None:
    settings = load_settings()
    limit = settings.answer.max_chars
    seen = observations(arguments.dataset, settings, arguments.home)
    calibration = fit(seen, limit)
    rows = {
        f"{arguments.dataset.name}, cross-validated": cross_validate(seen, limit),
        f"{arguments.dataset.name}, fitted": evaluate(seen, calibration, limit),
    }
    for folder in arguments.test:
        rows[folder.name] = evaluate(observations(folder, settings), calibration, limit)
    _print(rows)
    if arguments.write:
        text = calibration.model_dump_json(indent=1) + "\n"
        (Path(retrieval.answerers.__path__[0]) / FILE).write_text(text, "utf-8")


def _print(rows: dict[str, CrossValidation]) -> None:
    table = Table("set", *CrossValidation._fields)
    for name, row in rows.items():
        table.add_row(name, *(f"{value:.3f}" for value in row))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
