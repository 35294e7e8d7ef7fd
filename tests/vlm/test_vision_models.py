"""Conformance of the ``VisionModel`` seam, over all adapters."""

from collections.abc import Callable

import numpy as np
import pytest

from vlm.base import VisionModel, VisionRequest
from vlm.fake import FakeVisionModel

MODELS: dict[str, Callable[[], VisionModel]] = {"fake": FakeVisionModel}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> VisionModel:
    return MODELS[request.param]()


def picture(shade: int) -> np.ndarray:
    return np.full((28, 42, 3), shade, np.uint8)


def test_is_a_vision_model(model: VisionModel) -> None:
    assert isinstance(model, VisionModel)
    assert model.fingerprint


def test_one_result_a_request_in_order(model: VisionModel) -> None:
    requests = [VisionRequest(f"第{i}页写了什么？", (picture(i),)) for i in range(4)]
    together = model.generate(requests)
    assert together == [model.generate([request])[0] for request in requests]
    assert len({result.text for result in together}) == len(requests)


def test_permuted_images_permute_results(model: VisionModel) -> None:
    requests = [VisionRequest("写了什么？", (picture(shade),)) for shade in (10, 120, 240)]
    forward = [result.text for result in model.generate(requests)]
    backward = [result.text for result in model.generate(requests[::-1])]
    assert backward == forward[::-1]
    assert len(set(forward)) == len(forward)


def test_stream_gives_the_same_text(model: VisionModel) -> None:
    request = VisionRequest("写了什么？", (picture(7), picture(8)))
    assert "".join(model.stream(request)) == model.generate([request])[0].text


def test_stops_at_the_token_limit(model: VisionModel) -> None:
    (result,) = model.generate([VisionRequest("写了什么？", (picture(1),), max_tokens=3)])
    assert result.completion_tokens == 3
    assert result.finish_reason == "length"


def test_no_requests_no_results(model: VisionModel) -> None:
    assert model.generate([]) == []
