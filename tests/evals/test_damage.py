"""Damaged pictures: the same ones every time, and damaged as they say."""

import numpy as np
import pytest

from evals.bench_pictures import PictureScore, print_scores
from evals.damage import DAMAGES
from evals.render import wide_console
from evals.samples import fonts

pytestmark = pytest.mark.skipif(not fonts.available(), reason="fonts-noto-cjk is not installed")


def pages(count: int) -> list[np.ndarray]:
    page = np.full((702, 496, 3), 255, np.uint8)
    page[60:640:24, 60:430] = 0
    page[70:640:24, 60:430] = 0
    return [page] * count


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_seeded_and_shows(name: str) -> None:
    damage = DAMAGES[name]
    first, again, other = (damage.make(pages(damage.pages), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.uint8
    assert first.shape[2] == 3
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    clean = DAMAGES["none"].make(pages(1), np.random.default_rng(1))
    assert name == "none" or first.shape != clean.shape or np.abs(first.astype(int) - clean).mean() > 1


def test_two_pages_stand_side_by_side_in_order() -> None:
    left, right = pages(2)
    right = np.full_like(right, 255)
    picture = DAMAGES["two pages"].make([left, right], np.random.default_rng(0))
    assert picture.shape == (702, 992, 3)
    assert picture[:, 70:420].mean() < picture[:, 570:920].mean() - 5


def test_scores_are_a_row_a_damage(capsys: pytest.CaptureFixture[str]) -> None:
    scores = [
        PictureScore(damage="seal", files=("a.pdf",), f1=(0.5, x), accuracy=(0.4, x), seconds=(1.0, 2.0))
        for x in (0.8, 1.0)
    ]
    print_scores(scores, wide_console())
    row = next(line for line in capsys.readouterr().out.splitlines() if "seal" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "seal", "2", "0.5000", "0.9000", "0.4000", "0.9000", "1.0 → 2.0",
    ]  # fmt: skip
