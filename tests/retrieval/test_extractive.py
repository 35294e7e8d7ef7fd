"""The extractive answerer quotes what answers, refuses what does not, and says when documents disagree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from retrieval.answerers import build_answerer
from retrieval.answerers.answer_types import lacks_type, type_match, values
from retrieval.answerers.calibration import Calibration, LinearModel
from retrieval.answerers.conflict import contradict
from retrieval.answerers.extractive import ExtractiveAnswerer
from retrieval.answerers.question import Kind, analyze_question, information
from retrieval.answerers.ranking import QUESTION_FEATURES, UNIT_FEATURES, missing, rank
from retrieval.answerers.selection import Said, claims, select
from retrieval.answerers.trimming import WINDOW_FEATURES, trim
from retrieval.answerers.units import Unit, units_of
from retrieval.base import Answerer, Claim, Draft, Encoder, Quote, Vector
from retrieval.encoders import build_encoders
from retrieval.grounding import verify
from tests.retrieval.pages import evidence_of, page_of, words_in
from tuwen.settings import AnswerSettings, EncoderSettings
from tuwen.types import (
    BlockKind,
    HitKind,
    Passage,
    PassageSpan,
    RefusalReason,
    Verdict,
    VerdictCode,
    WordSpan,
    fold_space,
)

HANDBOOK = page_of(
    (BlockKind.HEADER, "星河公司员工手册"),
    (BlockKind.TITLE, "第四章 休假"),
    "员工入职满一年后，每年享有十天带薪年假。年假应当在当年休完，未休部分最多顺延至次年三月底。"
    "病假须提供二级以上医院出具的证明，三天以内由部门经理批准。因为门诊费用由医疗保险支付，公司不再另行补贴。",
    (BlockKind.TITLE, "第五章 差旅"),
    (BlockKind.TABLE, "城市 住宿标准 伙食补助\n北京 500元 120元\n成都 400元 100元"),
    "报销所需材料包括：",
    (BlockKind.LIST, "出差申请单\n住宿发票\n行程单"),
)
CANTEEN = page_of(
    (BlockKind.TITLE, "食堂须知"), "食堂供应早餐和午餐。早餐时间为七点至八点半，由后勤部李建国负责。", page=2
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return build_encoders(EncoderSettings(), tmp_path_factory.mktemp("home")).dense


@pytest.fixture(scope="module")
def answerer(encoder: Encoder) -> ExtractiveAnswerer:
    return ExtractiveAnswerer(AnswerSettings(), encoder)


EVIDENCE = [evidence_of(HANDBOOK), evidence_of(CANTEEN, score=0.6)]


@pytest.mark.parametrize(
    ("question", "kind", "unit"),
    [
        ("年假有多少天？", Kind.NUMBER, "天"),
        ("這家公司有幾個部門？", Kind.NUMBER, "部"),
        ("公司是什么时候成立的？", Kind.DATE, ""),
        ("報到日期為何時？", Kind.DATE, ""),
        ("合同由谁签署？", Kind.PERSON, ""),
        ("总部位于哪里？", Kind.PLACE, ""),
        ("他在哪部电影中担任主角？", Kind.TITLE, ""),
        ("为什么要提交证明？", Kind.REASON, ""),
        ("公司后来改名为什么？", Kind.OTHER, ""),
        ("什么是包干制？", Kind.DEFINITION, ""),
        ("报销需要哪些材料？", Kind.LIST, ""),
        ("怎样申请年假？", Kind.MANNER, ""),
        ("", Kind.OTHER, ""),
    ],
)
def test_questions_are_understood(question: str, kind: Kind, unit: str) -> None:
    asked = analyze_question(question)
    assert (asked.kind, asked.unit) == (kind, unit)


@pytest.mark.parametrize(
    ("question", "fits", "does_not"),
    [
        ("2019年后哪一年上市？", "公司于2021年上市", "2019年没有上市"),
        ("有多少米长？", "全长1122米", "共三座桥"),
        ("谁是负责人？", "由李建国负责", "由后勤部负责"),
        ("他写了哪本书？", "著有《清代图书事业》", "著有图书一部"),
        ("为什么停业？", "由于装修停业", "装修中"),
    ],
)
def test_answer_types(question: str, fits: str, does_not: str) -> None:
    asked = analyze_question(question)
    assert type_match(asked, fits) > type_match(asked, does_not)


def test_names_tell_more_than_common_words() -> None:
    assert information("梧桐树协议") > information("协议") > information("什么") > information("的")
    assert missing({"年假": 9.0, "星河": 1.0}, "年假十天") == pytest.approx(0.1)
    assert missing({"带薪年假": 6.0}, "年假十天") == pytest.approx(2 / 3)
    assert missing({}, "") == 0.0


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("耐高温密封圈的使用寿命是多少年？", {"使用寿命"}),
        ("董事长毕业于哪所大学？", {"毕业", "大学"}),
        ("谁负责这个项目？", {"负责"}),
        ("介绍一下年假", set()),
    ],
)
def test_what_is_asked_stands_beside_the_question_word(question: str, asked: set[str]) -> None:
    assert set(analyze_question(question).asked) == asked


def test_a_unit_may_lack_the_kind_or_the_unit_of_what_is_asked_for() -> None:
    assert lacks_type(analyze_question("使用寿命是多少年？"), "单价为3.60元")
    assert not lacks_type(analyze_question("使用寿命是多少年？"), "可使用5年")
    assert not lacks_type(analyze_question("为什么停用？"), "单价为3.60元")


def test_units_carry_headings_columns_and_what_a_lead_in_announces() -> None:
    units = {unit.text: unit for unit in units_of(EVIDENCE)}
    assert units["北京 500元 120元"].reading == "城市：北京；住宿标准：500元；伙食补助：120元"
    assert units["北京 500元 120元"].heading == "第五章 差旅"
    assert units["员工入职满一年后，每年享有十天带薪年假。"].heading == "第四章 休假"
    assert "报销所需材料包括：\n出差申请单\n住宿发票\n行程单" in units
    assert "第四章 休假" not in units
    assert "城市 住宿标准 伙食补助" not in units


def test_a_counted_series_stays_together() -> None:
    record = page_of("监事会职责有三项：一是检查财务；二是监督高管；三是提议召开会议。任期三年。")
    assert [unit.text for unit in units_of([evidence_of(record)])] == [
        "监事会职责有三项：一是检查财务；二是监督高管；三是提议召开会议。",
        "二是监督高管；",
        "三是提议召开会议。",
        "任期三年。",
    ]


@pytest.mark.parametrize(
    "next_part",
    [
        [(BlockKind.TITLE, "第六章 培训"), "每年培训两次。"],
        [(BlockKind.FOOTER, "第 7 页"), (BlockKind.TABLE, "城市 标准\n北京 500元")],
        [(BlockKind.TABLE, "城市 住宿标准 伙食补助\n北京 500元 120元\n成都 400元 100元")],
    ],
)
def test_a_lead_in_announces_only_what_is_printed_right_after_it(next_part: list[str | tuple[BlockKind, str]]) -> None:
    evidence = [evidence_of(page_of("住宿费按城市分档，标准如下：", *next_part))]
    lead = units_of(evidence)[0]
    assert lead.text == "住宿费按城市分档，标准如下："
    quote = Quote(lead.text, "d1", 1, lead.words)
    assert verify(Draft((Claim(lead.text, (quote,)),), 1.0), evidence).citations


def test_units_know_their_words() -> None:
    for unit in units_of(EVIDENCE):
        record = EVIDENCE[unit.evidence].record
        assert "".join(record.words[i].text for i in range(*unit.words)) == fold_space(unit.text)


def test_headings_of_a_continued_section_come_from_its_passage() -> None:
    record = page_of("住宿费按城市分为三档。", (BlockKind.TITLE, "第六章 培训"), "每年培训两次。", page=3)
    above = Passage(
        ordinal=0,
        kind=HitKind.TEXT,
        text="",
        heading_path=("第五章 差旅",),
        spans=(PassageSpan(3, 0, len(record.words)),),
    )
    headings = [unit.heading for unit in units_of([evidence_of(record)._replace(passages=(above,))])]
    assert headings == ["第五章 差旅", "第六章 培训"]
    own = above.model_copy(
        update={
            "heading_path": ("第二部分", "第六章 培训"),
            "spans": (PassageSpan(3, record.blocks[2].words.start, 99),),
        }
    )
    headings = [unit.heading for unit in units_of([evidence_of(record)._replace(passages=(own,))])]
    assert headings == ["", "第二部分 第六章 培训"]


def test_a_bare_page_answers_with_its_titles() -> None:
    assert [unit.text for unit in units_of([evidence_of(page_of((BlockKind.TITLE, "年度报告")))])] == ["年度报告"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("年假有几天？", "每年享有十天带薪年假"),
        ("年假有幾天？", "每年享有十天带薪年假"),
        ("在北京出差的住宿标准是多少？", "北京 · 住宿标准：500元"),
        ("报销需要哪些材料？", "住宿发票"),
        ("早餐由谁负责？", "李建国"),
        ("病假由谁批准？", "部门经理批准"),
    ],
)
def test_answers_are_verbatim_and_cited(answerer: ExtractiveAnswerer, question: str, expected: str) -> None:
    draft = answerer.answer(question, EVIDENCE)
    assert draft.reason is None
    assert expected in "".join(claim.text for claim in draft.claims)
    grounded = verify(draft, EVIDENCE)
    quotes = [quote.text for claim in draft.claims for quote in claim.quotes]
    assert {fold_space(citation.quote) for citation in grounded.citations} == set(map(fold_space, quotes))
    for citation in grounded.citations:
        page = next(item.record for item in EVIDENCE if item.record.page == citation.page)
        assert fold_space(citation.quote) in words_in(page, citation.boxes)


@pytest.mark.parametrize(
    "question", ["梧桐树协议是哪一年签订的？", "木星的质量是地球的多少倍？", "马来穿山甲的别称是什么？"]
)
def test_refuses_what_the_pages_do_not_hold(answerer: ExtractiveAnswerer, question: str) -> None:
    draft = answerer.answer(question, EVIDENCE)
    assert draft.reason is RefusalReason.NO_EVIDENCE
    assert draft.confidence < 0.5


def test_refusal_names_an_unreadable_source(answerer: ExtractiveAnswerer) -> None:
    verdict = Verdict(codes=(VerdictCode.LOW_OCR_CONFIDENCE,))
    smudge = evidence_of(page_of("曰月囗目 川乂丶一 亠冂冖", verdict=verdict))
    assert answerer.answer("年假有几天？", [smudge]).reason is RefusalReason.UNREADABLE_SOURCE
    nothing = evidence_of(page_of(verdict=Verdict(codes=(VerdictCode.UNREADABLE,))))
    assert answerer.answer("年假有几天？", [nothing]).reason is RefusalReason.UNREADABLE_SOURCE


def test_blank_pages_and_those_that_ocr_read_instead_are_no_unreadable_sources(answerer: ExtractiveAnswerer) -> None:
    blank = evidence_of(page_of(verdict=Verdict(codes=(VerdictCode.BLANK,))))
    assert answerer.answer("年假有几天？", [blank]).reason is RefusalReason.NO_EVIDENCE
    verdict = Verdict(codes=(VerdictCode.GARBLED_TEXT_LAYER,))
    read = evidence_of(page_of((BlockKind.TITLE, "食堂须知"), "食堂供应早餐和午餐。", verdict=verdict))
    assert answerer.answer("木星的质量是地球的多少倍？", [read]).reason is RefusalReason.NO_EVIDENCE


def test_no_evidence_is_a_refusal(answerer: ExtractiveAnswerer) -> None:
    draft = answerer.answer("年假有几天？", [])
    assert (draft.reason, draft.claims) == (RefusalReason.NO_EVIDENCE, ())


def test_documents_that_disagree_are_both_cited(answerer: ExtractiveAnswerer) -> None:
    old = evidence_of(page_of((BlockKind.TITLE, "差旅办法"), "出差住宿费每晚不超过450元。"), document="old")
    new = evidence_of(page_of((BlockKind.TITLE, "差旅办法"), "出差住宿费每晚不超过500元。"), document="new")
    draft = answerer.answer("出差住宿费每晚不超过多少元？", [old, new])
    assert draft.conflict
    assert {claim.quotes[0].document_id for claim in draft.claims} == {"old", "new"}
    assert {citation.document_id for citation in verify(draft, [old, new]).citations} == {"old", "new"}
    assert not answerer.answer("出差住宿费每晚不超过多少元？", [old, old._replace(document_id="copy")]).conflict


@pytest.mark.parametrize(
    ("question", "other", "expected"),
    [
        ("2023年营业收入是多少？", "2023年营业收入为110万元。", True),
        ("2023年营业收入是多少？", "2023年营业收入为100万元。", False),
        ("2023年营业收入是多少？", "2024年营业收入为110万元。", False),
        ("2023年营业收入是多少？", "该公司在华东地区共有110名员工。", False),
        ("为什么营业收入增长？", "2023年营业收入为110万元。", False),
    ],
)
def test_contradictions_are_the_same_sentence_with_another_value(question: str, other: str, expected: bool) -> None:
    assert contradict(analyze_question(question), "2023年营业收入为100万元。", other) is expected


def test_values_of_a_kind() -> None:
    assert values(Kind.NUMBER, "2023年收入100万元") == ["100万元"]
    assert values(Kind.DATE, "2023年收入100万元") == ["2023年"]
    assert values(Kind.PERSON, "2023年") == []


def units(*lengths: int, page: Sequence[int] = ()) -> list[Unit]:
    starts = np.cumsum([0, *lengths]).tolist()
    return [
        Unit(page[i] if page else 0, i, "字" * n, "", "", WordSpan(starts[i], starts[i] + n))
        for i, n in enumerate(lengths)
    ]


def selected(found: list[Unit], shares: Sequence[float], per_char: float, max_chars: int) -> list[int]:
    chosen = select(np.array(shares), lambda i: Said(found[i], found[i].text), per_char, max_chars)
    return [found.index(said.unit) for said in chosen]


def test_selection_weighs_gain_against_length() -> None:
    shares = [0.2, 0.5, 0.3]
    assert selected(units(20, 20, 20), shares, 0.0045, 80) == [1, 2, 0]
    assert selected(units(20, 20, 20), shares, 0.006, 80) == [1, 2]
    assert selected(units(20, 20, 20), shares, 0.006, 40) == [1]
    assert selected(units(20, 20, 200), shares, 0.0001, 80) == [1, 0]
    assert selected(units(20, 300, 20), shares, 0.0001, 80) == [1]


def test_neighbours_become_one_claim_and_pages_keep_their_rank() -> None:
    first, second, third = (Said(unit, unit.text) for unit in units(4, 4, 4, page=(1, 1, 0)))
    made = claims([second, third, first], [evidence_of(CANTEEN, document="d0"), evidence_of(CANTEEN, document="d1")])
    assert [(claim.text, claim.quotes[0].document_id) for claim in made] == [
        ("字字字字\n字字字字", "d1"),
        ("字" * 4, "d0"),
    ]
    assert made[0].quotes[0].words == WordSpan(0, 8)


def test_a_long_sentence_is_cut_to_the_clauses_that_answer(encoder: Encoder) -> None:
    text = (
        "星河园区的变电站位于园区东北角，占地三百平方米，由两台干式变压器和一套备用柴油发电机组成，"
        "每年八月例行检修一次，检修期间由物业公司提前三天张贴通知，并安排临时照明。"
    )
    ranking = rank("变电站每年几月检修？", [evidence_of(page_of((BlockKind.TITLE, "变电站"), text))], encoder)
    calibration = Calibration.load()
    (unit,) = ranking.units
    short = trim(ranking, unit, calibration.trimming, per_char=0.01)
    assert "每年八月例行检修一次" in short
    assert short in text
    assert len(short) < len(text)
    assert trim(ranking, unit, calibration.trimming, per_char=0.0) == text
    assert trim(ranking, unit._replace(text=text[:50], reading=text[:50]), calibration.trimming, 0.01) == text[:50]


class _Constant:
    """An encoder for which all texts are alike."""

    def __init__(self) -> None:
        self.texts = 0

    def encode_texts(self, texts: Sequence[str], role: str) -> list[Vector]:
        self.texts += len(texts)
        return [np.array([1.0, 0.0], np.float32) for _ in texts]


def test_few_units_are_encoded() -> None:
    long = page_of("。".join(f"第{i}条 员工应当遵守规定" for i in range(100)), rows=200)
    encoder = _Constant()
    ranking = rank("第37条规定了什么？", [evidence_of(long)], encoder)
    assert encoder.texts <= 11
    assert any("第37条" in unit.text for unit in ranking.units)
    assert ranking.features.shape == (len(ranking.units), len(UNIT_FEATURES))


def test_the_shipped_numbers_fit_the_features() -> None:
    calibration = Calibration.load()
    assert calibration.ranking.features == UNIT_FEATURES
    assert calibration.refusal.features == QUESTION_FEATURES
    assert calibration.trimming.features == WINDOW_FEATURES
    with pytest.raises(ValueError, match="equally long"):
        LinearModel(features=("a",), mean=(0.0,), scale=(1.0,), weights=())


def test_build_answerer(tmp_path: object) -> None:
    built = build_answerer(AnswerSettings(), build_encoders(EncoderSettings(), tmp_path))
    assert isinstance(built, Answerer)
