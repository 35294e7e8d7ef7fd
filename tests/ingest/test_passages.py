from collections.abc import Iterator, Sequence
from itertools import count, islice

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.passages import build_passages
from ingest.splitting import WordMap, split_text
from tests.ingest.layout_pages import record
from tuwen.settings import PassageSettings
from tuwen.types import BlockKind, HitKind, PageRecord, Passage, PassageSpan, WordSpan, fold_space

TITLE, TEXT, LIST, TABLE = BlockKind.TITLE, BlockKind.TEXT, BlockKind.LIST, BlockKind.TABLE
FIGURE, CAPTION, HEADER, FOOTER = BlockKind.FIGURE, BlockKind.CAPTION, BlockKind.HEADER, BlockKind.FOOTER
SENTENCE = "公司实行每周五天每天八小时工作制。"  # 17 tokens


def tokens(text: str) -> int:
    """A counter that is exactly additive: one a character that prints."""
    return len(fold_space(text))


def cut(*pages: PageRecord, target: int = 60, most: int = 100) -> list[Passage]:
    made = list(build_passages(pages, PassageSettings.model_construct(target_tokens=target, max_tokens=most), tokens))
    assert [passage.ordinal for passage in made] == list(range(len(made)))
    assert all(tokens(passage.text) <= most for passage in made)
    return made


def standing(page: PageRecord, passage: Passage) -> str:
    """What is printed where the passage says that it stands."""
    return "".join(w.text for span in passage.spans for w in page.words[span.start : span.end])


def test_a_heading_starts_a_passage_and_stands_in_its_text() -> None:
    page = record(1, [(TITLE, "1.1 工时"), (TEXT, SENTENCE), (TEXT, SENTENCE), (TITLE, "1.2 打卡"), (TEXT, SENTENCE)])
    first, second = cut(page)
    assert first.text == f"1.1 工时\n{SENTENCE}\n{SENTENCE}"
    assert second.text == f"1.2 打卡\n{SENTENCE}"
    assert standing(page, first) == fold_space(first.text)
    assert len(first.spans) == 1


def test_paragraphs_are_joined_up_to_the_target() -> None:
    page = record(1, [(TEXT, SENTENCE)] * 7)
    assert [passage.text.count(SENTENCE) for passage in cut(page)] == [3, 3, 1]


def test_the_path_of_headings_goes_on_over_pages_without_those_in_the_text() -> None:
    pages = [
        record(1, [(TITLE, "第一章 总则"), (TITLE, "1.1 工时"), (TEXT, SENTENCE)]),
        record(2, [(TEXT, SENTENCE), (TITLE, "1.2 打卡"), (TEXT, SENTENCE)]),
    ]
    assert [(passage.page, passage.heading_path) for passage in cut(*pages)] == [
        (1, ()),
        (2, ("第一章 总则", "1.1 工时")),
        (2, ("第一章 总则",)),
    ]


def test_a_heading_at_the_foot_of_a_page_stays_on_its_page() -> None:
    first, second, third = cut(record(1, [(TEXT, SENTENCE), (TITLE, "1.2 打卡")]), record(2, [(TEXT, SENTENCE)]))
    assert (second.page, second.text) == (1, "1.2 打卡")
    assert (third.page, third.heading_path) == (2, ("1.2 打卡",))
    assert first.page == 1


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    page = record(1, [(TITLE, "1 总则"), (TEXT, SENTENCE * 12)])
    made = cut(page)
    assert len(made) > 2
    assert all(passage.text.endswith("。") for passage in made)
    assert "".join(passage.text for passage in made) == "1 总则\n" + SENTENCE * 12
    assert [passage.heading_path for passage in made] == [(), *[("1 总则",)] * (len(made) - 1)]
    assert "".join(standing(page, passage) for passage in made) == fold_space("1总则" + SENTENCE * 12)


def test_a_list_stays_with_the_sentence_that_leads_into_it() -> None:
    items = "\n".join(f"（{n}）提交材料一份；" for n in "一二三四")
    page = record(1, [(TEXT, SENTENCE * 3), (TEXT, "应提交下列材料："), (LIST, items)])
    _, second = cut(page)
    assert second.text == "应提交下列材料：\n" + items


def test_a_list_too_long_is_cut_between_items() -> None:
    items = "\n".join(f"（{n}）{SENTENCE}" for n in "一二三四五六七八")
    made = cut(record(1, [(TEXT, "包括："), (LIST, items)]))
    assert all(passage.text.endswith("。") and passage.text.startswith(("（", "包括")) for passage in made)


def test_headers_and_footers_are_in_no_passage() -> None:
    page = record(1, [(HEADER, "员工手册"), (TEXT, SENTENCE), (FOOTER, "第 3 页")])
    (only,) = cut(page)
    assert only.text == SENTENCE


def test_a_page_with_nothing_else_can_still_be_found_by_them() -> None:
    (only,) = cut(record(1, [(HEADER, "附件三 平面图"), (FOOTER, "第 3 页")]))
    assert "平面图" in only.text


def test_a_table_is_a_passage_of_its_own_with_its_caption() -> None:
    page = record(1, [(TEXT, SENTENCE), (CAPTION, "表 1 工资"), (TABLE, "岗位 工资\n甲 100\n乙 200"), (TEXT, SENTENCE)])
    before, table, after = cut(page)
    assert (table.kind, table.text) == (HitKind.TABLE, "表 1 工资\n岗位 工资\n甲 100\n乙 200")
    assert (before.kind, after.kind) == (HitKind.TEXT, HitKind.TEXT)


def test_a_long_table_is_cut_between_rows_and_repeats_its_first() -> None:
    rows = "\n".join(f"第{n}号产品 {n}00" for n in range(10, 30))
    page = record(1, [(CAPTION, "表 1 价格"), (TABLE, "产品 单价\n" + rows)])
    made = cut(page)
    assert len(made) > 2
    assert made[0].text.startswith("表 1 价格\n产品 单价\n")
    assert all(passage.text.startswith("产品 单价\n") for passage in made[1:])
    body = [row for passage in made for row in passage.text.split("\n") if row.startswith("第")]
    assert body == rows.split("\n")
    assert all(sorted(standing(page, passage)) == sorted(fold_space(passage.text)) for passage in made)


def test_a_table_that_goes_on_overleaf_keeps_its_header_and_both_pages() -> None:
    pages = [
        record(1, [(TEXT, SENTENCE), (TABLE, "产品 单价\n甲 100\n乙 200"), (FOOTER, "1")]),
        record(2, [(HEADER, "价目表"), (TABLE, "丙 300\n丁 400"), (TEXT, SENTENCE)]),
        record(3, [(TABLE, "戊 500\n己 600")]),
    ]
    table = [passage for passage in cut(*pages) if passage.kind is HitKind.TABLE]
    assert [passage.text for passage in table] == [
        "产品 单价\n甲 100\n乙 200",
        "产品 单价\n丙 300\n丁 400",
        "戊 500\n己 600",
    ]
    assert table[1].page == 2
    assert [span.page for span in table[1].spans] == [2, 1]


def test_a_table_over_three_pages_keeps_its_first_header() -> None:
    pages = [record(1, [(TABLE, "产品 单价\n甲 100")]), *(record(n, [(TABLE, "丙 300\n丁 400")]) for n in (2, 3))]
    assert [passage.text.split("\n")[0] for passage in cut(*pages)] == ["产品 单价"] * 3


def test_a_new_table_overleaf_is_not_continued_unless_it_says_so() -> None:
    start = record(1, [(TABLE, "产品 单价\n甲 100\n乙 200")])
    for rows in ("名称 数量\n丙 3\n丁 4", "丙 300 x\n丁 400 y", "产品 单价\n丙 300"):
        assert cut(start, record(2, [(TABLE, rows)]))[1].text == rows
    assert cut(start, record(3, [(TABLE, "丙 300\n丁 400")]))[1].text == "丙 300\n丁 400"
    said = record(2, [(CAPTION, "表 1 价格（续）"), (TABLE, "丙 300\n丁 400")])
    assert cut(start, said)[1].text == "表 1 价格（续）\n产品 单价\n丙 300\n丁 400"
    captioned = record(2, [(CAPTION, "表 2 重量"), (TABLE, "丙 300\n丁 400")])
    assert cut(start, captioned)[1].text == "表 2 重量\n丙 300\n丁 400"


def test_a_caption_stays_with_its_figure_and_the_heading_with_the_text() -> None:
    page = record(1, [(TITLE, "2 结构"), (FIGURE, "网关 节点"), (CAPTION, "图 1 系统"), (TEXT, SENTENCE)])
    figure, text = cut(page)
    assert (figure.kind, figure.text) == (HitKind.FIGURE, "网关 节点\n图 1 系统")
    assert text.text == f"2 结构\n{SENTENCE}"


def test_a_picture_without_text_is_found_by_its_caption() -> None:
    (figure,) = cut(record(1, [(FIGURE, ""), (CAPTION, "图 1 厂区鸟瞰")]))
    assert (figure.kind, figure.text) == (HitKind.FIGURE, "图 1 厂区鸟瞰")


def test_passages_of_contents_are_marked_and_lead_no_path() -> None:
    pages = [
        record(1, [(TITLE, "目录"), (TEXT, "1 总则 3"), (TITLE, "2 聘用 5")], is_contents=True),
        record(2, [(TITLE, "1 总则"), (TEXT, SENTENCE)]),
        record(3, [(TEXT, SENTENCE)]),
    ]
    first, second, third = cut(*pages)
    assert (first.is_contents, first.heading_path) == (True, ())
    assert not second.is_contents
    assert third.heading_path == ("1 总则",)


def test_pages_stream_and_blocks_are_counted_about_once() -> None:
    taken: list[int] = []
    counted: list[str] = []

    def endless() -> Iterator[PageRecord]:
        for number in count(1):
            taken.append(number)
            yield record(number, [(TITLE, f"{number} 章"), (TEXT, SENTENCE), (TEXT, SENTENCE)])

    def counting(text: str) -> int:
        counted.append(text)
        return tokens(text)

    first = list(islice(build_passages(endless(), PassageSettings(), counting), 5))
    assert [passage.page for passage in first] == [1, 2, 3, 4, 5]
    assert len(taken) == 5
    assert len(counted) <= 3 * 5


BLOCKS = st.lists(
    st.tuples(
        st.sampled_from([TITLE, TEXT, LIST, FIGURE, CAPTION, HEADER, FOOTER]),
        st.text("甲乙丙。，：\n aB1", max_size=90).map(
            lambda text: "\n".join(filter(None, map(str.strip, text.split("\n"))))
        ),
    )
    | st.tuples(
        st.just(TABLE),
        st.lists(
            st.lists(st.text("甲乙1", min_size=1, max_size=9), min_size=2, max_size=2), min_size=1, max_size=12
        ).map(lambda rows: "\n".join(" ".join(row) for row in rows)),
    ),
    max_size=8,
)


@settings(max_examples=150)
@given(st.lists(BLOCKS, max_size=4), st.sampled_from([(20, 30), (60, 80)]))
def test_whatever_stands_on_the_pages_no_passage_is_too_long_and_no_text_is_lost(
    pages: Sequence[list[tuple[BlockKind, str]]], sizes: tuple[int, int]
) -> None:
    records = [record(n, blocks) for n, blocks in enumerate(pages, 1)]
    made = cut(*records, target=sizes[0], most=sizes[1])
    covered = {(span.page, i) for passage in made for span in passage.spans for i in range(span.start, span.end)}
    for page in records:
        for block in page.blocks:
            if block.kind not in (HEADER, FOOTER) and any(char.isalnum() for char in block.text):
                assert {(page.page, i) for i in range(*block.words)} <= covered
    assert all(passage.text.strip() for passage in made)


@given(st.text("甲。，a \n", max_size=60), st.integers(1, 20))
def test_pieces_of_a_text_are_the_text(text: str, most: int) -> None:
    pieces = list(split_text(text, lambda part: len(part) <= most))
    assert "".join(text[a:b] for a, b in pieces) == text
    assert all(b - a <= most for a, b in pieces)


def test_positions_in_a_text_are_words() -> None:
    page = record(1, [(TEXT, "前言"), (TEXT, "单价 100.5 元")])
    words = WordMap("单价 100.5 元", page.words, page.blocks[1].words)
    assert words.span(0, 2) == WordSpan(2, 4)
    assert words.span(3, 8) == WordSpan(4, 5)
    assert words.span(5, 10) == WordSpan(4, 6)
    assert words.span(2, 3) == WordSpan(4, 4)


def test_spans_say_where_a_passage_stands() -> None:
    page = record(4, [(HEADER, "手册"), (TEXT, "甲乙"), (FIGURE, "丙丁"), (TEXT, "戊己")])
    assert [passage.spans for passage in cut(page)] == [
        (PassageSpan(4, 2, 4),),
        (PassageSpan(4, 4, 6),),
        (PassageSpan(4, 6, 8),),
    ]
