"""Edit alignment: finds what two readings share, in whichever order, and pairs nothing by chance."""

import random
import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.transcription.alignment import Chain, align

TEXT = st.text("年假五天合格不，。ab12 \n", max_size=60)


def sentence(seed: int, length: int = 40) -> str:
    """Characters of which hardly any two sentences share a stretch."""
    rng = random.Random(seed)
    return "".join(chr(rng.randint(0x4E00, 0x9FA5)) for _ in range(length))


def pairs(chains: list[Chain]) -> dict[int, int]:
    """Right place by left place, where both say the same."""
    return {
        run.left + i: run.right + i
        for chain in chains
        for run in chain
        if run.same
        for i in range(run.left_end - run.left)
    }


@given(left=TEXT, right=TEXT)
def test_runs_follow_each_other_and_use_no_character_twice(left: str, right: str) -> None:
    chains = align(left, right)
    used_left, used_right = [], []
    for chain in chains:
        assert chain[0].same
        assert chain[-1].same
        for a, b in pairwise(chain):
            assert (a.left_end, a.right_end) == (b.left, b.right)
            assert a.same or (b.same and max(a.left_end - a.left, a.right_end - a.right) < 4)
        used_left.extend(range(chain[0].left, chain[-1].left_end))
        used_right.extend(range(chain[0].right, chain[-1].right_end))
    assert len(set(used_left)) == len(used_left) <= len(left)
    assert len(set(used_right)) == len(used_right) <= len(right)
    assert all(left[a].casefold() == right[b].casefold() for a, b in pairs(chains).items())


@given(text=TEXT.filter(lambda text: any(char.isalnum() for char in text)))
def test_a_text_is_wholly_aligned_with_itself(text: str) -> None:
    found = pairs(align(text, text))
    assert all(found[i] == i for i, char in enumerate(text) if char.isalnum())


def test_misread_missing_and_added_characters_stay_between_what_agrees() -> None:
    printed, read = "本合同自双方签字之日起生效，有效期三年。", "本合同自双万签字之日生效，有有效期三年。"
    (chain,) = align(read, printed)
    differing = [(read[r.left : r.left_end], printed[r.right : r.right_end]) for r in chain if not r.same]
    assert differing == [("万", "方"), ("", "起"), ("有", "")]


def test_forms_of_the_same_character_agree() -> None:
    (chain,) = align("（甲方）：ＡＢＣ—“１２３”", "(甲方):abc-「123」")
    assert [(run.left, run.right, run.same) for run in chain] == [(i, i, True) for i in range(14)]


def test_columns_taken_in_another_order_are_found() -> None:
    parts = [sentence(seed) for seed in range(8)]
    across = "".join(parts[i][j : j + 10] for j in range(0, 40, 10) for i in (0, 1))  # two columns, line by line
    down = parts[0] + parts[1]
    assert len(pairs(align(down, across))) == len(down)
    shuffled = [*range(8)]
    random.Random(1).shuffle(shuffled)
    found = pairs(align("".join(parts), "".join(parts[i] for i in shuffled)))
    assert found == {part * 40 + i: shuffled.index(part) * 40 + i for part in range(8) for i in range(40)}


def test_characters_that_are_in_order_by_chance_are_not_paired() -> None:
    assert align("的" + sentence(1) + "的" + sentence(2) + "的", "的" + sentence(3) + "的" + sentence(4)) == []


def test_text_that_is_moved_over_text_of_its_like_is_found() -> None:
    parts = [sentence(seed, 12) for seed in range(5)]
    found = pairs(align("".join(parts), "".join(parts[i] for i in (0, 2, 1, 3, 4))))
    assert len(found) == 60


def test_leaders_do_not_outweigh_text() -> None:
    entries = [sentence(seed, 6) for seed in range(20)]
    across = [*range(0, 20, 2), *range(1, 20, 2)]
    left, right = ("".join(entries[i] + "." * 30 + f"{i}" for i in order) for order in (range(20), across))
    found = pairs(align(left, right))
    assert all(any(left.index(entry) + i in found for i in range(6)) for entry in entries)


def test_short_texts_are_compared_as_a_whole() -> None:
    assert len(align("封面", "封面")) == 1
    assert align("封面", "目录") == []
    assert align("", "封面") == []


def test_a_page_takes_little_time() -> None:
    rng = random.Random(0)
    page = "".join(rng.choice("的一是了我不人在他有这个上们来到时大地为子中你说生国年") for _ in range(3000))
    other = "".join(rng.choice(page) if rng.random() < 0.1 else char for char in page)
    moved = other[1500:] + other[:1500]
    began = time.perf_counter()
    assert len(pairs(align(page, moved))) > 2600
    assert time.perf_counter() - began < 2.0
