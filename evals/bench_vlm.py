"""How fast pages are read by InternVL in process: ``python -m evals.bench_vlm [--checkpoint DIR]``.

Weights do not matter for speed, so that none are downloaded: on a GPU the script writes a checkpoint of InternVL3-2B's
size with random weights in original format. Where there is no GPU it runs a tiny one on one thread of the CPU, which
tells about the overhead of each way and nothing else, and the table says which rows are missing. Each text is as long
as asked for: no token ends it. Pages are A4 at 150 dpi, all different; cutting them into tiles is part of the time.

Rows: ``generate`` of transformers, page by page; the same with a static cache that is compiled (GPU only); our engine
with eager steps; our engine with captured graphs (GPU only).
"""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table

from evals.render import wide_console
from evals.vlm_checkpoint import INTERNVL3_2B, TINY, write_random
from vlm.base import RGB, Message, Tiling, VisionRequest
from vlm.checking import sample_page
from vlm.checkpoint import Checkpoint, find
from vlm.internvl.config import Sizes, read_sizes

if TYPE_CHECKING:
    import torch

    from vlm.internvl.engine import Engine
    from vlm.internvl.load import Loaded
    from vlm.internvl.prompt import Prompter

_QUESTION = "请把这一页转写为 Markdown。"
_PLAIN, _STATIC = "generate, page by page", "generate, static cache, compiled"
_EAGER, _GRAPHS = "our engine, eager steps", "our engine, captured graphs"


class Speed(BaseModel):
    """One way of reading the pages."""

    model_config = ConfigDict(frozen=True)

    way: str
    pages: int
    seconds: float
    pages_per_s: float
    tokens_per_s: float


class Figures(BaseModel):
    """All that was measured."""

    model_config = ConfigDict(frozen=True)

    device: str
    checkpoint: str
    parameters: int
    tokens: int = Field(description="written for each page")
    prompt_tokens: int = Field(description="of each page, image included")
    pools: list[tuple[int, int]] = Field(description="slots and tokens of a slot, by pool")
    convert_s: float = Field(description="the first load, original to native included")
    load_s: float = Field(description="a later load")
    peak_bytes: int = Field(description="of the GPU, or resident memory of the process")
    first_token_s: float = Field(description="of an answer over four pages that were not seen before")
    first_token_seen_s: float = Field(description="the same once their vision features are cached")
    speeds: list[Speed]
    missing: list[str] = Field(description="rows that need a GPU")


def pages(count: int, seed: int = 0) -> list[RGB]:
    """Pages that differ in every pixel row."""
    noise = np.random.default_rng(seed)
    page = sample_page()
    return [np.minimum(page, noise.integers(0, 256, page.shape, np.uint8) | 0x80) for _ in range(count)]


class Bench:
    """One checkpoint, loaded once, read with in several ways."""

    def __init__(self, checkpoint: Checkpoint, cache: Path, device: str, tokens: int) -> None:
        from vlm.internvl.load import load
        from vlm.internvl.prompt import Prompter

        self.tokens = tokens
        self.sizes: Sizes = read_sizes(checkpoint.config, checkpoint.name)
        self.prompter: Prompter = Prompter(checkpoint, self.sizes)

        def timed() -> tuple[Loaded, float]:
            began = time.perf_counter()
            loaded = load(checkpoint, self.sizes, self.prompter.image_id, cache, "auto", device)
            return loaded, time.perf_counter() - began

        _, self.convert_s = timed()
        self.loaded, self.load_s = timed()
        self.loaded.model.generation_config.eos_token_id = None

    def request(self, images: Sequence[RGB], tokens: int) -> VisionRequest:
        """About ``images``, in the default tiling."""
        return VisionRequest.ask(_QUESTION, *images, max_tokens=tokens)

    def prompt(self, images: Sequence[RGB]) -> list[int]:
        """Its token ids."""
        from vlm.internvl.tiling import count_tiles

        counts = [count_tiles(image, self.sizes.tile, Tiling()) for image in images]
        return self.prompter.encode([Message.of("user", *images, _QUESTION)], counts)

    def generate(self, images: Sequence[RGB], cache: str | None) -> None:
        """Page by page with transformers."""
        import torch

        from vlm.internvl.tiling import cut, pixel_values

        for image in images:
            tiles = cut(image, self.sizes.tile, Tiling())
            ids = torch.tensor([self.prompt([image])], device=self.loaded.device)
            self.loaded.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=pixel_values([tiles], self.loaded.device, self.loaded.dtype),
                max_new_tokens=self.tokens,
                do_sample=False,
                cache_implementation=cache,
                pad_token_id=0,
            )

    def engine(self, graphs: bool, batch: int) -> Engine:
        """Ours, over the same model."""
        from vlm.internvl.engine import Engine, EngineLimits

        limits = EngineLimits(self.sizes.context, batch, graphs=graphs)
        return Engine(self.loaded, self.prompter.image_id, self.sizes.tile, limits)

    def submit(self, engine: Engine, requests: Sequence[VisionRequest], streamed: bool = False) -> list[float]:
        """Run all; for each when its first piece came, in seconds since the call (0 unless streamed)."""
        from vlm.internvl.jobs import Job

        began = time.perf_counter()
        jobs = [
            Job(request, self.prompt(request.images), Tiling(), self.prompter.detokenizer(), frozenset(), streamed)
            for request in requests
        ]
        engine.submit(jobs)
        firsts = []
        for job in jobs:
            if streamed:
                job.pieces.get()
            firsts.append(time.perf_counter() - began)
            job.done.result()
        return firsts


def _measure(way: str, bench: Bench, count: int, run: Callable[[list[RGB]], object]) -> Speed:
    """After two pages to warm up, the time of ``count`` others."""
    import torch

    run(pages(2, seed=1))
    images = pages(count, seed=2)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    run(images)
    seconds = time.perf_counter() - began
    return Speed(
        way=way,
        pages=count,
        seconds=seconds,
        pages_per_s=count / seconds,
        tokens_per_s=count * bench.tokens / seconds,
    )


def _engine_speed(bench: Bench, way: str, count: int, batch: int) -> Speed:
    engine = bench.engine(way == _GRAPHS, batch)

    def run(images: list[RGB]) -> None:
        bench.submit(engine, [bench.request([image], bench.tokens) for image in images])

    try:
        if way == _GRAPHS:  # graphs of all shapes that will come
            run(pages(count, seed=3))
        return _measure(way, bench, count, run)
    finally:
        engine.close()


def _first_token(bench: Bench, graphs: bool, batch: int) -> tuple[float, float, list[tuple[int, int]]]:
    engine = bench.engine(graphs, batch)
    try:
        bench.submit(engine, [bench.request(pages(4, seed=4), 8)], streamed=True)
        request = bench.request(pages(4, seed=5), 8)
        (unseen,) = bench.submit(engine, [request], streamed=True)
        (seen,) = bench.submit(engine, [request], streamed=True)
        return unseen, seen, list(engine.pools)
    finally:
        engine.close()


def run(arguments: argparse.Namespace, folder: Path, console: Console) -> Figures:
    """Make or find the checkpoint, and measure all ways that this machine can."""
    import torch

    gpu = torch.cuda.is_available() and arguments.device != "cpu"
    if not gpu:
        torch.set_num_threads(1)  # tiny matrices are multiplied before a second thread has woken up
    if arguments.checkpoint is None:
        size = INTERNVL3_2B if gpu else TINY
        console.print(f"writing a checkpoint with {size.parameters:,} random weights …")
        write_random(folder / "checkpoint", size)
    bench = Bench(find(str(arguments.checkpoint or folder / "checkpoint")), folder, arguments.device, arguments.tokens)
    speeds = [_measure(_PLAIN, bench, arguments.plain_pages, lambda images: bench.generate(images, None))]
    missing = []
    if gpu:
        speeds.append(_measure(_STATIC, bench, arguments.plain_pages, lambda images: bench.generate(images, "static")))
    else:
        missing.append(_STATIC)
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    for way in (_EAGER, _GRAPHS):
        if way == _GRAPHS and not gpu:
            missing.append(way)
            continue
        console.print(f"{way} …")
        speeds.append(_engine_speed(bench, way, arguments.pages, arguments.batch))
    unseen, seen, pools = _first_token(bench, gpu, arguments.batch)
    peak = torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Figures(
        device=_device(bench.loaded.device),
        checkpoint=str(arguments.checkpoint or "random weights"),
        parameters=sum(parameter.numel() for parameter in bench.loaded.model.parameters()),
        tokens=bench.tokens,
        prompt_tokens=len(bench.prompt(pages(1))),
        pools=pools,
        convert_s=bench.convert_s,
        load_s=bench.load_s,
        peak_bytes=peak,
        first_token_s=unseen,
        first_token_seen_s=seen,
        speeds=speeds,
        missing=missing,
    )


def _device(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"


def print_table(figures: Figures, console: Console) -> None:
    """One row a way; what is missing too."""
    title = (
        f"{figures.parameters:,} parameters on {figures.device}; {figures.prompt_tokens} prompt tokens and "
        f"{figures.tokens} written ones a page"
    )
    table = Table(title=title)
    for column in ("way", "pages", "seconds", "pages/s", "tokens/s", "× plain"):
        table.add_column(column, justify="left" if column == "way" else "right")
    plain = figures.speeds[0].pages_per_s
    for one in figures.speeds:
        values = (one.seconds, one.pages_per_s, one.tokens_per_s, one.pages_per_s / plain)
        table.add_row(one.way, str(one.pages), *(f"{value:.2f}" for value in values))
    for way in figures.missing:
        table.add_row(way, *["needs a GPU"] * 5)
    console.print(table)
    console.print(
        f"load {figures.load_s:.1f} s (first time, with conversion: {figures.convert_s:.1f} s); peak memory "
        f"{figures.peak_bytes / 1e9:.2f} GB; slots {figures.pools}; first token of a 4-page answer "
        f"{figures.first_token_s:.2f} s, {figures.first_token_seen_s:.2f} s once the pages were seen"
    )


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_vlm", description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="folder; random weights unless given")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--pages", type=int, default=256, help="read by the engine")
    parser.add_argument("--plain-pages", type=int, default=4, help="read one by one")
    parser.add_argument("--tokens", type=int, default=500, help="written for each page")
    parser.add_argument("--batch", type=int, default=0, help="pages at once; 0 is the engine's default")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuwen-bench-") as folder:
        figures = run(arguments, Path(folder), Console(stderr=True))
    if arguments.json:
        arguments.json.write_text(figures.model_dump_json(indent=1), "utf-8")
    print_table(figures, wide_console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
