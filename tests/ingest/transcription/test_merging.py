"""Two readers, one record: structure and wording of the one, places and completeness of the other."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.transcription import is_blank, merge
from tests.ingest.transcription.pages import CHARACTER, LEADING, LEFT, TOP, Plain, check, page, picture
from tuwen.types import BlockKind, Box, PageRecord, Source, VerdictCode

DISAGREE, INVENTED = VerdictCode.READER_DISAGREEMENT, VerdictCode.INVENTED_TEXT
ARTICLE = "本制度自二〇二六年一月一日起施行，适用于公司全体在册员工，由人力资源部负责解释。"
LEAVE = "员工连续工作满一年的，每年享受五天带薪年休假，未休部分不跨年累计。"
PAY = "加班须事先书面申请，经部门负责人批准后方可计发加班工资或者安排补休。"


def merged(plain: PageRecord, transcription: str, more: list[Box] | None = None) -> PageRecord:
    record = merge(plain, transcription, picture(plain, more or []))
    check(record)
    return record


def box_of(record: PageRecord, text: str) -> Box:
    """Where ``text`` stands, on one line."""
    stream = "".join(word.text for word in record.words)
    place = [i for i, word in enumerate(record.words) for _ in word.text]
    start = stream.index(text)
    return Box.union(record.words[i].box for i in range(place[start], place[start + len(text) - 1] + 1))


# What the model gives.


def test_structure_is_the_models_and_places_are_the_plain_readers() -> None:
    plain = page(f"第一章总则\n{ARTICLE}", LEAVE)
    record = merged(plain, f"# 第一章总则\n\n{ARTICLE}\n\n- {LEAVE}")
    assert [block.kind for block in record.blocks] == [BlockKind.TITLE, BlockKind.TEXT, BlockKind.LIST]
    assert [block.text for block in record.blocks] == ["第一章总则", ARTICLE, LEAVE]
    assert record.markdown == f"# 第一章总则\n\n{ARTICLE}\n\n- {LEAVE}"
    assert (record.blocks[0].level, record.blocks[0].source, record.blocks[0].confidence) == (1, Source.VLM, 1.0)
    assert [word.box for word in record.words] == [word.box for word in plain.words]
    assert record.verdict.codes == ()


def test_order_is_the_models() -> None:
    left, right = [ARTICLE[:10], ARTICLE[10:20]], [LEAVE[:10], LEAVE[10:20]]
    plain = page(f"{left[0]}　{right[0]}\n{left[1]}　{right[1]}")  # taken straight across two columns
    record = merged(plain, f"{''.join(left)}\n\n{''.join(right)}")
    assert record.text == f"{''.join(left)}\n{''.join(right)}"
    assert box_of(record, right[1]).y0 == pytest.approx(TOP + LEADING)


def test_tables_are_the_models() -> None:
    plain = page("城市住宿餐补\n北京500100\n上海450100")
    record = merged(plain, "| 城市 | 住宿 | 餐补 |\n|---|---|---|\n| 北京 | 500 | 100 |\n| 上海 | 450 | 100 |")
    (table,) = record.blocks
    assert table.kind is BlockKind.TABLE
    assert table.text == "城市 住宿 餐补\n北京 500 100\n上海 450 100"
    assert table.markdown.splitlines()[2] == "| 北京 | 500 | 100 |"
    assert box_of(record, "450").y0 == pytest.approx(TOP + 2 * LEADING)


def test_a_table_of_which_the_model_has_half_stays_as_it_was() -> None:
    text = "城市 住宿 餐补\n北京 500 100\n上海 450 100\n广州 430 90\n深圳 460 95"
    plain = page(ARTICLE, Plain(text, BlockKind.TABLE))
    record = merged(plain, f"{ARTICLE}\n\n| 城市 | 住宿 |\n|---|---|\n| 北京 | 500 |\n| 上海 | 450 |")
    assert record.blocks[1].model_dump(exclude={"order", "words"}) == plain.blocks[1].model_dump(
        exclude={"order", "words"}
    )
    assert record.verdict.codes == ()


def test_formulas_keep_their_latex_beside_the_printed_characters() -> None:
    plain = page("其中 x1≤α 时成立。", Plain("E=mc2", BlockKind.FORMULA))
    record = merged(plain, "其中 $x_1 \\leq \\alpha$ 时成立。\n\n$$E = mc^2$$")
    assert [(b.kind, b.text, b.markdown) for b in record.blocks] == [
        (BlockKind.TEXT, "其中 x1≤α 时成立。", "其中 $x_1 \\leq \\alpha$ 时成立。"),
        (BlockKind.FORMULA, "E=mc2", "$$E = mc^2$$"),
    ]


def test_a_formula_that_ocr_could_not_read_gets_its_latex() -> None:
    plain = page(ARTICLE, Plain("fL∑oO", BlockKind.FORMULA), LEAVE)
    record = merged(plain, f"{ARTICLE}\n\n$$\\frac{{\\partial u}}{{\\partial t}}$$\n\n{LEAVE}")
    assert [(b.text, b.markdown) for b in record.blocks][1] == ("fL∑oO", "$$\\frac{\\partial u}{\\partial t}$$")
    assert record.verdict.codes == ()


def test_headings_and_captions_that_the_model_did_not_mark_are_known_by_the_plain_reading() -> None:
    plain = page(Plain("第二章休假", BlockKind.TITLE, 2), LEAVE, Plain("图1组织结构", BlockKind.CAPTION), ARTICLE)
    record = merged(plain, f"第二章休假\n{LEAVE}\n图1组织结构\n{ARTICLE}")
    assert [block.kind for block in record.blocks] == ["title", "text", "caption", "text"]
    assert record.blocks[0].markdown == "## 第二章休假"


def test_lines_of_a_paragraph_that_the_model_kept_apart_are_one() -> None:
    plain = page(LEAVE)
    record = merged(plain, f"{LEAVE[:12]}\n\n{LEAVE[12:24]}\n{LEAVE[24:]}")
    assert [block.text for block in record.blocks] == [LEAVE]


# Whose wording.


def test_a_text_layer_wins_on_characters() -> None:
    plain = page(LEAVE, source=Source.TEXT_LAYER)
    record = merged(plain, LEAVE.replace("五天", "五大").replace("带薪", "") + "依法")
    assert record.text == LEAVE


def test_the_model_wins_over_ocr_where_both_agree_around() -> None:
    plain = page(LEAVE.replace("累计", "累汁").replace("连续", "连"))
    record = merged(plain, LEAVE)
    assert record.blocks[0].source is Source.VLM
    assert "累计" in record.text
    assert "连续" not in record.text  # nothing is printed there
    assert box_of(record, "计") == box_of(plain, "汁")


def test_figures_are_ocrs_unless_it_is_unsure() -> None:
    read = "合同总价为人民币1280000元，分三期支付。"
    written = read.replace("1280000", "1230000")
    assert merged(page(read), written).text == read
    assert merged(page(read, confidence=0.6), written).text == written


def test_a_longer_or_shorter_wording_keeps_to_its_place() -> None:
    plain = page(LEAVE.replace("带薪年休假", "帯新年体"))
    record = merged(plain, LEAVE)
    assert "带薪年休假" in record.text
    place = box_of(plain, "帯新年体")
    assert box_of(record, "带薪年休假") == pytest.approx(place, abs=1e-4)


# Nothing lost, nothing made up.


def test_what_the_model_skipped_stays_in_its_place() -> None:
    plain = page(Plain("内部资料", BlockKind.HEADER), ARTICLE, LEAVE, PAY, Plain("- 3 -", BlockKind.FOOTER))
    record = merged(plain, f"{ARTICLE}\n\n{PAY[:20]}")
    assert [block.text for block in record.blocks] == ["内部资料", ARTICLE, LEAVE, PAY, "- 3 -"]
    assert [block.source for block in record.blocks][:3] == [Source.OCR, Source.VLM, Source.OCR]


def test_figures_and_their_labels_stay_whole() -> None:
    plain = page(ARTICLE, Plain("总经理\n人力资源部\n财务部", BlockKind.FIGURE), LEAVE)
    record = merged(plain, f"{ARTICLE}\n\n总经理\n\n人力资源部\n\n财务部\n\n{LEAVE}")
    assert [block.kind for block in record.blocks] == ["text", "figure", "text"]
    assert record.blocks[1].box == plain.blocks[1].box
    assert record.verdict.codes == ()


def test_invented_text_is_flagged_and_kept_out() -> None:
    record = merged(page(ARTICLE, LEAVE), f"{ARTICLE}\n\n{PAY}\n\n{LEAVE}")
    assert record.text == f"{ARTICLE}\n{LEAVE}"
    assert INVENTED in record.verdict.codes


def test_text_that_is_written_twice_is_invented_the_second_time() -> None:
    record = merged(page(ARTICLE, LEAVE), f"{ARTICLE}\n\n{LEAVE}\n\n{ARTICLE}")
    assert record.text == f"{ARTICLE}\n{LEAVE}"
    assert INVENTED in record.verdict.codes


def test_a_line_that_ocr_missed_is_found_in_the_picture() -> None:
    whole = page(f"{ARTICLE}\n{LEAVE}\n{PAY}")
    plain = page(f"{ARTICLE}\n　\n{PAY}")
    missed = [word.box for word in whole.words if word.line == 1]
    record = merged(plain, f"{ARTICLE}\n{LEAVE}\n{PAY}", missed)
    assert record.text.replace("\n", "") == ARTICLE + LEAVE + PAY
    assert record.verdict.codes == ()
    found, printed = box_of(record, LEAVE), Box.union(missed)
    assert found == pytest.approx(printed, abs=0.005)


def test_characters_that_ocr_missed_stand_in_the_gap_between_their_neighbours() -> None:
    whole = page(LEAVE)
    plain = page(LEAVE.replace("带薪", "　　"))
    gap = Box(LEFT + LEAVE.index("带薪") * CHARACTER, TOP, LEFT + (LEAVE.index("带薪") + 2) * CHARACTER, TOP + 0.014)
    record = merged(plain, LEAVE, [gap])
    assert record.text == LEAVE
    assert box_of(record, "带薪") == pytest.approx(box_of(whole, "带薪"), abs=0.005)


@pytest.mark.parametrize("written", ["", PAY + PAY[::-1], "```"])
def test_readings_with_nothing_in_common_leave_the_plain_one(written: str) -> None:
    plain = page(Plain("第一章", BlockKind.TITLE, 1), ARTICLE, LEAVE)
    record = merged(plain, written)
    assert DISAGREE in record.verdict.codes
    assert (INVENTED in record.verdict.codes) == (len(written) > 10)
    assert record.model_copy(update={"verdict": plain.verdict}) == plain


def test_a_paragraph_that_reads_otherwise_makes_the_readers_disagree() -> None:
    other = "".join(reversed(PAY[:12])) + PAY[12:24] + "".join(reversed(PAY[24:]))
    record = merged(page(ARTICLE, LEAVE, PAY), f"{ARTICLE}\n\n{LEAVE}\n\n{other}")
    assert DISAGREE in record.verdict.codes
    assert Counter(PAY) <= Counter(record.text)


def test_a_page_without_plain_text_takes_no_words_from_a_model() -> None:
    plain = page(Plain("", BlockKind.FIGURE))
    record = merged(plain, ARTICLE)
    assert (record.text, record.words) == ("", ())
    assert record.verdict.codes == (INVENTED,)
    unreadable = plain.model_copy(
        update={"verdict": plain.verdict.model_copy(update={"codes": (VerdictCode.UNREADABLE,)})}
    )
    assert merged(unreadable, ARTICLE).verdict.codes == (VerdictCode.UNREADABLE,)


ALPHABET = "年假五天合格不，。 ab12\n"
BLOCKS = st.lists(
    st.builds(Plain, st.text(ALPHABET, max_size=40), st.sampled_from(BlockKind), st.integers(0, 3)), max_size=6
)


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[Plain], str]:
    """Plain blocks, and Markdown that has some of their lines, changed and out of order, and other things."""
    blocks = draw(BLOCKS)
    lines = [line for block in blocks for line in block.text.split("\n")]
    order = draw(st.permutations(lines)) if draw(st.booleans()) else lines
    pieces = []
    for line in order:
        a, b = sorted((draw(st.integers(0, len(line))), draw(st.integers(0, len(line)))))
        change = draw(
            st.sampled_from([line, line[:a] + line[b:], line[:a] + draw(st.text(ALPHABET, max_size=9)) + line[a:]])
        )
        pieces.append(draw(st.sampled_from(["# ", "- ", "", "", "| ", "$", "> "])) + change)
    return blocks, draw(st.sampled_from(["\n", "\n\n", " | "])).join(pieces)


@given(readings(), st.booleans())
def test_of_a_text_layer_every_character_is_kept(readings: tuple[list[Plain], str], has_ink: bool) -> None:
    blocks, written = readings
    plain = page(*blocks, source=Source.TEXT_LAYER)
    record = merged(plain, written, [Box(0, 0, 1, 1)] if has_ink else [])
    kept = Counter("".join(word.text for word in plain.words))
    assert kept <= Counter("".join(word.text for word in record.words))
    if not has_ink:
        assert kept == Counter("".join(word.text for word in record.words))


@given(readings(), st.floats(0, 1))
def test_of_ocr_every_place_keeps_a_wording(readings: tuple[list[Plain], str], confidence: float) -> None:
    blocks, written = readings
    plain = page(*blocks, confidence=confidence)
    record = merged(plain, written)
    for word in plain.words:
        x, y = word.box.center
        assert any(new.box.contains_point(x, y) for new in record.words)


# Blank pages.


def test_blank_pages_are_told_by_their_pixels() -> None:
    white = picture(page(""))
    assert is_blank(white)
    assert is_blank(white - 40)
    noise = (white.astype(int) - abs(np.random.default_rng(0).normal(0, 6, white.shape))).clip(0, 255)
    assert is_blank(noise.astype("uint8"))
    assert not is_blank(picture(page("3")))
    assert not is_blank(picture(page(ARTICLE)))
