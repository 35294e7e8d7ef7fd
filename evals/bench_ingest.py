"""How fast and how big an ingest is: ``python -m evals.bench_ingest [NAME=PATH …]``.

``--pages 100 1000`` takes in one drawn, born-digital document of each number of pages instead, to see whether memory
grows with it.

Each set is taken in by ``tuwen ingest`` as a process of its own, into an empty data directory. CPU seconds are those
of that process and all its descendants; they are told by the kernel (``RUSAGE_CHILDREN``, which counts descendants
that were waited for) and, as a check, by sampling; the larger figure counts. A machine that does something else at
the same time makes the wall time long: the load before the start is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pymupdf
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table

from evals import samples
from evals.render import wide_console

_INTERVAL_S = 0.05
_SAMPLES = Path(samples.__file__).parent / "documents"
_PICTURES_ONLY = ("采购合同（扫描件）.pdf", "停电检修通知.jpg")
"""Documents of the sample corpus without a text layer."""


class IngestFigures(BaseModel):
    """What one set cost."""

    model_config = ConfigDict(frozen=True)

    name: str
    documents: int
    failed: int
    pages: int
    wall_s: float
    cpu_s: float
    cores: int
    wall_over_ideal: float = Field(description="wall ÷ (CPU ÷ cores); 1 means that no core ever waited")
    pages_per_s: float
    peak_rss_mb: float = Field(description="resident memory of all processes together, shared pages counted in each")
    processes: int = Field(description="seen over the whole run")
    load_before: float = Field(description="1-minute load average before the start")


class Sampler:
    """Samples a process and its descendants: CPU seconds of each process ever seen, and the peak of their memory."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu: dict[tuple[int, float], float] = {}
        self.peak_rss = 0

    @property
    def cpu_s(self) -> float:
        """User and system seconds of all processes as last seen."""
        return sum(self._cpu.values())

    @property
    def processes(self) -> int:
        """Number of processes ever seen."""
        return len(self._cpu)

    def sample(self) -> None:
        """Look once; processes that just ended keep what was last seen of them."""
        memory = 0
        for process in self._family():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
                    memory += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.peak_rss = max(self.peak_rss, memory)

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@contextmanager
def sampling(pid: int) -> Iterator[Sampler]:
    """A sampler that runs beside the block."""
    sampler, done = Sampler(pid), threading.Event()

    def loop() -> None:
        while not done.wait(_INTERVAL_S):
            sampler.sample()

    thread = threading.Thread(target=loop, daemon=True)
    sampler.sample()
    thread.start()
    try:
        yield sampler
    finally:
        done.set()
        thread.join()


def measure(name: str, paths: Sequence[Path], home: Path) -> IngestFigures:
    """Ingest ``paths`` into the empty ``home`` and say what it cost.

    Raises:
        subprocess.CalledProcessError: the command itself failed (a failed document is counted, not raised).
    """
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-m", "tuwen", "ingest", *map(str, paths), "--json"]
    environment = os.environ | {"TUWEN_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        with sampling(process.pid) as sampler:
            output, _ = process.communicate()
        wall = time.perf_counter() - began
    if process.returncode not in (0, 1):
        raise subprocess.CalledProcessError(process.returncode, command, output)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = max(sampler.cpu_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    documents = json.loads(output)["documents"]
    pages = sum(document["pages"] or 0 for document in documents)
    return IngestFigures(
        name=name,
        documents=len(documents),
        failed=sum(document["status"] == "failed" for document in documents),
        pages=pages,
        wall_s=wall,
        cpu_s=cpu,
        cores=cores,
        wall_over_ideal=wall / (cpu / cores),
        pages_per_s=pages / wall,
        peak_rss_mb=sampler.peak_rss / 1e6,
        processes=sampler.processes,
        load_before=load,
    )


def multiply(paths: Sequence[Path], times: int, into: Path) -> list[Path]:
    """Copies that differ in trailing bytes, which readers skip, so that none is a duplicate of another."""
    made = []
    for number in range(times):
        for path in paths:
            target = into / f"{number:03d}-{path.name}"
            shutil.copyfile(path, target)
            with target.open("ab") as file:
                file.write(f"\n%copy {number}\n".encode())
            made.append(target)
    return made


def sample_sets() -> dict[str, list[Path]]:
    """The sample corpus, by whether its documents have a text layer."""
    paths = sorted(_SAMPLES.iterdir())
    return {
        "born-digital": [path for path in paths if path.name not in _PICTURES_ONLY],
        "scanned": [path for path in paths if path.name in _PICTURES_ONLY],
    }


def draw_document(pages: int, path: Path) -> Path:
    """A born-digital PDF of small pages, a heading and some lines each, none like another."""
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            page = document.new_page(width=420, height=595)
            lines = [f"第{number}章　设备检修记录", *(_line(number, line) for line in range(8))]
            for row, text in enumerate(lines):
                page.insert_text((50, 70 + 24 * row), text, fontname="china-s", fontsize=10 if row else 16)
        document.save(path, deflate=True, no_new_id=True)
    return path


def _line(page: int, line: int) -> str:
    number = page * 8 + line
    return f"第{line + 1}项于{page % 12 + 1}月{line + 1}日完成，费用{number}元，经办人{chr(0x4E00 + number)}。"


def files_of(path: Path) -> list[Path]:
    """A file, or all files of a folder."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def print_table(figures: Sequence[IngestFigures], console: Console) -> None:
    """One row a set."""
    table = Table(title="tuwen ingest")
    for column in ("set", "pages", "wall s", "CPU s", "wall ÷ (CPU ÷ cores)", "pages/s", "peak RSS MB", "load before"):
        table.add_column(column, justify="left" if column == "set" else "right")
    for one in figures:
        values = (one.wall_s, one.cpu_s, one.wall_over_ideal, one.pages_per_s, one.peak_rss_mb, one.load_before)
        table.add_row(one.name, str(one.pages), *(f"{value:.2f}" for value in values))
    console.print(table)


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_ingest", description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="NAME=PATH", help="what to take in (default: the sample corpus)")
    parser.add_argument("--pages", type=int, nargs="+", metavar="N", help="one drawn document of N pages for each N")
    parser.add_argument("--repeat", type=int, default=1, help="take in N copies of every file")
    parser.add_argument("--limit", type=int, help="the first N files of each set only")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if arguments.pages:
        return _report(_measured_drawn(arguments.pages), arguments.json)
    given = {name: files_of(Path(path)) for name, _, path in (item.partition("=") for item in arguments.sets)}
    figures = []
    for name, paths in (given or sample_sets()).items():
        with tempfile.TemporaryDirectory(prefix="tuwen-bench-") as folder:
            (Path(folder) / "in").mkdir()
            copies = multiply(paths[: arguments.limit], arguments.repeat, Path(folder) / "in")
            figures.append(measure(name, copies, Path(folder) / "home"))
    return _report(figures, arguments.json)


def _measured_drawn(numbers: Sequence[int]) -> list[IngestFigures]:
    figures = []
    for pages in numbers:
        with tempfile.TemporaryDirectory(prefix="tuwen-bench-") as folder:
            drawn = draw_document(pages, Path(folder) / f"{pages}.pdf")
            figures.append(measure(f"{pages} pages", [drawn], Path(folder) / "home"))
    return figures


def _report(figures: Sequence[IngestFigures], target: Path | None) -> int:
    if target:
        target.write_text(json.dumps([one.model_dump() for one in figures], indent=1), "utf-8")
    print_table(figures, wide_console())
    return 1 if any(one.failed for one in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
