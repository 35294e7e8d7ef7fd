"""The search plan: what is encoded, how lists are fused, and the whole plan over a real index."""

from __future__ import annotations

import time
from uuid import UUID, uuid5

import numpy as np
import pytest

from retrieval.base import Filter, IndexPoint, PointPayload, RerankInput, Scored
from retrieval.encoders import build_encoders
from retrieval.fields import DENSE, IMAGE, PAGE, SPARSE, vector_fields
from retrieval.index import open_index
from retrieval.search import (
    SearchQuery,
    SecondStage,
    encode_page,
    encode_passages,
    floors,
    fuse,
    page_input,
    passage_inputs,
    plan,
    rerank_pages,
    search,
)
from tests.retrieval.test_encoders import draw_page
from tuwen.errors import InvalidRequestError
from tuwen.settings import EncoderSettings, IndexSettings, SearchSettings
from tuwen.types import Block, BlockKind, Box, HitKind, PageRecord, Passage, PassageSpan

SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
SETTINGS = SearchSettings()
FLOORS = {DENSE: 0.78}
NAME = "员工手册.pdf"
TEXTS = {
    1: ("目录", "年假 3\n报销 4\n考勤 5"),
    2: ("第一章 总则", "本手册适用于公司全体员工，自二〇二四年三月五日起施行。"),
    3: ("第二章 年假", "员工入职满一年后，每年享有十天带薪休假，须提前两周申请。"),
    4: ("第三章 报销", "差旅费用应在返回后三十天内凭票据提交财务部门，逾期不予受理。"),
    5: ("第四章 考勤", "每日工作八小时，迟到三次记一次旷工。年假期间不计考勤。"),
}


def block(kind: BlockKind, text: str, order: int = 0) -> Block:
    return Block(kind=kind, order=order, box=Box(0, 0, 1, 1), text=text)


def record(page: int, title: str, text: str) -> PageRecord:
    blocks = (
        block(BlockKind.HEADER, "员工手册", 0),
        block(BlockKind.TITLE, title, 1),
        block(BlockKind.TEXT, text, 2),
        block(BlockKind.FOOTER, str(page), 3),
    )
    return PageRecord(page=page, width=595, height=842, blocks=blocks)


def passage(page: int, title: str, text: str) -> Passage:
    return Passage(ordinal=page, text=text, heading_path=(title,), spans=(PassageSpan(page, 0, 1),))


def payload(page: int, **changes) -> PointPayload:
    given = {"tenant": "t", "collection": "c", "document_id": "d", "page": page, "pages": (page,), "ordinal": page}
    return PointPayload(**{**given, "kind": HitKind.TEXT, **changes})


def scored(page: int, score: float, **changes) -> Scored:
    return Scored(uuid5(SPACE, f"{page}{changes}"), score, payload(page, **changes))


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    return build_encoders(EncoderSettings(), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def index(encoders, tmp_path_factory):
    opened = open_index(IndexSettings(), tmp_path_factory.mktemp("index"), vector_fields(encoders))
    points = []
    for tenant in ("t", "other"):
        vectors = encode_passages([passage(n, *text) for n, text in TEXTS.items()], NAME, encoders)
        for (n, text), of_passage in zip(TEXTS.items(), vectors, strict=True):
            where = {"tenant": tenant, "document_id": f"d-{tenant}", "is_contents": n == 1}
            points.append(IndexPoint(uuid5(SPACE, f"{tenant}-{n}"), of_passage, payload(n, **where)))
            of_page = encode_page(record(n, *text), draw_page(n), NAME, encoders)
            points.append(IndexPoint(uuid5(SPACE, f"{tenant}-p{n}"), of_page, payload(n, kind=HitKind.IMAGE, **where)))
    opened.upsert(points)
    yield opened
    opened.close()


class TestInputs:
    def test_passages_are_read_under_their_headings(self):
        long = Passage(ordinal=0, text="正文", heading_path=("一", "二", "三", "四"), spans=(PassageSpan(1, 0, 1),))
        dense, sparse = passage_inputs(long, "合同/采购合同.pdf")
        assert dense == "二 三 四\n正文"
        assert sparse == "采购合同\n二 三 四\n正文"
        assert passage_inputs(passage(1, "", "正文").model_copy(update={"heading_path": ()}), NAME).dense == "正文"

    def test_titles_count_more_than_text_and_running_headers_nothing(self):
        text = page_input(record(3, *TEXTS[3]), "手册.pdf")
        assert text.count("第二章 年假") > text.count("带薪休假") == 1
        assert "员工手册" not in text

    def test_a_page_of_nothing_but_a_header_is_read(self):
        only = PageRecord(page=1, width=1, height=1, blocks=(block(BlockKind.HEADER, "封面"),))
        assert "封面" in page_input(only, NAME)


class TestFusion:
    def test_agreement_beats_one_list(self):
        both = {DENSE: [scored(1, 0.90), scored(2, 0.89)], SPARSE: [scored(2, 9.0), scored(3, 8.9)]}
        assert [page.page for page in fuse(both, SETTINGS, FLOORS)] == [2, 1, 3]

    def test_scores_lie_between_0_and_1_and_raw_ones_are_kept(self):
        pages = fuse(
            {DENSE: [scored(1, 0.9)], SPARSE: [scored(1, 9.0)], PAGE: [scored(1, 12.0, kind=HitKind.IMAGE)]},
            SETTINGS,
            FLOORS,
        )
        assert pages[0].score == pytest.approx(1)
        assert pages[0].scores == {DENSE: 0.9, SPARSE: 9.0, PAGE: 12.0}
        assert pages[0].passages[0].score == pytest.approx(1)
        assert pages[0].passages[0].scores == {DENSE: 0.9, SPARSE: 9.0}
        assert len(pages[0].passages) == 1

    def test_an_empty_list_costs_nothing(self):
        assert fuse({DENSE: [scored(1, 0.9)], SPARSE: [], PAGE: []}, SETTINGS, FLOORS)[0].score == pytest.approx(1)
        assert fuse({DENSE: [], SPARSE: [], PAGE: []}, SETTINGS, FLOORS) == []

    def test_contents_pages_stand_behind_what_they_point_to(self):
        lists = {
            DENSE: [scored(1, 0.93, is_contents=True), scored(7, 0.80)],
            SPARSE: [scored(1, 20.0, is_contents=True), scored(7, 9.0)],
            PAGE: [scored(1, 30.0, is_contents=True), scored(7, 12.0)],
        }
        assert [page.page for page in fuse(lists, SETTINGS, FLOORS)] == [7, 1]
        alone = fuse({SPARSE: [scored(1, 20.0, is_contents=True)]}, SETTINGS, FLOORS)
        assert [page.page for page in alone] == [1]

    def test_a_continued_table_speaks_for_each_of_its_pages(self):
        (first, second) = fuse({SPARSE: [scored(4, 9.0, pages=(4, 5), kind=HitKind.TABLE)]}, SETTINGS, FLOORS)
        assert (first.page, second.page) == (4, 5)
        assert second.passages[0].page == 5
        assert second.passages[0].start_page == 4

    def test_passages_stand_best_first(self):
        lists = {SPARSE: [scored(1, 9.0, ordinal=4), scored(1, 3.0, ordinal=2)], DENSE: [scored(1, 0.8, ordinal=2)]}
        (page,) = fuse(lists, SETTINGS, FLOORS)
        assert [one.ordinal for one in page.passages] == [4, 2]

    def test_a_picture_that_nothing_resembles_scores_low(self):
        assert fuse({IMAGE: [scored(1, 0.2)]}, SETTINGS, FLOORS)[0].score == pytest.approx(0.2)


class TestPlan:
    def ask(self, encoders, index, text, **changes):
        where = Filter(tenant="t", collection="c")
        return search(SearchQuery(text, **{"where": where, **changes}), encoders, index, SETTINGS)

    @pytest.mark.parametrize(
        ("text", "page"),
        [
            ("年假有几天？", 3),
            ("年假", 3),
            ("出差回来多久之内要交发票？", 4),
            ("員工手冊從哪天開始施行？", 2),
            ("2024-03-05", 2),
            ("旷工怎么算", 5),
        ],
    )
    def test_finds_the_page(self, encoders, index, text, page):
        found = self.ask(encoders, index, text)
        assert found[0].page == page
        assert found[0].passages[0].ordinal == page

    def test_a_screenshot_finds_its_page(self, encoders, index):
        shot = np.ascontiguousarray(draw_page(4)[20:-20, 20:-20])
        assert self.ask(encoders, index, "", image=shot)[0].page == 4
        assert self.ask(encoders, index, "手册", image=shot)[0].page == 4

    def test_filters_and_top_k_hold(self, encoders, index):
        assert {page.document_id for page in self.ask(encoders, index, "年假", image=draw_page(4))} == {"d-t"}
        assert len(self.ask(encoders, index, "年假", top_k=2)) == 2
        assert self.ask(encoders, index, "年假", where=Filter(tenant="nobody")) == []

    def test_a_page_comes_once(self, encoders, index):
        pages = [page.page for page in self.ask(encoders, index, "年假 报销 考勤")]
        assert len(pages) == len(set(pages)) == 5

    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_nothing_to_look_for_is_refused(self, encoders, index, text):
        with pytest.raises(InvalidRequestError, match="nothing to search"):
            self.ask(encoders, index, text)

    def test_fusing_full_lists_is_fast(self):
        lists = {name: [scored(i, 9.0 - i / 100) for i in range(100)] for name in (DENSE, SPARSE, PAGE)}
        best = min(self.seconds(lambda: fuse(lists, SETTINGS, FLOORS)) for _ in range(20))
        assert best < 0.01

    @staticmethod
    def seconds(call) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    def test_one_query_a_vector_all_with_the_filter(self, encoders):
        where = Filter(tenant="t")
        queries = plan(SearchQuery("年假", draw_page(1), where), encoders, SETTINGS)
        assert [q.field for q in queries] == [DENSE, SPARSE, PAGE, IMAGE]
        assert {q.filter for q in queries} == {where}
        assert {q.limit for q in queries} == {SETTINGS.prefetch}

    def test_more_pages_than_candidates_can_be_asked_for(self, encoders, tmp_path):
        index = open_index(IndexSettings(), tmp_path, vector_fields(encoders))
        vectors = encoders.sparse.encode_texts([f"年假{'一' * n}" for n in range(15)], "passage")
        pages = [payload(n, kind=HitKind.IMAGE) for n in range(1, 16)]
        index.upsert(
            IndexPoint(uuid5(SPACE, f"many-{page.page}"), {PAGE: vector}, page)
            for page, vector in zip(pages, vectors, strict=True)
        )
        found = search(SearchQuery("年假", top_k=14), encoders, index, SearchSettings(prefetch=10))
        index.close()
        assert len(found) == 14


class Reversing:
    """Turns the order around and scores by position; keeps what it was given."""

    reads = ("text",)

    def rerank(self, query, candidates, inputs):
        self.given = query, list(candidates), list(inputs)
        return [one._replace(score=1 / n) for n, one in enumerate(reversed(candidates), 1)]


def says(candidate) -> RerankInput:
    return RerankInput(f"{candidate.kind} {candidate.ordinal} from {candidate.start_page}")


class TestReranking:
    LISTS = {  # noqa: RUF012
        SPARSE: [scored(4, 9.0, pages=(4, 5)), scored(2, 5.0)],
        PAGE: [scored(9, 3.0, kind=HitKind.IMAGE)],
    }

    def test_pages_take_the_order_and_scores_of_the_reranker(self):
        pages, reranker = fuse(self.LISTS, SETTINGS, FLOORS), Reversing()
        ranked = rerank_pages("年假", pages, SecondStage(reranker, says, 20))
        assert [page.page for page in ranked] == [page.page for page in reversed(pages)]
        assert [page.score for page in ranked] == [1 / n for n in range(1, len(pages) + 1)]
        assert [page.passages for page in ranked] == [page.passages for page in reversed(pages)]
        query, candidates, inputs = reranker.given
        assert query == "年假"
        assert [one.score for one in candidates] == [page.score for page in pages]
        by_page = {one.page: given.text for one, given in zip(candidates, inputs, strict=True)}
        assert by_page == {4: "text 4 from 4", 5: "text 4 from 4", 2: "text 2 from 2", 9: "image 9 from 9"}

    def test_nothing_is_read_for_a_reranker_that_reads_nothing(self):
        reranker = Reversing()
        reranker.reads = ()
        rerank_pages("年假", fuse(self.LISTS, SETTINGS, FLOORS), SecondStage(reranker, pytest.fail, 20))
        assert set(reranker.given[2]) == {RerankInput()}

    def test_the_best_pages_are_scored_again(self, encoders, index):
        query = SearchQuery("年假", where=Filter(tenant="t"), top_k=2)
        everything = search(query._replace(top_k=10), encoders, index, SETTINGS)
        results = dict(zip((DENSE, SPARSE, PAGE), index.query(plan(query, encoders, SETTINGS)), strict=True))
        assert everything == fuse(results, SETTINGS, floors(encoders))
        found = search(query, encoders, index, SETTINGS, SecondStage(Reversing(), says, 4))
        assert [page.page for page in found] == [page.page for page in everything[:4][:-3:-1]]
        found = search(query, encoders, index, SETTINGS, SecondStage(Reversing(), says, 1))  # at least what is wanted
        assert [page.page for page in found] == [page.page for page in everything[:2][::-1]]

    def test_a_picture_alone_is_no_question_to_score_by(self, encoders, index):
        query = SearchQuery("", draw_page(4), Filter(tenant="t"))
        found = search(query, encoders, index, SETTINGS, SecondStage(Reversing(), says, 4))
        assert found == search(query, encoders, index, SETTINGS)
