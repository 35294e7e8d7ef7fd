"""The loop detector: ends what repeats itself, and nothing that is printed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm.base import VisionRequest
from vlm.fake import FakeVisionModel
from vlm.tasks.loops import LoopDetector

ALPHABET = "年假五天合格不，。\n| -0129ab"
TEXT = st.text(ALPHABET, min_size=0, max_size=80)


def stops_at(text: str, printed: str = "") -> int | None:
    """Characters taken when the detector says loop."""
    detector = LoopDetector(printed)
    return next((n for n, char in enumerate(text, 1) if detector(char)), None)


@given(before=TEXT, unit=st.text(ALPHABET, min_size=10, max_size=60).filter(lambda s: any(c.isalnum() for c in s)))
def test_a_loop_ends_within_one_period_after_the_third_repeat(before: str, unit: str) -> None:
    stopped = stops_at(before + unit * 50)
    assert stopped is not None
    assert stopped <= len(before) + 4 * len(unit)


@given(letters=st.permutations([chr(0x4E00 + i) for i in range(60)]), times=st.integers(1, 2))
def test_what_comes_once_or_twice_is_no_loop(letters: list[str], times: int) -> None:
    assert stops_at("".join(letters) * times) is None


@given(before=TEXT, unit=TEXT.filter(bool), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_how_the_text_is_cut_into_pieces_does_not_matter(before: str, unit: str, pieces: list[int]) -> None:
    text = before + unit * 12
    whole = stops_at(text)
    detector, taken, said = LoopDetector(), 0, False
    while taken < len(text) and not said:
        size = pieces[taken % len(pieces)]
        said = detector(text[taken : taken + size])
        taken += size
    assert said == (whole is not None)
    assert whole is None or taken - 9 < whole <= taken


def test_a_very_long_loop_is_noticed() -> None:
    unit = "".join(chr(0x4E00 + i) for i in range(1000))
    assert stops_at(unit * 4) == 3000


def test_a_model_is_stopped_while_it_decodes() -> None:
    model = FakeVisionModel(lambda _request: "正文。" + "本合同一式两份。" * 500)
    (result,) = model.generate([VisionRequest.ask("抄写", max_tokens=4000)._replace(new_detector=LoopDetector)])
    assert result.finish_reason == "loop"
    assert len(result.text) <= 3 + 4 * 8


@pytest.mark.parametrize(
    "text",
    [
        "目录" + "." * 150 + "1",
        "| " + "--- | " * 40,
        "签字：" + "_" * 120,
        "|  |  |  |\n" * 20,
        "一二三四五六七八九十" * 2,
        "哈哈哈哈",
    ],
)
def test_rules_leaders_and_empty_cells_are_no_loops(text: str) -> None:
    assert stops_at(text) is None


def test_endless_rules_are() -> None:
    assert stops_at("| " + "--- | " * 400) is not None


def test_repetition_that_is_printed_is_no_loop() -> None:
    row = "| 合格 | 合格 | 是 |\n"
    assert stops_at(row * 8, printed="合格 合格 是\n" * 8) is None
    stopped = stops_at(row * 40, printed="合格 合格 是\n" * 8)
    assert stopped is not None
    assert 8 * len(row) < stopped <= 10 * len(row)
    assert stops_at(row * 8, printed="合格 合格 是\n") is not None


def test_a_page_costs_little() -> None:
    text = "".join(chr(0x4E00 + (i * 7919) % 3000) for i in range(3000))
    began = time.perf_counter()
    assert stops_at(text) is None
    assert time.perf_counter() - began < 1.0
