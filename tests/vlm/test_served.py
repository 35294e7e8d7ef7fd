"""The ``openai`` adapter against a server that misbehaves."""

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.vlm import server as serving
from tests.vlm.server import ChatServer, Misbehaviour
from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError
from vlm.base import CancelToken, Decoding, Tiling, VisionRequest
from vlm.served import ServedModel, ServedOptions

ASK = VisionRequest.ask("写了什么？", max_tokens=12)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    made = ChatServer()
    yield made
    made.stop()


@pytest.fixture
def make(server: ChatServer) -> Iterator[Callable[..., ServedModel]]:
    made: list[ServedModel] = []

    def build(**options: Any) -> ServedModel:
        made.append(ServedModel(ServedOptions(**{"model": "tiny", "urls": (server.url,), "timeout_s": 0.6, **options})))
        return made[-1]

    yield build
    for model in made:
        model.close()


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlm.served._LONGEST_WAIT_S", 0.02)


@pytest.mark.parametrize(
    "act",
    [
        serving.status(429, Retry_After="1"),
        serving.status(500),
        serving.status(503),
        serving.reset,
        serving.break_off,
        serving.hang,
    ],
    ids=["429", "500", "503", "reset", "breaks off", "hangs"],
)
def test_what_may_work_later_is_tried_again(
    make: Callable[..., ServedModel], server: ChatServer, act: Misbehaviour
) -> None:
    model = make()
    expected = model.generate([ASK])
    server.misbehaviours.extend([act, act, None])
    assert model.generate([ASK]) == expected
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (serving.status(400), InvalidRequestError, "injected 400"),
        (serving.status(413), InvalidRequestError, "413"),
        (serving.status(401), ConfigurationError, "api_key"),
        (serving.status(404), ModelUnavailableError, "does not serve tiny"),
        (serving.malformed("{"), ModelUnavailableError, "no chat completion"),
        (serving.malformed('{"choices": [{"delta": {"content": 3}}]}'), ModelUnavailableError, "no chat completion"),
        (serving.malformed('{"error": {"message": "worn out"}}'), ModelUnavailableError, "worn out"),
    ],
)
def test_what_will_not_work_later_is_not(
    make: Callable[..., ServedModel], server: ChatServer, act: Misbehaviour, error: type[Exception], says: str
) -> None:
    server.misbehaviours.append(act)
    with pytest.raises(error, match=says):
        make().generate([ASK])
    assert len(server.bodies) == 1


def test_it_gives_up(make: Callable[..., ServedModel], server: ChatServer) -> None:
    server.misbehaviours.extend([serving.status(500)] * 3)
    with pytest.raises(ModelUnavailableError, match=r"injected 500.*asked 3 times"):
        make(attempts=3).generate([ASK])
    assert len(server.bodies) == 3


@pytest.mark.parametrize("act", [serving.without_done, serving.hang_at_the_end])
def test_done_need_not_be_said(make: Callable[..., ServedModel], server: ChatServer, act: Misbehaviour) -> None:
    model = make()
    (expected,) = model.generate([ASK])
    server.misbehaviours.append(act)
    (result,) = model.generate([ASK])
    assert (result.text, result.completion_tokens, result.finish_reason) == (expected.text, 12, "length")
    assert len(server.bodies) == 2


def test_a_stream_that_showed_something_is_not_begun_again(
    make: Callable[..., ServedModel], server: ChatServer
) -> None:
    server.misbehaviours.append(serving.break_off)
    with make().stream(ASK) as stream, pytest.raises(ModelUnavailableError, match="broke off"):
        list(stream)
    assert len(server.bodies) == 1


def test_another_replica_takes_over(make: Callable[..., ServedModel], server: ChatServer) -> None:
    away = ChatServer()
    url = away.url
    away.stop()
    model = make(urls=(url, server.url))
    assert model.description.context_tokens == serving.CONTEXT
    assert [result.finish_reason for result in model.generate([ASK] * 8)] == ["length"] * 8


def test_replicas_share_the_work(make: Callable[..., ServedModel], server: ChatServer) -> None:
    other = ChatServer()
    server.delay_s = other.delay_s = 0.005
    make(urls=(server.url, other.url), concurrency=2).generate([ASK] * 12)
    assert min(len(server.bodies), len(other.bodies)) >= 4
    other.stop()


def test_no_more_requests_are_under_way_than_allowed(make: Callable[..., ServedModel], server: ChatServer) -> None:
    server.delay_s = 0.002
    model = make(concurrency=3)
    threads = [threading.Thread(target=model.generate, args=([ASK] * 5,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.most == 3
    assert len(server.bodies) == 15


def test_cancelling_ends_it_at_the_server_too(make: Callable[..., ServedModel], server: ChatServer) -> None:
    server.delay_s = 0.02
    cancel = CancelToken()
    request = ASK._replace(max_tokens=200, cancel=cancel, new_detector=lambda: lambda _piece: bool(cancel.cancel()))
    (result,) = make().generate([request])
    assert result.finish_reason == "cancelled"
    until = time.monotonic() + 2
    while server.under_way and time.monotonic() < until:
        time.sleep(0.01)
    assert server.under_way == 0


def test_large_images_are_scaled_down(make: Callable[..., ServedModel], server: ChatServer) -> None:
    page = np.random.default_rng(1).integers(0, 256, (200, 100, 3), np.uint8)
    model = make(max_image_pixels=5000)
    model.generate([VisionRequest.ask("甲", page, page[:40, :50], max_tokens=1)])
    large, small = [decode(part) for part in server.bodies[0]["messages"][0]["content"][:2]]
    assert large.size == (50, 100)
    assert np.array_equal(np.asarray(small), page[:40, :50])


def decode(part: dict[str, Any]) -> Image.Image:
    scheme, data = part["image_url"]["url"].split(",")
    assert scheme == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_what_is_sent(make: Callable[..., ServedModel], server: ChatServer) -> None:
    request = VisionRequest.ask("甲", system="乙", max_tokens=3)._replace(
        decoding=Decoding(temperature=0.5, top_p=0.9, seed=7, no_repeat_ngram=20),
        tiling=Tiling(9, 12),
        stop=("一", "二", "三", "四", "五"),
        schema={"type": "object"},
    )
    make(send_tiles=True).generate([request])
    (body,) = server.bodies
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["top_p"], body["seed"], body["max_tokens"]) == (0.5, 0.9, 7, 3)
    assert body["frequency_penalty"] > 0
    assert body["stop"] == ["一", "二", "三", "四"]
    assert body["mm_processor_kwargs"] == {"min_dynamic_patch": 9, "max_dynamic_patch": 12}
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_no_server_says_so(make: Callable[..., ServedModel]) -> None:
    with pytest.raises(ModelUnavailableError, match="cannot be reached"):
        make(urls=("http://127.0.0.1:9/v1",)).generate([ASK])


def test_a_model_that_is_not_served_says_so(make: Callable[..., ServedModel]) -> None:
    with pytest.raises(ModelUnavailableError, match="serves tiny, not large"):
        make(model="large").generate([ASK])


def test_an_address_is_needed(make: Callable[..., ServedModel]) -> None:
    with pytest.raises(ConfigurationError, match="urls"):
        make(urls=())
