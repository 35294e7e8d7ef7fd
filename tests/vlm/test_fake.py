"""The fake: scripted answers, failures, and the record of what it was asked."""

import pytest

from tuwen.errors import ModelUnavailableError
from vlm.base import Decoding, VisionRequest
from vlm.fake import FakeVisionModel, script

ASK = VisionRequest.ask("写了什么？")


def test_a_script_is_spoken_in_order() -> None:
    model = FakeVisionModel(script(["第一页", ModelUnavailableError("没有显存"), "第三页"]))
    assert model.generate([ASK])[0].text == "第一页"
    with pytest.raises(ModelUnavailableError, match="没有显存"):
        model.generate([ASK])
    assert model.generate([ASK])[0].text == "第三页"
    assert model.requests == [ASK] * 3


def test_the_answer_may_depend_on_the_request() -> None:
    model = FakeVisionModel(lambda request: "好" if request.decoding.no_repeat_ngram else "坏坏坏")
    retry = ASK._replace(decoding=Decoding(no_repeat_ngram=20))
    assert [result.text for result in model.generate([ASK, retry])] == ["坏坏坏", "好"]
