"""What every answerer does, whatever is behind it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from retrieval.answerers import build_answerer, stream_answer
from retrieval.base import Answerer, Dialogue, Draft, Encoders
from retrieval.encoders import build_encoders
from retrieval.grounding import verify
from tests.retrieval.pages import evidence_of, page_of, words_in
from tuwen.errors import ConfigurationError
from tuwen.settings import AnswerSettings, EncoderSettings
from tuwen.types import BlockKind, RefusalReason, Verdict, VerdictCode, fold_space
from vlm.base import Message, VisionRequest
from vlm.fake import FakeVisionModel
from vlm.tasks.answer import AnswerWriter
from vlm.tasks.asking import TaskOptions

HANDBOOK = evidence_of(
    page_of(
        (BlockKind.HEADER, "星河公司员工手册"),
        (BlockKind.TITLE, "第四章 休假"),
        "员工入职满一年后，每年享有十天带薪年假。病假须提供二级以上医院出具的证明，三天以内由部门经理批准。",
        (BlockKind.TITLE, "第五章 差旅"),
        (BlockKind.TABLE, "城市 住宿标准 伙食补助\n北京 500元 120元\n成都 400元 100元"),
    )
)
CANTEEN = evidence_of(
    page_of((BlockKind.TITLE, "食堂须知"), "早餐时间为七点至八点半，由后勤部李建国负责。", page=2), score=0.6
)
OLD = evidence_of(page_of((BlockKind.TITLE, "差旅办法"), "出差住宿费每晚不超过450元。"), document="old")
NEW = evidence_of(page_of((BlockKind.TITLE, "差旅办法"), "出差住宿费每晚不超过500元。"), document="new")

REPLIES = {
    "年假有几天": "员工满一年后每年有10天带薪年假。[1]「每年享有十天带薪年假」",
    "病假由谁批准": "三天以内的病假由部门经理批准。[1]「三天以内由部门经理批准」",
    "早餐由谁负责": "早餐由后勤部李建国负责。[2]「由后勤部李建国负责」",
    "住宿标准是多少": "北京的住宿标准为500元。[1]「北京 500元」",
    "不超过多少元": "出差住宿费每晚不超过450元。[1]「每晚不超过450元」",
}


def reply(request: VisionRequest) -> str:
    """As a good model would."""
    asked = "".join(part for part in request.messages[-1].parts if isinstance(part, str))
    return next((said for question, said in REPLIES.items() if question in asked), "资料中没有答案。")


def writer() -> AnswerWriter:
    return AnswerWriter(FakeVisionModel(reply), TaskOptions())


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    return build_encoders(EncoderSettings(), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module", params=["extractive", "vlm"])
def answerer(request: pytest.FixtureRequest, encoders: Encoders) -> Answerer:
    return build_answerer(AnswerSettings(adapter=request.param), encoders, writer())


def test_it_is_an_answerer(answerer: Answerer) -> None:
    assert isinstance(answerer, Answerer)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("年假有几天？", "十天带薪年假"),
        ("病假由谁批准？", "部门经理批准"),
        ("早餐由谁负责？", "李建国"),
        ("在北京出差的住宿标准是多少？", "500元"),
    ],
)
def test_answers_rest_on_what_is_printed(answerer: Answerer, question: str, expected: str) -> None:
    evidence = [HANDBOOK, CANTEEN]
    draft = answerer.answer(question, evidence)
    assert draft.reason is None
    assert 0 < draft.confidence <= 1
    grounded = verify(draft, evidence)
    assert len(re.findall(r"\[\d+\]", grounded.text)) >= len(draft.claims)
    assert any(expected in fold_space(citation.quote) for citation in grounded.citations)
    for citation in grounded.citations:
        page = next(item.record for item in evidence if item.record.page == citation.page)
        assert fold_space(citation.quote) in words_in(page, citation.boxes)


def test_no_evidence_is_a_refusal(answerer: Answerer) -> None:
    draft = answerer.answer("年假有几天？", [])
    assert (draft.reason, draft.claims) == (RefusalReason.NO_EVIDENCE, ())


def test_refuses_what_the_pages_do_not_hold(answerer: Answerer) -> None:
    assert answerer.answer("木星的质量是地球的多少倍？", [HANDBOOK]).reason is RefusalReason.NO_EVIDENCE


def test_a_refusal_names_an_unreadable_source(answerer: Answerer) -> None:
    smudge = evidence_of(page_of("曰月囗目 川乂丶一", verdict=Verdict(codes=(VerdictCode.LOW_OCR_CONFIDENCE,))))
    assert answerer.answer("木星的质量是地球的多少倍？", [smudge]).reason is RefusalReason.UNREADABLE_SOURCE


def test_documents_that_disagree_are_both_cited(answerer: Answerer) -> None:
    draft = answerer.answer("出差住宿费每晚不超过多少元？", [OLD, NEW])
    assert draft.conflict
    assert {citation.document_id for citation in verify(draft, [OLD, NEW]).citations} == {"old", "new"}
    assert not answerer.answer("出差住宿费每晚不超过多少元？", [OLD, OLD._replace(document_id="copy")]).conflict


def test_any_answerer_can_be_streamed(answerer: Answerer) -> None:
    said: list[str] = []
    draft = drain(lambda: stream_answer(answerer, "年假有几天？", [HANDBOOK]), said)
    assert said == [claim.text for claim in draft.claims]
    assert draft == answerer.answer("年假有几天？", [HANDBOOK])
    refused: list[str] = []
    assert drain(lambda: stream_answer(answerer, "木星的质量是地球的多少倍？", [HANDBOOK]), refused).reason
    assert refused == []


def test_a_dialogue_does_no_harm(answerer: Answerer) -> None:
    history = (Message.of("user", "你好"), Message.of("assistant", "您好，请提问。"))
    picture = page_picture()
    draft = answerer.answer("年假有几天？", [HANDBOOK], Dialogue(history, picture))
    assert draft == answerer.answer("年假有几天？", [HANDBOOK])


def test_a_model_answers_only_where_there_is_one(encoders: Encoders) -> None:
    with pytest.raises(ConfigurationError, match=r"models\.answer\.adapter"):
        build_answerer(AnswerSettings(adapter="vlm"), encoders)


def page_picture():
    import numpy as np

    return np.full((80, 60, 3), 255, np.uint8)


def drain(start: Callable, said: list[str]) -> Draft:
    steps = start()
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return end.value
