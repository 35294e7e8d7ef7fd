"""Quotes are found where they are printed, and what is not printed is dropped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.base import Claim, Draft, Quote
from retrieval.grounding import FLOOR, locate, verify
from tests.retrieval.pages import evidence_of, is_consecutive, page_of, words_in
from tuwen.types import BlockKind, WordSpan, fold_space

TEXTS = (
    (BlockKind.TITLE, "第三章 差旅费管理办法"),
    "员工因公出差，应当事先填写《出差申请单》，经部门负责人批准后方可成行。"
    "住宿费每晚不超过 450 元，凭发票报销；市内交通费每天 80 元包干。",
    (BlockKind.TABLE, "城市 住宿 伙食\n北京 500 120\n上海 500 120\n其他 350 100"),
    "本办法由 Finance Department 负责解释，自2024年3月1日起施行。“包干”是指按标准发放，超支不补、节余归己。",
)
PAGE = page_of(*TEXTS)
STREAM = "".join(word.text for word in PAGE.words)

cuts = st.tuples(st.integers(0, len(PAGE.text)), st.integers(0, len(PAGE.text))).map(sorted)
han = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)


@given(cuts)
def test_any_stretch_of_the_page_is_found_exactly(cut: list[int]) -> None:
    quote = PAGE.text[cut[0] : cut[1]]
    place = locate(quote, PAGE)
    if not fold_space(quote):
        assert place is None
        return
    assert place is not None
    assert place.similarity == 1.0
    assert is_consecutive(place.words)
    assert fold_space(quote) in "".join(PAGE.words[i].text for i in place.words)
    assert fold_space(quote) in words_in(PAGE, place.boxes)
    assert fold_space(place.text) == fold_space(quote)
    assert len(place.boxes) == len({PAGE.words[i].line for i in place.words})


@given(st.data())
def test_noise_within_the_floor_is_found(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(STREAM) - 20))
    clean = STREAM[start : start + data.draw(st.integers(10, 40))]
    quote = list(clean)
    for _ in range(data.draw(st.integers(0, int(len(clean) * (1 - FLOOR)) // 2))):
        at = data.draw(st.integers(0, len(quote) - 1))
        edit = data.draw(st.sampled_from(["replace", "insert", "delete"]))
        quote[at : at + (edit != "insert")] = [] if edit == "delete" else [data.draw(han)]
    place = locate("".join(quote), PAGE)
    assert place is not None
    assert place.similarity >= FLOOR
    assert fold_space(place.text) in words_in(PAGE, place.boxes)


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=60))
def test_foreign_text_is_not_found(quote: str) -> None:
    assert locate(quote, PAGE) is None


@pytest.mark.parametrize("quote", ["", " \n", "住宿费每晚不超过四千元并且另外发放补贴", "包子", "Human Resources"])
def test_what_is_not_printed_is_not_found(quote: str) -> None:
    assert locate(quote, PAGE) is None


@pytest.mark.parametrize(
    ("quote", "printed"),
    [
        ("員工因公出差", "员工因公出差"),
        ("应当事先填写〈出差申请单〉", None),
        ("「包干」是指按标准发放,超支不补,节余归己.", "“包干”是指按标准发放，超支不补、节余归己。"),
        ("finance department", "Finance Department"),
        ("自２０２４年３月１日起施行", "自2024年3月1日起施行"),
        ("北京 500 120 上海 500", "北京 500 120\n上海 500"),
        ("方可成行。住宿费每晚不超过450元", "方可成行。住宿费每晚不超过 450 元"),
        ("归己。”", None),
    ],
)
def test_normalised_forms(quote: str, printed: str | None) -> None:
    place = locate(quote, PAGE, floor=1.0)
    assert (place and place.text) == printed


def test_quotes_run_over_blocks() -> None:
    place = locate("其他 350 100 本办法由 Finance", PAGE)
    assert place is not None
    assert place.text == "其他 350 100\n本办法由 Finance"
    assert len(place.boxes) == 2


def test_occurrence_inside_the_hint_wins_then_whole_words_then_the_first() -> None:
    page = page_of("编号 1500 号", "编号 500 号", "编号 500 号")
    last = page.blocks[2].words
    assert locate("500", page).words[0] == page.blocks[1].words.start + 2
    assert locate("500", page, within=[last]).words[0] == last.start + 2
    assert locate("编号", page).words == (0, 1)
    assert locate("编号", page, within=[WordSpan(0, 1), last]).words == (last.start, last.start + 1)


def test_fuzzy_match_is_the_nearest_stretch() -> None:
    place = locate("住宿费每晚不得超过450元，凭发票报消", PAGE)
    assert place is not None
    assert place.text == "住宿费每晚不超过 450 元，凭发票报销"
    assert place.similarity == pytest.approx(1 - 2 / 19)


def test_verify_marks_claims_and_drops_what_is_not_printed() -> None:
    other = page_of("市内交通费每天 100 元。", page=2)
    draft = Draft(
        claims=(
            Claim("市内交通费每天80元包干。", (Quote("市内交通费每天80元包干。", "d1", 1),)),
            Claim("交通费另行规定。", (Quote("交通费另行规定由总经理批准", "d1", 1), Quote("没有", "d9", 1))),
            Claim("每天 100 元", (Quote("找不到的话", "d1", 1), Quote("每天100元", "d2", 2))),
            Claim("每天 80 元", (Quote("市内交通费每天80元包干。", "d1", 1), Quote("每天 100 元", "d2", 2))),
        ),
        confidence=0.9,
    )
    grounded = verify(draft, [evidence_of(PAGE), evidence_of(other, document="d2")])
    assert grounded.text == "市内交通费每天80元包干。[1] 每天 100 元[2] 每天 80 元[1][2]"
    assert [c.quote for c in grounded.citations] == ["市内交通费每天 80 元包干。", "每天 100 元"]
    assert [(c.marker, c.document_id, c.page, c.verified) for c in grounded.citations] == [
        (1, "d1", 1, True),
        (2, "d2", 2, True),
    ]


@given(st.lists(cuts, min_size=1, max_size=4), st.lists(han, max_size=2))
def test_words_under_a_citation_contain_its_quote(places: list[list[int]], noise: list[str]) -> None:
    claims = [PAGE.text[a:b] for a, b in places]
    quotes = [claim[: len(claim) // 2] + "".join(noise) + claim[len(claim) // 2 :] for claim in claims]
    draft = Draft(
        tuple(Claim(claim, (Quote(quote, "d1", 1),)) for claim, quote in zip(claims, quotes, strict=True)), 1.0
    )
    grounded = verify(draft, [evidence_of(PAGE)])
    for citation in grounded.citations:
        assert fold_space(citation.quote) in words_in(PAGE, citation.boxes)
    assert {int(n) for n in re.findall(r"\[(\d+)\]", grounded.text)} == {c.marker for c in grounded.citations}
