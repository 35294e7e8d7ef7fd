"""Our InternVL against the reference implementation (``tests/data/internvl-golden``), step by step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.vlm.golden import CASES, CHECKPOINT, Case
from vlm.checkpoint import Checkpoint, find
from vlm.internvl.config import Sizes, read_sizes
from vlm.internvl.convert import converted, native_names
from vlm.internvl.engine import Engine
from vlm.internvl.load import Loaded, load
from vlm.internvl.prompt import Prompter
from vlm.internvl.tiling import content_key, pixel_values

FEATURES, LOGITS = 1e-5, 5e-5
"""Largest absolute differences allowed in fp32 (README of the data)."""
WITH_IMAGES = [case for case in CASES if case.facts["images"]]
FULL = next(case for case in CASES if case.id == "one_image_tiles_thumbnail")


def names(case: Case) -> str:
    return case.id


def forward(loaded: Loaded, case: Case) -> torch.Tensor:
    """Logits at all positions."""
    ids = torch.tensor([case.facts["input_ids"]])
    pixels = pixel_values(case.tiles, loaded.device, loaded.dtype) if case.facts["images"] else None
    with torch.inference_mode():
        return loaded.model(input_ids=ids, pixel_values=pixels).logits[0]


def features(loaded: Loaded, case: Case) -> torch.Tensor:
    with torch.inference_mode():
        pixels = pixel_values(case.tiles, loaded.device, loaded.dtype)
        return loaded.model.get_image_features(pixels, return_dict=True).pooler_output


def distance(ours: torch.Tensor, expected: np.ndarray) -> float:
    assert ours.shape == expected.shape
    return float(np.abs(ours.numpy() - expected).max())


@pytest.mark.parametrize("case", CASES, ids=names)
def test_input_ids(case: Case, golden_prompter: Prompter) -> None:
    counts = [image["num_tiles"] for image in case.facts["images"]]
    assert golden_prompter.encode(case.messages, counts) == case.facts["input_ids"]


@pytest.mark.parametrize("case", WITH_IMAGES, ids=names)
def test_pixel_values(case: Case) -> None:
    assert [len(tiles) for tiles in case.tiles] == case.facts["num_patches_list"]
    ours = pixel_values(case.tiles, torch.device("cpu"), torch.float32)
    assert distance(ours, case.expected("pixel_values")) == 0


@pytest.mark.parametrize("case", WITH_IMAGES, ids=names)
def test_image_features(case: Case, golden: Loaded) -> None:
    assert distance(features(golden, case), case.expected("image_features")) <= FEATURES


@pytest.mark.parametrize("case", CASES, ids=names)
def test_logits(case: Case, golden: Loaded) -> None:
    assert distance(forward(golden, case)[-1], case.expected("logits_last")) <= LOGITS


def test_logits_at_all_positions(golden: Loaded) -> None:
    assert distance(forward(golden, FULL), FULL.expected("logits_full")) <= LOGITS


def test_greedy_tokens_of_the_engine(golden_engine: Engine, golden_prompter: Prompter) -> None:
    jobs = [case.job(golden_prompter) for case in CASES]
    golden_engine.submit(jobs)
    for case, job in zip(CASES, jobs, strict=True):
        result = job.done.result(60)
        assert job.written == case.expected("greedy_ids").tolist(), case.id
        assert result.text == case.facts["response"]
        assert result.finish_reason == ("stop" if case.facts["stopped_at_eos"] else "length")


def test_noise_on_any_tensor_is_noticed(golden: Loaded) -> None:
    """10 % on each in turn; the bias of the vision keys cannot be seen in outputs and is compared below."""
    expected = FULL.expected("logits_full")
    unnoticed = []
    noise = torch.Generator().manual_seed(1)
    for name, tensor in golden.model.named_parameters():
        kept = tensor.detach().clone()
        with torch.no_grad():
            tensor += 0.1 * kept.std() * torch.randn(tensor.shape, generator=noise)
        if distance(forward(golden, FULL), expected) <= LOGITS:
            unnoticed.append(name)
        with torch.no_grad():
            tensor.copy_(kept)
    assert unnoticed == [f"model.vision_tower.encoder.layer.{n}.attention.k_proj.bias" for n in range(3)]
    assert distance(forward(golden, FULL), expected) <= LOGITS


def test_every_tensor_is_where_it_belongs(golden: Loaded) -> None:
    ours = dict(golden.model.state_dict())
    for name, tensor in load_file(CHECKPOINT / "model.safetensors").items():
        places = native_names(name)
        for place, part in zip(places, tensor.chunk(len(places)), strict=True):
            assert torch.equal(ours.pop(place), part), name
    assert not ours


def test_key_bias_of_the_vision_tower(golden: Loaded) -> None:
    """The middle third of ``attn.qkv.bias``: softmax cancels it, so that no output shows it."""
    original = load_file(CHECKPOINT / "model.safetensors")
    for number, layer in enumerate(golden.model.model.vision_tower.encoder.layer):
        fused = original[f"vision_model.encoder.layers.{number}.attn.qkv.bias"]
        assert torch.equal(layer.attention.k_proj.bias, fused[32:64])


def test_a_converted_checkpoint_is_found_again(golden_checkpoint: Checkpoint, golden: Loaded, cache: Path) -> None:
    first = converted(golden_checkpoint, 319, cache)
    stamp = (first / "config.json").stat().st_mtime_ns
    assert converted(golden_checkpoint, 319, cache) == first
    assert (first / "config.json").stat().st_mtime_ns == stamp


def test_the_converted_checkpoint_gives_the_same(
    golden_checkpoint: Checkpoint, golden_sizes: Sizes, golden: Loaded, cache: Path, tmp_path: Path
) -> None:
    """Read as a native checkpoint, and saved once more by transformers and read again."""
    folder = converted(golden_checkpoint, 319, cache)
    native = read_sizes(json.loads((folder / "config.json").read_text("utf-8")), "converted")
    assert native == golden_sizes._replace(format="native", image_token_id=319)
    golden.model.save_pretrained(tmp_path / "saved")
    for place in (folder, tmp_path / "saved"):
        again = load(find(str(place)), native, 319, cache, "float32", "cpu")
        for case in CASES:
            assert torch.equal(forward(again, case), forward(golden, case)), case.id


def test_equal_images_share_a_key_and_others_do_not() -> None:
    first, second = WITH_IMAGES[1], WITH_IMAGES[2]
    keys = {content_key(image, tiling) for case in (first, second) for image in case.images for tiling in case.tilings}
    assert content_key(first.images[0].copy(), first.tilings[0]) in keys
    assert len(keys) == 1 + 4
