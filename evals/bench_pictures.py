"""What picture corrections are worth: ``python -m evals.bench_pictures OCR_DEV_DIR [--pages 12]``.

Damages clean pages of a dataset (:mod:`evals.damage`), reads each picture without and with the corrections of
:mod:`ingest.corrections`, and scores what was read against the truth of the clean page. The pages and every damage
are drawn from a seed, so that two runs see the same pictures.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pymupdf
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from rich.console import Console
from rich.table import Table

from evals.damage import DAMAGES, Damage
from evals.dataset import Dataset, OcrItem, load_dataset
from evals.metrics import character_accuracy, character_f1
from evals.render import wide_console
from evals.samples.degrade import RGB
from ingest.formats import open_document
from ingest.readers import OcrReader
from ingest.scan import ALL
from tuwen.errors import TuwenError
from tuwen.settings import IngestSettings

_DPI = 200
_LEAST_CHARACTERS = 150
"""Pages with less text tell little."""


class PictureScore(BaseModel):
    """One damaged picture, read without and with corrections."""

    model_config = ConfigDict(frozen=True)

    damage: str
    files: tuple[str, ...]
    f1: tuple[float, float] = Field(description="character F1 without and with corrections")
    accuracy: tuple[float, float] = Field(description="1 - CER, the same way; minds the reading order")
    seconds: tuple[float, float] = Field(description="processor seconds, the same way")


def chosen(dataset: Dataset, count: int) -> list[OcrItem]:
    """Pages of the set that have enough text, the same ones every time."""
    full = [item for item in dataset.ocr if item.match == "full" and len(item.text) >= _LEAST_CHARACTERS]
    return random.Random(0).sample(full, len(full))[:count]


def pictures(
    dataset: Dataset, items: Sequence[OcrItem], name: str, damage: Damage
) -> Iterator[tuple[list[OcrItem], RGB]]:
    """The damaged pictures of ``items``, with the pages that each was made from."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for i in range(0, len(items) - damage.pages + 1, damage.pages):
        group = list(items[i : i + damage.pages])
        yield group, damage.make([_render(dataset, item) for item in group], rng)


def _render(dataset: Dataset, item: OcrItem) -> RGB:
    with pymupdf.open(dataset.document(item.file)) as document:
        pixmap = document[item.page - 1].get_pixmap(dpi=_DPI)
        return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, 3).copy()


def measure(dataset: Dataset, items: Sequence[OcrItem], name: str, keep: Path | None) -> Iterator[PictureScore]:
    """Read each picture twice.

    Args:
        dataset: where the clean pages are.
        items: the clean pages.
        name: of the damage.
        keep: a folder for the pictures, for people to look at.
    """
    damage, settings = DAMAGES[name], IngestSettings()
    plain, correcting = OcrReader(settings, corrections=()), OcrReader(settings, corrections=ALL)
    with tempfile.TemporaryDirectory() as folder:
        for number, (group, picture) in enumerate(pictures(dataset, items, name, damage)):
            path = (keep or Path(folder)) / f"{name.replace(' ', '-')}-{number}.png"
            Image.fromarray(picture).save(path, dpi=(_DPI, _DPI))
            truth = "\n".join([*(item.text for item in group), damage.adds])
            before, after = _read(path, plain, settings), _read(path, correcting, settings)
            yield PictureScore(
                damage=name,
                files=tuple(item.file for item in group),
                f1=(character_f1(truth, before[0]), character_f1(truth, after[0])),
                accuracy=(character_accuracy(truth, before[0]), character_accuracy(truth, after[0])),
                seconds=(before[1], after[1]),
            )


def _read(path: Path, reader: OcrReader, settings: IngestSettings) -> tuple[str, float]:
    with open_document(path, "image/png", None, settings) as document, document.page(1) as page:
        began = time.process_time()
        reading = reader.read(page)
        return "\n".join(block.text for block in reading.blocks), time.process_time() - began


def print_scores(scores: Sequence[PictureScore], console: Console) -> None:
    """One row a damage: means before and after."""
    table = Table()
    for column in ("damage", "pictures", "F1 before", "F1 after", "accuracy before", "accuracy after", "CPU s"):
        table.add_column(column, justify="left" if column == "damage" else "right")
    for name in dict.fromkeys(score.damage for score in scores):
        own = [score for score in scores if score.damage == name]
        values = [statistics.mean(getattr(s, key)[i] for s in own) for key in ("f1", "accuracy") for i in (0, 1)]
        cost = "{:.1f} → {:.1f}".format(*(statistics.mean(s.seconds[i] for s in own) for i in (0, 1)))
        table.add_row(name, str(len(own)), *(f"{value:.4f}" for value in values), cost)
    console.print(table)


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(description="What picture corrections are worth.")
    parser.add_argument("dataset", type=Path, help="ocr-dev, or another set with one clean page a document")
    parser.add_argument("--pages", type=int, default=10, help="clean pages that are damaged in each way")
    parser.add_argument("--only", action="append", choices=list(DAMAGES), help="one damage; may be given again")
    parser.add_argument("--json", type=Path, help="write every score here")
    parser.add_argument("--keep", type=Path, help="write the damaged pictures into this folder")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    scores: list[PictureScore] = []
    try:
        dataset = load_dataset(arguments.dataset)
        items = chosen(dataset, arguments.pages)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
        for name in arguments.only or DAMAGES:
            for score in measure(dataset, items, name, arguments.keep):
                scores.append(score)
                console.print(f"{name}: F1 {score.f1[0]:.4f} → {score.f1[1]:.4f}  {', '.join(score.files)}")
    except TuwenError as error:
        console.print(f"[red]{error.message}[/red]")
        return error.exit_code
    if arguments.json:
        arguments.json.write_bytes(TypeAdapter(list[PictureScore]).dump_json(scores, indent=1))
    print_scores(scores, wide_console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
