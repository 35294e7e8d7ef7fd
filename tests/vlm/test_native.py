"""Models of transformers other than InternVL: batches, memory, and what is said when one cannot be loaded."""

import json
import shutil
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.vlm import llava
from tuwen.errors import ModelUnavailableError
from vlm.base import Decoding, VisionRequest
from vlm.native import NativeModel, NativeOptions


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "llava"
    llava.save(folder)
    return folder


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(checkpoint, tmp_path / "llava")


@pytest.fixture
def model(checkpoint: Path) -> Iterator[NativeModel]:
    made = NativeModel(NativeOptions(str(checkpoint), batch=4))
    yield made
    made.close()


def requests(count: int) -> list[VisionRequest]:
    noise = np.random.default_rng(5)
    made = []
    for number in range(count):
        images = [noise.integers(0, 256, (30 + number, 40, 3), np.uint8) for _ in range(number % 3)]
        made.append(VisionRequest.ask("问" * (1 + number % 5), *images, max_tokens=1 + number % 7))
    return made


def refusal(folder: Path) -> str:
    model = NativeModel(NativeOptions(str(folder)))
    with pytest.raises(ModelUnavailableError) as caught:
        model.generate(requests(1))
    return caught.value.message


def test_batched_is_single(model: NativeModel) -> None:
    alone = [model.generate([request])[0] for request in requests(11)]
    assert model.generate(requests(11)) == alone
    assert {len(result.text) > 0 for result in alone} == {True}


def test_out_of_memory_halves_the_batch(model: NativeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [model.generate([request])[0] for request in requests(11)]
    loaded = model._load()
    generate, rows = loaded.model.generate, []

    def small(**inputs: Any) -> object:
        rows.append(len(inputs["input_ids"]))
        if rows[-1] > 1:
            raise torch.OutOfMemoryError("injected")
        return generate(**inputs)

    monkeypatch.setattr(loaded.model, "generate", small)
    assert model.generate(requests(11)) == alone
    assert max(rows[rows.index(1) + 1 :]) == 1


def test_a_request_too_large_alone_says_its_size(model: NativeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: Any) -> None:
        raise torch.OutOfMemoryError("injected")

    monkeypatch.setattr(model._load().model, "generate", never)
    size = model.count_tokens(requests(1)[0])
    with pytest.raises(ModelUnavailableError, match=f"{size} tokens.*even alone"):
        model.generate(requests(1))


def test_a_seed_gives_the_same_text_and_leaves_the_process_alone(model: NativeModel) -> None:
    request = VisionRequest.ask("问", max_tokens=12)
    warm = [request._replace(decoding=Decoding(temperature=1.5, seed=seed)) for seed in (1, 2, 1)]
    state = torch.get_rng_state()
    first, second, third = model.generate(warm)
    assert first == third != second
    assert torch.equal(torch.get_rng_state(), state)


def test_closing_ends_what_runs(model: NativeModel) -> None:
    began = threading.Event()
    errors: list[Exception] = []

    def call() -> None:
        detector = lambda: lambda _piece: bool(began.set())  # noqa: E731
        try:
            model.generate([VisionRequest.ask("问", max_tokens=1500)._replace(new_detector=detector)])
        except ModelUnavailableError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    began.wait(30)
    model.close()
    thread.join(30)
    assert "closed" in str(errors[0])


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is here")
def test_a_processor_that_needs_torchvision_says_so(folder: Path) -> None:
    config = json.loads((folder / "processor_config.json").read_text("utf-8"))
    config["processor_class"] = "Glm46VProcessor"
    (folder / "processor_config.json").write_text(json.dumps(config), "utf-8")
    video = {"video_processor_type": "Glm46VVideoProcessor"}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(video), "utf-8")
    assert "needs torchvision, which is not installed" in refusal(folder)


def test_a_model_without_an_image_processor_is_no_reader(folder: Path) -> None:
    (folder / "processor_config.json").unlink()
    assert "processor" in refusal(folder)


def test_a_missing_weight_is_not_made_up(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    dropped = next(name for name in tensors if "multi_modal_projector" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != dropped}, folder / "model.safetensors")
    message = refusal(folder)
    assert "1 missing" in message
    assert "multi_modal_projector" in message
