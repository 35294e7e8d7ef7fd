"""A model answers from ingested pages: it is shown their pictures, and every sentence is located on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.engine.drawing import draw_pdf, report
from tuwen.answering import Found, Inquiry
from tuwen.engine import Tuwen
from tuwen.errors import ModelUnavailableError
from tuwen.settings import Settings
from tuwen.types import Answer, RefusalReason
from vlm.base import Message, VisionRequest
from vlm.fake import FakeVisionModel
from vlm.models import VisionModels

ASKED = "项目1第2期的预算是多少？"


def reply(request: VisionRequest) -> str:
    asked = "".join(part for part in request.messages[-1].parts if isinstance(part, str))
    if "【资料1】" not in asked:
        return f"{len(request.images)} 张图"
    return REPLIES.pop(0)


REPLIES: list[str] = []


@pytest.fixture(scope="module")
def model() -> FakeVisionModel:
    return FakeVisionModel(reply)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model: FakeVisionModel) -> Iterator[Tuwen]:
    folder = tmp_path_factory.mktemp("answers")
    draw_pdf(folder / "in" / "报告.pdf", report(1))
    settings = Settings.model_validate({"ingest": {"workers": 1}, "answer": {"adapter": "vlm", "max_images": 2}})
    with Tuwen.open(settings, folder / "home") as engine:
        models = VisionModels(settings.models, folder)
        models.answer = model
        engine.parts.vision_models = models
        engine.ingest([folder / "in"])
        yield engine


def printed(engine: Tuwen) -> tuple[str, str]:
    """A sentence with a number of the second page, and its number."""
    (document,) = engine.documents()
    text = engine.page(document.document_id, 2).text
    line = next(line for line in text.splitlines() if "预算" in line)
    return line, document.document_id


def test_a_supported_answer_is_cited(engine: Tuwen, model: FakeVisionModel) -> None:
    line, document_id = printed(engine)
    REPLIES[:] = [f"{line}[1]\n火星基地的预算为77万元。[1]", f"{line}[1]"]
    answer = engine.ask(ASKED)
    (citation,) = answer.citations
    assert (citation.document_id, citation.page, citation.verified) == (document_id, 2, True)
    assert citation.boxes
    assert "火星" not in answer.answer
    first = model.requests[0]
    assert len(first.images) == 2
    assert first.images[0].shape[0] > 1000  # the page as it is stored


def test_the_answer_comes_in_steps(engine: Tuwen) -> None:
    line, _ = printed(engine)
    REPLIES[:] = [f"{line}[1]"]
    steps: list[Found | str] = []
    stream = engine.ask_stream(Inquiry(ASKED))
    while True:
        try:
            steps.append(next(stream))
        except StopIteration as end:
            answer: Answer = end.value
            break
    found, said = steps
    assert isinstance(found, Found)
    assert {hit.page for hit in found.hits} == {1, 2, 3}
    assert isinstance(said, str)
    assert answer.answer == f"{said}[1]"


def test_a_follow_up_is_searched_for_with_what_it_follows(engine: Tuwen, tmp_path: Path) -> None:
    REPLIES[:] = ["资料中没有答案。"]
    history = (Message.of("user", "项目1第3期的预算是多少？"), Message.of("assistant", "不清楚。"))
    shot = tmp_path / "shot.png"
    Image.fromarray(np.full((90, 120, 3), 255, np.uint8)).save(shot)
    stream = engine.ask_stream(Inquiry("那是哪一期？", history=history, image=shot))
    found = next(stream)
    assert isinstance(found, Found)
    assert found.hits[0].page == 3
    with pytest.raises(StopIteration) as end:
        next(stream)
    assert end.value.value.reason is RefusalReason.NO_EVIDENCE


def test_images_can_be_talked_about_without_documents(engine: Tuwen, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    Image.fromarray(np.full((90, 120, 3), 7, np.uint8)).save(shot)
    assert "".join(engine.look([shot, shot])) == "2 张图"
    assert "".join(engine.look([shot], [Message.of("user", "这是什么？")])) == "1 张图"


def test_without_a_model_nothing_is_looked_at(tmp_path: Path) -> None:
    with Tuwen.open(Settings(), tmp_path) as engine, pytest.raises(ModelUnavailableError, match="looks at pictures"):
        engine.look([])
