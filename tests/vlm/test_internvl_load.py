"""Checkpoints that must be refused, and why; where checkpoints are looked for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.vlm.golden import CHECKPOINT
from tuwen.errors import ModelUnavailableError
from vlm.base import VisionRequest
from vlm.checkpoint import find
from vlm.internvl.model import InternVL, InternVLOptions

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the golden checkpoint that a test may spoil."""
    return shutil.copytree(CHECKPOINT, tmp_path / "checkpoint", copy_function=shutil.copyfile)


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    change(config)
    file.write_text(json.dumps(config), "utf-8")


def change_weights(folder: Path, change: Callable[[Tensors], object]) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


def refusal(folder: Path | str, **options: Any) -> str:
    model = InternVL(InternVLOptions(str(folder), **options), Path(folder).parent / "cache")
    with pytest.raises(ModelUnavailableError) as caught:
        model.load()
    return caught.value.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(ps_version="v1"), "ps_version is 'v1'"),
        (lambda c: c.update(select_layer=-2), "select_layer is -2"),
        (lambda c: c["llm_config"].update(architectures=["InternLM2ForCausalLM"]), "InternLM2ForCausalLM"),
        (lambda c: c.update(template="Hermes-2"), "template 'Hermes-2'"),
        (lambda c: c.update(use_llm_lora=16), "use_llm_lora"),
        (lambda c: c.update(pad2square=True), "pad2square"),
        (lambda c: c.update(model_type="llava"), "model type 'llava'"),
        (lambda c: c.pop("downsample_ratio"), "lacks 'downsample_ratio'"),
        (lambda c: c["llm_config"].update(num_hidden_layers=3), "missing (model.language_model.layers.2"),
        (lambda c: c["vision_config"].update(num_hidden_layers=2), "unexpected (model.vision_tower.encoder.layer.2"),
        (lambda c: c["llm_config"].update(intermediate_size=96), "of another shape"),
        (lambda c: c["llm_config"].update(vocab_size=300), "more tokens than the model"),
    ],
)
def test_a_configuration_that_is_not_ours_is_refused(folder: Path, change: Callable[..., object], reason: str) -> None:
    change_config(folder, change)
    assert reason in refusal(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("mlp1.1.weight"), "1 missing (model.multi_modal_projector.linear_1.weight)"),
        (lambda t: t.update(extra=torch.zeros(1)), "1 unexpected (extra)"),
        (lambda t: t.update({"language_model.lora_A": torch.zeros(1)}), "LoRA"),
        (lambda t: t.update({"mlp1.0.bias": torch.zeros(3)}), "1 of another shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder: Path, change: Callable[..., object], reason: str) -> None:
    change_weights(folder, change)
    assert reason in refusal(folder)


def test_a_native_checkpoint_is_as_strict(folder: Path, golden: object, cache: Path) -> None:
    (made,) = (cache / "internvl").iterdir()
    native = shutil.copytree(made, folder.parent / "native")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(CHECKPOINT / file, native / file)
    assert InternVL(InternVLOptions(str(native)), cache).load().room
    index = json.loads((native / "model.safetensors.index.json").read_text("utf-8"))
    (shard,) = set(index["weight_map"].values())
    tensors = load_file(native / shard)
    tensors["lm_head.heavy"] = tensors.pop("lm_head.weight")
    save_file(tensors, native / shard)
    index["weight_map"] = dict.fromkeys(tensors, shard)
    (native / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    assert "1 missing (lm_head.weight); 1 unexpected (lm_head.heavy)" in refusal(native)


def test_a_damaged_file_is_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert "model.safetensors is damaged" in refusal(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert f"{file} is missing" in refusal(folder)


def test_a_missing_tokenizer_is_named(folder: Path) -> None:
    for file in ("tokenizer.json", "vocab.json"):
        (folder / file).unlink()
    assert "tokenizer.json" in refusal(folder)


def test_a_foreign_tokenizer_is_refused(folder: Path) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"):
        text = (folder / file).read_text("utf-8")
        (folder / file).write_text(text.replace("<IMG_CONTEXT>", "<picture>"), "utf-8")
    assert "no <IMG_CONTEXT>" in refusal(folder)


def test_a_hub_id_that_is_not_in_the_cache_says_so_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match=r"Yougen/InternVL3Fangwusha2B.*not in the local cache"):
        find("Yougen/InternVL3Fangwusha2B")


def test_a_folder_that_is_not_there_says_so() -> None:
    assert "no such folder" in refusal("/nowhere/model")


def test_layers_may_be_spread_over_devices(golden: object, cache: Path) -> None:
    """All on the CPU here; what is tested is that a model placed by accelerate runs."""
    model = InternVL(InternVLOptions(str(CHECKPOINT), device="balanced"), cache)
    plain = InternVL(InternVLOptions(str(CHECKPOINT)), cache)
    request = VisionRequest.ask("问", max_tokens=6)
    assert model.generate([request]) == plain.generate([request])
    model.close()
    plain.close()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_says_so() -> None:
    assert "no GPU" in refusal(CHECKPOINT, device="cuda")


def test_the_digest_is_that_of_the_content(folder: Path) -> None:
    before = find(str(folder)).digest()
    assert before == find(str(CHECKPOINT)).digest()
    change_weights(folder, lambda tensors: tensors["mlp1.0.bias"].add_(1))
    assert find(str(folder)).digest() != before


def test_no_code_of_a_checkpoint_runs(folder: Path, golden: object, cache: Path) -> None:
    for file in ("modeling_internvl_chat.py", "configuration_internvl_chat.py"):
        (folder / file).write_text("raise SystemExit('remote code ran')", "utf-8")
    model = InternVL(InternVLOptions(str(folder)), cache)
    assert model.load().room == 32768
    model.close()
