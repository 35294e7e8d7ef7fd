"""The benchmarks measure what they say."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from evals import bench_ingest, bench_search
from tuwen.settings import load_settings

BURN = "import time; data = bytearray(60_000_000)\nwhile time.process_time() < {seconds}: pass\ntime.sleep(0.3)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.6)!r}], check=True)"


def test_the_sampler_counts_descendants_that_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT]) as process, bench_ingest.sampling(process.pid) as sampler:
        process.wait()
        time.sleep(0.1)
    assert sampler.processes == 2
    assert 0.5 < sampler.cpu_s < 1.5
    assert sampler.peak_rss > 60_000_000


def test_copies_are_no_duplicates(tmp_path: Path) -> None:
    original = tmp_path / "a.pdf"
    original.write_bytes(b"%PDF")
    (tmp_path / "in").mkdir()
    copies = bench_ingest.multiply([original], 3, tmp_path / "in")
    assert len({copy.read_bytes() for copy in copies}) == 3
    assert all(copy.read_bytes().startswith(b"%PDF") for copy in copies)


def test_the_sample_sets_are_the_whole_corpus() -> None:
    sets = bench_ingest.sample_sets()
    assert len(sets["born-digital"]) == 5
    assert len(sets["scanned"]) == 2


def test_the_invented_pages_are_the_same_every_time() -> None:
    ours, again = bench_search.make_corpus(4), bench_search.make_corpus(4)
    assert ours.passage(3, 1) == again.passage(3, 1)
    assert ours.passage(3, 1) != ours.passage(3, 2)
    rng = np.random.default_rng(0)
    assert ours.question(2, rng)[:2] in "".join(ours.passage(2, n) for n in range(3))


def test_a_small_search_bench_finds_its_pages(tmp_path: Path) -> None:
    arguments = argparse.Namespace(pages=30, queries=5, dense="random")
    raw, optimised = bench_search.run(arguments, load_settings(environ={}), tmp_path, Console(quiet=True))
    assert (raw.points, optimised.points) == (120, 120)
    assert raw.found_first >= 0.6
    assert raw.p50_ms["total"] <= raw.p95_ms["total"]
    assert set(raw.p50_ms) == {"encode", "search", "rest", "total"}
