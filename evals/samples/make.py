"""Write the sample corpus and its ground truth: ``python -m evals.samples.make``.

Writes next to this file, in the form of a dataset: ``documents/``, ``ocr.jsonl`` (exact text of every page),
``queries.jsonl`` (questions, with the quote and boxes that answer each) and ``truth.jsonl`` (blocks, lines, table
cells); a second one in ``hard/``, of documents that deceive or resist a reader; and a third in ``packed/``, of what
must be unpacked, unlocked or converted first (:mod:`evals.samples.packed`). The same versions of the fonts and
libraries write the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.samples import (
    archives,
    contract,
    fonts,
    handbook,
    hard_pages,
    notice,
    packed,
    paper,
    register,
    report,
    slides,
)
from evals.samples.common import Sample
from evals.samples.questions import ANSWERABLE, UNANSWERABLE, Question
from evals.samples.truth import Record, locate, pages
from tuwen.errors import TuwenError

HERE = Path(__file__).parent
HARD = "hard"
"""Folder of the second set."""
PACKED = "packed"
"""Folder of the third."""


class SampleSet(NamedTuple):
    """Documents and the questions on them."""

    builders: Mapping[str, Callable[[], Sample]]
    answerable: Sequence[Question]
    unanswerable: Sequence[str]


MODULES = (handbook, report, paper, contract, notice, slides, register)
SETS = {
    "": SampleSet({module.FILE: module.build for module in MODULES}, ANSWERABLE, UNANSWERABLE),
    HARD: SampleSet(hard_pages.BUILDERS, hard_pages.ANSWERABLE, hard_pages.UNANSWERABLE),
}


def queries(samples: Sequence[Sample], answerable: Sequence[Question], unanswerable: Sequence[str]) -> Iterator[Record]:
    """Questions in the form of DESIGN section 7, each answer with its quote and boxes under ``evidence``."""
    by_file = {sample.file: sample for sample in samples}
    for number, item in enumerate(answerable, 1):
        sample = by_file[item.file]
        evidence = [place for quote in (item.quote, *item.also) for place in locate(sample, quote)]
        yield {
            "id": f"s{number:02d}",
            "question": item.question,
            "answers": list(item.answers),
            "relevant": [{"file": sample.file, "page": page} for page in sorted({place["page"] for place in evidence})],
            "answerable": True,
            "tags": [*sample.tags, *item.tags],
            "evidence": evidence,
        }
    for number, question in enumerate(unanswerable, 1):
        yield {
            "id": f"u{number:02d}",
            "question": question,
            "answers": [],
            "relevant": [],
            "answerable": False,
            "tags": [],
        }


def write(folder: Path) -> None:
    """Build everything into ``folder``.

    Raises:
        UnavailableError: the fonts are missing.
    """
    fonts.require()
    for name, chosen in SETS.items():
        _write_set(folder / name, chosen)
    write_packed(folder / PACKED)


def write_packed(folder: Path) -> None:
    """Build the third set; encrypted files, whose bytes differ every time, only where there is none."""
    documents = folder / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    for name, build in packed.BUILDERS.items():
        if name != archives.LOCKED or not (documents / name).exists():
            (documents / name).write_bytes(build())
    _write(folder / "truth.jsonl", packed.truth())
    _write(folder / "skipped.jsonl", packed.SKIPPED)


def _write_set(folder: Path, chosen: SampleSet) -> None:
    samples = [build() for build in chosen.builders.values()]
    documents = folder / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        (documents / sample.file).write_bytes(sample.data)
    records = [record for sample in samples for record in pages(sample)]
    _write(folder / "truth.jsonl", records)
    _write(folder / "ocr.jsonl", ({key: record[key] for key in ("file", "page", "text", "tags")} for record in records))
    _write(folder / "queries.jsonl", queries(samples, chosen.answerable, chosen.unanswerable))


def _write(path: Path, records: Iterable[Record]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(description="Write the sample corpus and its ground truth.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="where to write (default: beside this file)")
    try:
        write(parser.parse_args().folder)
    except TuwenError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
