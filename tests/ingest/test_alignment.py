"""Edit alignment: finds what two readings share, in whichever order, and pairs nothing by chance."""

import random
import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.alignment import Chain, agreement, align

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
            assert a.same or b.same
        used_left.extend(range(chain[0].left, chain[-1].left_end))
        used_right.extend(range(chain[0].right, chain[-1].right_end))
        assert 0 <= agreement(chain) <= 1
    assert len(set(used_left)) == len(used_left) <= len(left)
    assert len(set(used_right)) == len(used_right) <= len(right)
    assert all(left[a].casefold() == right[b].casefold() for a, b in pairs(chains).items())


@given(text=TEXT.filter(bool))
def test_a_text_is_wholly_aligned_with_itself(text: str) -> None:
    assert pairs(align(text, text)) == {i: i for i in range(len(text))}


def test_misread_missing_and_added_characters_stay_between_what_agrees() -> None:
    printed, read = "本合同自双方签字之日起生效，有效期三年。", "本合同自双万签字之日生效，有有效期三年。"
    (chain,) = align(read, printed)
    differing = [(read[r.left : r.left_end], printed[r.right : r.right_end]) for r in chain if not r.same]
    assert differing == [("万", "方"), ("", "起"), ("有", "")]


def test_forms_of_the_same_character_agree() -> None:
    (chain,) = align("（甲方）：ＡＢＣ—“１２３”", "(甲方):abc-「123」")
    assert chain == ((0, 14, 0, 14, True),)


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
