"""The benchmark of the vision model runs without a GPU and says which rows are missing."""

import argparse
from pathlib import Path

import torch
from rich.console import Console

from evals import bench_vlm
from evals.vlm_checkpoint import INTERNVL3_2B


def test_the_random_checkpoint_has_the_real_size() -> None:
    assert INTERNVL3_2B.parameters == 2_088_957_440


def test_a_small_run_on_the_cpu(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    arguments = argparse.Namespace(checkpoint=None, device="cpu", pages=3, plain_pages=1, tokens=6, batch=2)
    figures = bench_vlm.run(arguments, tmp_path, Console(stderr=True))
    assert [speed.way for speed in figures.speeds] == [bench_vlm._PLAIN, bench_vlm._EAGER]
    assert len(figures.missing) == 2
    assert all(speed.tokens_per_s > 0 for speed in figures.speeds)
    assert figures.pools[0][0] == 2
    assert 0 < figures.load_s < figures.convert_s
    assert figures.first_token_s > 0
    bench_vlm.print_table(figures, Console(width=180))
