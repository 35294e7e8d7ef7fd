"""Conformance of the ``VisionModel`` seam, over all adapters: what any of them may be relied on for."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.vlm import llava
from tests.vlm.golden import CHECKPOINT
from tests.vlm.server import ChatServer
from tuwen.errors import InvalidRequestError, ModelUnavailableError
from vlm.base import CancelToken, Decoding, Message, Tiling, VisionModel, VisionRequest
from vlm.fake import FakeVisionModel
from vlm.internvl.model import InternVL, InternVLOptions
from vlm.native import NativeModel, NativeOptions
from vlm.served import ServedModel, ServedOptions

MODELS: dict[str, Callable[[Path], VisionModel]] = {
    "fake": lambda _cache: FakeVisionModel(context_tokens=10_000),
    "internvl": lambda cache: InternVL(InternVLOptions(str(CHECKPOINT)), cache),
    "openai": lambda _cache: ServedModel(ServedOptions("tiny", (_server().url,))),
    "transformers": lambda cache: NativeModel(NativeOptions(str(_llava(cache)))),
}
"""Makes each adapter, given a folder for what it keeps."""


@functools.cache
def _server() -> ChatServer:
    return ChatServer()


def _llava(cache: Path) -> Path:
    if not (folder := cache / "llava").exists():
        llava.save(folder)
    return folder


@pytest.fixture(scope="module", params=MODELS)
def make(request: pytest.FixtureRequest, cache: Path) -> Callable[[], VisionModel]:
    return lambda: MODELS[request.param](cache)


@pytest.fixture(scope="module")
def model(make: Callable[[], VisionModel]) -> Iterator[VisionModel]:
    made = make()
    yield made
    made.close()


def picture(shade: int) -> np.ndarray:
    image = np.full((28, 42, 3), shade, np.uint8)
    image[:14, :21] = 255 - shade
    return image


def ask(text: str = "写了什么？", *shades: int, max_tokens: int = 12) -> VisionRequest:
    return VisionRequest.ask(text, *map(picture, shades), max_tokens=max_tokens)


def dialogue(*turns: tuple[str, str]) -> VisionRequest:
    return VisionRequest(tuple(Message.of(role, text) for role, text in turns), 12)  # type: ignore[arg-type]


def test_is_a_vision_model(model: VisionModel) -> None:
    assert isinstance(model, VisionModel)
    assert model.description.fingerprint
    assert model.description.name


def test_facts_are_told(model: VisionModel) -> None:
    facts = model.facts()
    assert facts.format
    assert facts.batch >= 1
    assert 0 < facts.context_tokens <= model.description.context_tokens


def test_one_result_a_request_in_order(model: VisionModel) -> None:
    requests = [ask(f"第{number}页写了什么？", 60 * number) for number in range(4)]
    together = model.generate(requests)
    assert together == [model.generate([request])[0] for request in requests]
    assert len({result.text for result in together}) > 1


def test_permuted_images_permute_results(model: VisionModel) -> None:
    requests = [ask("写了什么？", shade) for shade in (10, 120, 240)]
    forward = [result.text for result in model.generate(requests)]
    backward = [result.text for result in model.generate(requests[::-1])]
    assert backward == forward[::-1]
    assert len(set(forward)) > 1


def test_order_of_images_and_earlier_turns_matter(model: VisionModel) -> None:
    turns = (("user", "甲？"), ("assistant", "乙。"), ("user", "丙？"))
    requests = [ask("比较", 10, 240), ask("比较", 240, 10), dialogue(*turns), dialogue(turns[0])]
    requests.append(dialogue(("system", "只说一个字。"), *turns))
    assert len({result.text for result in model.generate(requests)}) >= 4


def test_stream_gives_the_same_text(model: VisionModel) -> None:
    request = ask("写了什么？", 7, 200)
    with model.stream(request) as stream:
        assert "".join(stream) == stream.result.text
    assert [stream.result] == model.generate([request])


def test_a_stream_has_no_result_before_its_end(model: VisionModel) -> None:
    stream = model.stream(ask())
    next(stream)
    with pytest.raises(ValueError, match="end"):
        _ = stream.result
    stream.close()
    assert list(stream) == []


def test_stops_at_the_token_limit(model: VisionModel) -> None:
    (result,) = model.generate([ask("写了什么？", 1, max_tokens=3)])
    assert result.completion_tokens == 3
    assert result.finish_reason == "length"


def test_a_stop_string_ends_the_text_and_is_no_part_of_it(model: VisionModel) -> None:
    plain = model.generate([ask()])[0].text
    stop = plain[4:7]
    place = plain.index(stop)
    request = ask()._replace(stop=("写不出来的", stop))
    (result,) = model.generate([request])
    assert (result.text, result.finish_reason) == (plain[:place], "stop")
    with model.stream(request) as stream:
        assert "".join(stream) == plain[:place]


def test_a_detector_is_given_every_piece_and_may_end_the_text(model: VisionModel) -> None:
    seen: list[list[str]] = []

    def new_detector() -> Callable[[str], bool]:
        pieces: list[str] = []
        seen.append(pieces)
        return lambda piece: pieces.append(piece) or len(pieces) == 3  # type: ignore[func-returns-value]

    results = model.generate([ask("甲", 9)._replace(new_detector=new_detector), ask("乙", 200)])
    assert (results[0].finish_reason, results[0].text) == ("loop", "".join(seen[0]))
    assert results[1] == model.generate([ask("乙", 200)])[0]


def test_cancelling_ends_the_request_and_no_other(model: VisionModel) -> None:
    cancel = CancelToken()
    stopped = ask("甲", 9)._replace(cancel=cancel, new_detector=lambda: lambda _piece: bool(cancel.cancel()))
    results = model.generate([stopped, ask("乙", 200)])
    whole = model.generate([ask("甲", 9)])[0]
    assert results[0].finish_reason == "cancelled"
    assert results[0].completion_tokens < whole.completion_tokens
    assert whole.text.startswith(results[0].text)
    assert results[1] == model.generate([ask("乙", 200)])[0]


def test_a_request_cancelled_before_it_began_costs_nothing(model: VisionModel) -> None:
    cancel = CancelToken()
    cancel.cancel()
    (result,) = model.generate([ask()._replace(cancel=cancel)])
    assert (result.text, result.completion_tokens, result.finish_reason) == ("", 0, "cancelled")


def test_closing_a_stream_leaves_the_model_usable(model: VisionModel) -> None:
    expected = model.generate([ask("乙")])
    with model.stream(ask("甲", max_tokens=100)) as stream:
        next(stream)
    assert model.generate([ask("乙")]) == expected


def test_calls_from_several_threads_do_not_mix(model: VisionModel) -> None:
    requests = [ask(f"第{number}页", 40 * number) for number in range(6)]
    expected = model.generate(requests)
    results: dict[int, object] = {}

    def run(number: int) -> None:
        results[number] = model.generate([requests[number]])[0]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] for number in range(6)] == expected


def test_the_size_is_known_before(model: VisionModel) -> None:
    request = ask("写了什么？", 7, 200)
    (result,) = model.generate([request])
    assert 0 < result.prompt_tokens <= model.count_tokens(request)
    assert model.count_tokens(ask("写了什么？", 7)) < model.count_tokens(request)


def test_a_request_that_cannot_fit_is_refused_with_its_size(model: VisionModel) -> None:
    request = ask(max_tokens=model.description.context_tokens)
    with pytest.raises(InvalidRequestError, match=f"{model.count_tokens(request):,} tokens"):
        model.generate([ask(), request])


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (VisionRequest(()), "none"),
        (dialogue(("assistant", "甲")), "assistant"),
        (dialogue(("user", "甲"), ("system", "乙"), ("user", "丙")), "user, system, user"),
        (dialogue(("user", "甲"), ("assistant", "乙")), "user, assistant"),
        (VisionRequest.ask("甲", np.zeros((8, 8), np.uint8)), "(8, 8)"),
        (VisionRequest.ask("甲", np.zeros((8, 8, 3), np.float32)), "float32"),
        (ask(max_tokens=0), "max_tokens"),
        (ask()._replace(stop=("",)), "stop"),
        (ask()._replace(decoding=Decoding(temperature=-1, top_p=0, no_repeat_ngram=-1)), "top_p"),
        (ask()._replace(tiling=Tiling(min_tiles=4, max_tiles=2)), "tiling"),
    ],
)
def test_senseless_requests_are_refused(model: VisionModel, request_: VisionRequest, named: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        model.generate([request_])
    assert named in caught.value.message


def test_a_schema_is_followed_or_refused(model: VisionModel) -> None:
    request = ask()._replace(schema={"type": "object"})
    if model.description.structured_output:
        assert model.generate([request])[0].text
    else:
        with pytest.raises(InvalidRequestError, match="schema"):
            model.generate([request])


def test_no_requests_no_results(model: VisionModel) -> None:
    assert model.generate([]) == []


def test_a_closed_model_says_so(make: Callable[[], VisionModel]) -> None:
    model = make()
    assert model.generate([ask(max_tokens=1)])
    model.close()
    with pytest.raises(ModelUnavailableError, match="closed"):
        model.generate([ask()])
