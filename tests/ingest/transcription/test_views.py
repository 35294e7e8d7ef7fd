"""What a model is shown of a page, and where its words about it go."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.passages import build_passages
from ingest.transcription import bands, figures, with_captions
from retrieval.matching import matched_boxes
from retrieval.search import page_input, passage_inputs
from tests.ingest.transcription.pages import PIXELS, Plain, page, picture
from tuwen.settings import PassageSettings
from tuwen.types import BlockKind, Box, HitKind, PageRecord
from tuwen.views import hit_text, page_view

FIGURE = Plain("", BlockKind.FIGURE)
CHART = "柱状图《各季度收入》：逐季上升。"


def with_figure(record: PageRecord, box: Box) -> PageRecord:
    blocks = [b.model_copy(update={"box": box}) if b.kind is BlockKind.FIGURE else b for b in record.blocks]
    return record.model_copy(update={"blocks": tuple(blocks)})


@given(st.lists(st.integers(0, 40), max_size=3))
def test_bands_cover_the_page_and_cut_no_line(empty: list[int]) -> None:
    record = page("\n".join("　" if n in empty else "年假五天" for n in range(45)))
    made = bands(record)
    assert (made[0][0], made[-1][1]) == (0.0, 1.0)
    for (_, end), (start, _) in pairwise(made):
        assert end == start
        assert not any(word.box.y0 <= end <= word.box.y1 for word in record.words)


def test_a_page_that_is_full_is_cut_all_the_same() -> None:
    word = page("字").words[0].model_copy(update={"box": Box(0, 0, 1, 1)})
    assert [round(y, 2) for _, y in bands(page("字").model_copy(update={"words": (word,)}))] == [0.33, 0.67, 1.0]


def test_figures_are_shown_with_their_surroundings_and_what_is_printed_there() -> None:
    first, other = Plain("图1 各季度收入", BlockKind.CAPTION), Plain("图2 别的", BlockKind.CAPTION)
    record = with_figure(page("前文说明收入。", FIGURE, first, "后文。", other), Box(0.2, 0.06, 0.6, 0.09 + 0.2))
    (figure,) = figures(record, picture(record))
    assert figure.order == 1
    assert figure.nearby == "图1 各季度收入\n前文说明收入。"
    height, width = figure.image.shape[:2]
    assert abs(height - 0.29 * PIXELS) <= 2
    assert abs(width - 0.46 * 707) <= 2


def test_ornaments_are_not_described() -> None:
    record = with_figure(page(FIGURE), Box(0, 0, 0.05, 0.05))
    assert figures(record, picture(record)) == []


def test_captions_are_searched_and_marked_and_no_text_of_the_page() -> None:
    record = with_captions(page("正文一段。", FIGURE, "正文二段。"), "讲收入。关键词：年报", {1: CHART})
    assert CHART not in record.text
    assert CHART not in record.markdown
    assert "年报" not in record.text
    view = page_view("d", record)
    assert (view["caption"], view["blocks"][1]["caption"]) == ("讲收入。关键词：年报", CHART)
    indexed = page_input(record, "年报.pdf")
    assert CHART in indexed
    assert "讲收入" in indexed
    _, figure, _ = build_passages([record], PassageSettings(), len)
    assert (figure.kind, figure.text, figure.caption) == (HitKind.FIGURE, "", CHART)
    assert CHART in passage_inputs(figure, "年报.pdf").dense
    assert CHART in passage_inputs(figure, "年报.pdf").sparse
    assert matched_boxes("收入", record, figure) == (record.blocks[1].box,)
    assert hit_text(figure) == f"（模型描述）{CHART}"


def test_a_page_that_only_a_model_can_describe_is_found() -> None:
    record = with_captions(page(), "一张水泵的照片。", {})
    (passage,) = build_passages([record], PassageSettings(), len)
    assert (passage.kind, passage.text, passage.caption) == (HitKind.FIGURE, "", "一张水泵的照片。")
    assert matched_boxes("水泵", record, passage) == (Box(0, 0, 1, 1),)


def test_without_captions_nothing_changes() -> None:
    record = page("正文一段。", FIGURE)
    (passage,) = build_passages([record], PassageSettings(), len)
    assert (passage.text, passage.caption) == ("正文一段。", "")
    assert hit_text(passage) == "正文一段。"
