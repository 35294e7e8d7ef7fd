"""The batching engine: whatever shares the batch, each request gets what it would get alone."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.vlm.golden import CASES, CHECKPOINT
from tuwen.errors import InvalidRequestError, ModelUnavailableError
from vlm.base import CancelToken, Decoding, Tiling, VisionRequest, VisionResult
from vlm.internvl.choose import Chooser
from vlm.internvl.engine import Engine, EngineLimits
from vlm.internvl.load import Loaded
from vlm.internvl.memory import KeyValueShape, plan
from vlm.internvl.model import InternVL, InternVLOptions
from vlm.internvl.slots import SlotPool

PAGE = next(case for case in CASES if case.id == "one_image_tiles_thumbnail").images[0]


@pytest.fixture
def make(golden: Loaded, cache: Any) -> Iterator[Callable[..., InternVL]]:
    """Adapters over the golden checkpoint, with engines of given limits."""
    made: list[InternVL] = []

    def build(**limits: Any) -> InternVL:
        model = InternVL(InternVLOptions(str(CHECKPOINT)), cache)
        engine = Engine(golden, model.prompter.image_id, 56, EngineLimits(**{"context_tokens": 2048, **limits}))
        model._engine = engine
        made.append(model)
        return model

    yield build
    for model in made:
        model.close()


def requests(count: int) -> list[VisionRequest]:
    """Of zero to two images with different numbers of tiles, and different lengths."""
    rng = random.Random(3)
    noise = np.random.default_rng(3)
    made = []
    for number in range(count):
        shapes = [(rng.randrange(40, 200), rng.randrange(40, 200), 3) for _ in range(number % 3)]
        images = [noise.integers(0, 256, shape, np.uint8) for shape in shapes]
        request = VisionRequest.ask("问" * rng.randrange(1, 40), *images, max_tokens=rng.randrange(1, 24))
        made.append(request._replace(tiling=Tiling(1, rng.randrange(1, 7))))
    return made


@pytest.fixture(scope="module")
def alone(golden: Loaded, cache: Any) -> list[VisionResult]:
    """What each of the requests gets when it is the only one, in the only slot."""
    model = InternVL(InternVLOptions(str(CHECKPOINT), batch=1, context_tokens=2048), cache)
    results = [model.generate([request])[0] for request in requests(18)]
    model.close()
    return results


def fake_graphs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Captured steps without a GPU: replayed by running them; the shapes that were captured."""
    captured: list[tuple[int, int]] = []

    class Graph:
        def __init__(self, pool: SlotPool, rows: int, read: int) -> None:
            self.again = lambda: pool._step(rows, read)

        def replay(self) -> None:
            self.again()

    def capture(pool: SlotPool, rows: int, read: int) -> Any:
        captured.append((rows, read))
        return Graph(pool, rows, read)

    monkeypatch.setattr(SlotPool, "_capture", capture)
    return captured


@pytest.mark.parametrize("batch", [3, 8])
@pytest.mark.parametrize("behind", [False, True])
def test_batched_is_single(make: Callable[..., InternVL], alone: list[VisionResult], batch: int, behind: bool) -> None:
    model = make(batch=batch)
    model.load()._behind = behind
    assert model.generate(requests(18)) == alone


def test_captured_steps_give_the_same(
    make: Callable[..., InternVL], alone: list[VisionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = fake_graphs(monkeypatch)
    monkeypatch.setattr("vlm.internvl.engine._graphs", lambda *_: True)
    model = make(batch=8)
    model.load()._behind = True
    assert model.generate(requests(18)) == alone
    assert model.generate(requests(18)) == alone
    assert len(captured) == len(set(captured))


def test_graphs_that_cannot_be_captured_say_what_to_do(
    make: Callable[..., InternVL], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlm.internvl.engine._graphs", lambda *_: True)
    with pytest.raises(ModelUnavailableError, match="graphs: false"):
        make().generate(requests(1))


def test_rows_join_and_leave_at_any_time(make: Callable[..., InternVL], alone: list[VisionResult]) -> None:
    model, results = make(batch=4), {}

    def call(number: int) -> None:
        time.sleep(random.Random(number).random() / 10)
        results[number] = model.generate([requests(18)[number]])[0]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(18)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] for number in range(18)] == alone


def test_long_requests_have_slots_of_their_own(
    make: Callable[..., InternVL], alone: list[VisionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlm.internvl.engine.plan", lambda *_: [(4, 256), (2, 2048)])
    model = make()
    sizes = [model.count_tokens(request) + request.max_tokens for request in requests(18)]
    assert min(sizes) <= 256 < max(sizes)
    model.load()._behind = True
    assert model.generate(requests(18)) == alone


def test_cancelling_frees_the_slot(make: Callable[..., InternVL]) -> None:
    model, cancel = make(batch=1), CancelToken()
    endless = VisionRequest.ask("问", max_tokens=1500)._replace(cancel=cancel)
    results: list[VisionResult] = []
    thread = threading.Thread(target=lambda: results.extend(model.generate([endless])))
    thread.start()
    time.sleep(0.05)
    waiting = threading.Thread(target=lambda: results.extend(model.generate([VisionRequest.ask("答", max_tokens=2)])))
    waiting.start()
    cancel.cancel()
    thread.join(30)
    waiting.join(30)
    assert [result.finish_reason for result in results] == ["cancelled", "length"]
    assert results[0].completion_tokens < 1500


def test_a_closed_stream_frees_the_slot(make: Callable[..., InternVL]) -> None:
    model = make(batch=1)
    with model.stream(VisionRequest.ask("问", max_tokens=1500)) as stream:
        next(stream)
    began = time.perf_counter()
    assert model.generate([VisionRequest.ask("答", max_tokens=2)])
    assert time.perf_counter() - began < 5


def test_streams_are_served_before_what_waits(make: Callable[..., InternVL]) -> None:
    model, order = make(batch=1), []
    pages = [request._replace(max_tokens=12) for request in requests(18)]

    def read() -> None:
        model.generate([p._replace(new_detector=lambda: lambda _piece: bool(order.append("page"))) for p in pages])

    thread = threading.Thread(target=read)
    thread.start()
    while not order:
        time.sleep(0.001)
    with model.stream(VisionRequest.ask("答", max_tokens=3)) as stream:
        "".join(stream)
    order.append("stream")
    thread.join()
    assert order.index("stream") < len(order) / 2


def out_of_memory(monkeypatch: pytest.MonkeyPatch, method: str, fails: Callable[..., bool]) -> list[str]:
    """Let a method of the pool raise as CUDA does, when ``fails``; what happened."""
    seen: list[str] = []
    original = getattr(SlotPool, method)

    def step(self: SlotPool, *args: Any) -> Any:
        if fails(self, *args):
            seen.append(f"out of memory with {self.slots} slots")
            raise torch.OutOfMemoryError("injected")
        return original(self, *args)

    monkeypatch.setattr(SlotPool, method, step)
    return seen


@pytest.mark.parametrize("behind", [False, True])
def test_out_of_memory_halves_the_batch_and_goes_on(
    make: Callable[..., InternVL], alone: list[VisionResult], monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    model = make(batch=8)
    model.load()._behind = behind
    seen = out_of_memory(monkeypatch, "step", lambda pool, rows, _longest: rows > 3)
    assert model.generate(requests(18)) == alone
    assert seen == ["out of memory with 8 slots", "out of memory with 4 slots"]
    assert model.load().pools == [(2, 2048)]


def test_out_of_memory_while_a_prompt_is_read(
    make: Callable[..., InternVL], alone: list[VisionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(batch=4)
    out_of_memory(monkeypatch, "prefill", lambda pool, slot, _embeddings: pool.slots == 4 and slot == 3)
    assert model.generate(requests(18)) == alone
    assert model.load().pools == [(2, 2048)]


def test_only_the_request_fails_that_does_not_fit_alone(
    make: Callable[..., InternVL], alone: list[VisionResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, all_ = make(batch=2), requests(18)
    sizes = [model.count_tokens(request) for request in all_]
    largest = sizes.index(max(sizes))
    out_of_memory(monkeypatch, "prefill", lambda _pool, _slot, embeddings: len(embeddings) == max(sizes))
    with pytest.raises(ModelUnavailableError, match=f"{max(sizes)} tokens.*even alone"):
        model.generate([all_[largest]])
    assert [model.generate([r])[0] for r in all_[:largest]] == alone[:largest]


def test_a_request_that_cannot_fit_is_refused_with_its_size(make: Callable[..., InternVL]) -> None:
    model = make(context_tokens=512)
    request = VisionRequest.ask("问", PAGE, max_tokens=400)
    with pytest.raises(InvalidRequestError, match=r"takes (\d+) tokens \(1 images\).*400 more.*room for 512"):
        model.generate([VisionRequest.ask("问", max_tokens=2), request])


def test_features_of_a_page_are_computed_once(make: Callable[..., InternVL]) -> None:
    model = make()
    vision = model.load().vision
    tasks = [VisionRequest.ask(task, PAGE.copy(), max_tokens=2) for task in ("转写", "描述", "回答")]
    together = model.generate(tasks)
    assert vision.computed == 1
    assert model.generate(tasks) == together
    assert vision.computed == 1
    model.generate([tasks[0]._replace(tiling=Tiling(1, 2)), VisionRequest.ask("转写", PAGE[::-1], max_tokens=2)])
    assert vision.computed == 3


def test_features_are_dropped_when_there_is_no_room(make: Callable[..., InternVL]) -> None:
    model = make()
    vision = model.load().vision
    vision._limit = 7 * 4 * 64 * 4
    two = [VisionRequest.ask("甲", PAGE, max_tokens=1), VisionRequest.ask("甲", PAGE[::-1], max_tokens=1)]
    first = [model.generate([request])[0] for request in two]
    assert [model.generate([request])[0] for request in two] == first
    assert vision.computed == 4
    assert vision._held <= vision._limit


def test_a_detector_that_fails_costs_its_own_request_only(make: Callable[..., InternVL]) -> None:
    model = make()

    def broken(_piece: str) -> bool:
        raise ZeroDivisionError

    request = VisionRequest.ask("问", max_tokens=5)
    with pytest.raises(ZeroDivisionError):
        model.generate([request._replace(new_detector=lambda: broken)])
    assert model.generate([request])


def test_a_failure_of_the_model_reaches_all_who_wait(
    make: Callable[..., InternVL], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    monkeypatch.setattr(SlotPool, "step", lambda *_: 1 / 0)
    with pytest.raises(ModelUnavailableError, match="division by zero"):
        model.generate(requests(3))
    with pytest.raises(ModelUnavailableError, match="failed"):
        model.generate(requests(1))


def test_closing_ends_what_runs(make: Callable[..., InternVL]) -> None:
    model = make()
    errors: list[Exception] = []

    def call() -> None:
        try:
            model.generate([VisionRequest.ask("问", max_tokens=1500)] * 20)
        except ModelUnavailableError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.05)
    model.close()
    thread.join(30)
    assert "closed" in str(errors[0])


def test_no_run_of_tokens_is_written_twice(make: Callable[..., InternVL]) -> None:
    model = make()
    plain = VisionRequest.ask("重复", max_tokens=400)
    blocked = plain._replace(decoding=Decoding(no_repeat_ngram=4))
    seen: dict[str, list[int]] = {"plain": [], "blocked": []}
    for name, request in (("plain", plain), ("blocked", blocked)):
        job = model._job(request, model.load(), streamed=False)
        model.load().submit([job])
        job.done.result(60)
        seen[name] = job.written
    runs = {name: [tuple(ids[n : n + 4]) for n in range(len(ids) - 3)] for name, ids in seen.items()}
    assert len(set(runs["plain"])) < len(runs["plain"])
    assert len(set(runs["blocked"])) == len(runs["blocked"])


def test_sampling_depends_on_the_seed_and_on_no_batch_mate(make: Callable[..., InternVL]) -> None:
    model = make(batch=8)
    warm = [
        VisionRequest.ask("问", max_tokens=12)._replace(decoding=Decoding(temperature=1.0, top_p=0.9, seed=seed))
        for seed in (1, 2, 1)
    ]
    first, second, third = model.generate([*warm, *requests(6)])[:3]
    assert first == third != second
    assert model.generate(warm[:1]) == [first]


def test_top_p_leaves_only_the_likeliest() -> None:
    logits = torch.tensor([3.0, 2.9, 0.0, -1.0])
    chosen = {Chooser(Decoding(temperature=1.0, top_p=0.6, seed=seed))(logits, []) for seed in range(60)}
    assert chosen == {0, 1}


def test_memory_is_planned() -> None:
    shape = KeyValueShape(layers=28, heads=2, dimension=128, dtype=torch.bfloat16)
    assert shape.bytes_per_token == 28 * 1024
    giga = 1 << 30
    assert plan(90 * giga, shape, 32768, 128) == [(128, 8192), (34, 32768)]
    assert plan(10 * giga, shape, 32768, 128) == [(30, 8192), (3, 32768)]
    assert plan(1 * giga, shape, 32768, 128) == [(3, 8192), (1, 12480)]
    assert plan(giga // 10, shape, 32768, 128) == [(1, 3744)]
    assert plan(90 * giga, shape, 4096, 128) == [(128, 4096)]
    assert plan(giga // 100, shape, 32768, 128) == []
