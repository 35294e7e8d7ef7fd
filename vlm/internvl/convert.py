"""An original ``internvl_chat`` checkpoint made native, exactly, without running its code.

Names are mapped as transformers' conversion script does. Every tensor of the original must find its place and
every place its tensor, with equal shapes: loading through the wrong class would fill gaps with random numbers
and say nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tuwen.errors import ModelUnavailableError
from vlm.checkpoint import Checkpoint
from vlm.internvl.config import native_config
from vlm.loading import refuse

if TYPE_CHECKING:
    import torch

_RENAMES = (
    (r"^mlp1\.0\.", "model.multi_modal_projector.layer_norm."),
    (r"^mlp1\.1\.", "model.multi_modal_projector.linear_1."),
    (r"^mlp1\.3\.", "model.multi_modal_projector.linear_2."),
    (r"^vision_model\.embeddings\.class_embedding$", "model.vision_tower.embeddings.cls_token"),
    (r"^vision_model\.embeddings\.position_embedding$", "model.vision_tower.embeddings.position_embeddings"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "model.vision_tower.embeddings.patch_embeddings.projection."),
    (r"^vision_model\.encoder\.layers\.", "model.vision_tower.encoder.layer."),
    (r"(layer\.\d+\.)norm1\.", r"\1layernorm_before."),
    (r"(layer\.\d+\.)norm2\.", r"\1layernorm_after."),
    (r"(layer\.\d+\.)ls1$", r"\1lambda_1"),
    (r"(layer\.\d+\.)ls2$", r"\1lambda_2"),
    (r"(layer\.\d+\.)attn\.proj\.", r"\1attention.projection_layer."),
    (r"(layer\.\d+\.)attn\.", r"\1attention."),
    (r"^language_model\.model\.", "model.language_model."),
    (r"^language_model\.lm_head\.", "lm_head."),
)
_SHARD_BYTES = 2_000_000_000


def native_names(name: str) -> tuple[str, ...]:
    """Where the original tensor ``name`` goes: one place, or three for fused query, key and value (dimension 0)."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    if ".qkv." in name:
        return tuple(name.replace(".qkv.", f".{part}_proj.") for part in "qkv")
    return (name,)


def converted(checkpoint: Checkpoint, image_token_id: int, cache: Path) -> Path:
    """The folder of the native form of an original ``checkpoint``: made once, then found again by its content.

    Raises:
        ModelUnavailableError: a tensor is missing or left over, or the cache cannot be written.
    """
    target = cache / "internvl" / checkpoint.digest()
    if (target / "config.json").exists():
        return target
    config = native_config(checkpoint.config, image_token_id)
    _check_places(checkpoint, config)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="converting-", dir=target.parent) as made:
            _write(checkpoint, config, Path(made) / "model")
            shutil.rmtree(target, ignore_errors=True)  # an earlier one without config.json was not finished
            (Path(made) / "model").replace(target)
    except OSError as error:
        raise ModelUnavailableError(
            f"{checkpoint.name} cannot be converted into {cache}: {error.strerror or error}. It needs "
            f"{checkpoint.size() / 1e9:.1f} GB there."
        ) from error
    return target


def _check_places(checkpoint: Checkpoint, config: Mapping[str, object]) -> None:
    """Compare the names and shapes of the files with those of the model, without reading a weight."""
    import torch
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    with torch.device("meta"):
        model = InternVLForConditionalGeneration(InternVLConfig(**json.loads(json.dumps(config))))
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found: dict[str, tuple[int, ...]] = {}
    for original, shape in _shapes(checkpoint).items():
        if "lora_" in original:
            raise ModelUnavailableError(f"{checkpoint.name} has LoRA weights ({original}): merge them first.")
        places = native_names(original)
        found |= dict.fromkeys(places, (shape[0] // len(places), *shape[1:]) if shape else shape)
    wrong = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name]),
    }
    refuse(checkpoint.name, wrong)


def _shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, tuple[int, ...]] = {}
    for file in checkpoint.weights():
        try:
            with safe_open(file, "pt") as tensors:
                shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ModelUnavailableError(f"{checkpoint.name}: {file.name} is damaged: {error}") from error
    return shapes


def _write(checkpoint: Checkpoint, config: Mapping[str, object], folder: Path) -> None:
    """Shard by shard, so that little more than one shard is in memory."""
    from safetensors.torch import save_file

    folder.mkdir()
    places: dict[str, str] = {}
    total = 0
    for number, shard in enumerate(_shards(checkpoint), 1):
        file = f"model-{number:05d}.safetensors"
        save_file(shard, folder / file, {"format": "pt"})
        places |= dict.fromkeys(shard, file)
        total += sum(tensor.nbytes for tensor in shard.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), "utf-8")
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False), "utf-8")
    for written in folder.iterdir():
        _sync(written)


def _shards(checkpoint: Checkpoint) -> Iterator[dict[str, torch.Tensor]]:
    from safetensors import safe_open

    shard: dict[str, torch.Tensor] = {}
    for file in checkpoint.weights():
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                places = native_names(name)
                parts = tensors.get_tensor(name).chunk(len(places))
                shard |= {place: part.contiguous() for place, part in zip(places, parts, strict=True)}
                if sum(tensor.nbytes for tensor in shard.values()) > _SHARD_BYTES:
                    yield shard
                    shard = {}
    if shard:
        yield shard


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
