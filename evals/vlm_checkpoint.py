"""Writes InternVL checkpoints in original format: of the real size with random weights, or tiny, or trained.

What ``evals.bench_vlm`` runs where no checkpoint may be downloaded, and what tests train. The layout is that of a
published repository: ``config.json``, ``model.safetensors`` (or shards of it), tokenizer files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vlm.internvl.convert import native_names

if TYPE_CHECKING:
    import torch

Shapes = dict[str, tuple[int, ...]]
_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>")
_SHARD_BYTES = 4_000_000_000


class Size(NamedTuple):
    """Dimensions of a model."""

    vision_hidden: int
    vision_layers: int
    vision_heads: int
    vision_mlp: int
    tile: int
    text_hidden: int
    text_layers: int
    text_heads: int
    text_kv_heads: int
    text_mlp: int
    vocabulary: int
    dtype: str

    @property
    def parameters(self) -> int:
        """Number of weights."""
        total = 0
        for shape in original_shapes(self).values():
            count = 1
            for side in shape:
                count *= side
            total += count
        return total


INTERNVL3_2B = Size(1024, 24, 16, 4096, 448, 1536, 28, 12, 2, 8960, 151_674, "bfloat16")
TINY = Size(64, 2, 4, 128, 56, 128, 3, 4, 2, 256, 1024, "float32")
_PATCH = 14


def original_config(size: Size) -> dict[str, Any]:
    """``config.json`` in the manner of the published ones."""
    return {
        "architectures": ["InternVLChatModel"],
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": size.tile,
        "llm_config": {
            "architectures": ["Qwen2ForCausalLM"],
            "hidden_act": "silu",
            "hidden_size": size.text_hidden,
            "intermediate_size": size.text_mlp,
            "max_position_embeddings": 32768,
            "model_type": "qwen2",
            "num_attention_heads": size.text_heads,
            "num_hidden_layers": size.text_layers,
            "num_key_value_heads": size.text_kv_heads,
            "rms_norm_eps": 1e-6,
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
            "rope_theta": 1000000.0,
            "vocab_size": size.vocabulary,
        },
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internvl2_5",
        "torch_dtype": size.dtype,
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "vision_config": {
            "hidden_act": "gelu",
            "hidden_size": size.vision_hidden,
            "image_size": size.tile,
            "initializer_factor": 1.0,
            "intermediate_size": size.vision_mlp,
            "layer_norm_eps": 1e-6,
            "norm_type": "layer_norm",
            "num_attention_heads": size.vision_heads,
            "num_channels": 3,
            "num_hidden_layers": size.vision_layers,
            "patch_size": _PATCH,
            "qk_normalization": False,
            "qkv_bias": True,
        },
    }


def original_shapes(size: Size) -> Shapes:
    """Name and shape of every tensor of an original checkpoint."""
    vision, text = size.vision_hidden, size.text_hidden
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": (1, 1, vision),
        "vision_model.embeddings.position_embedding": (1, (size.tile // _PATCH) ** 2 + 1, vision),
        **_weights("vision_model.embeddings.patch_embedding", (vision, 3, _PATCH, _PATCH)),
        **_weights("mlp1.0", (4 * vision,)),
        **_weights("mlp1.1", (text, 4 * vision)),
        **_weights("mlp1.3", (text, text)),
        "language_model.model.embed_tokens.weight": (size.vocabulary, text),
        "language_model.model.norm.weight": (text,),
        "language_model.lm_head.weight": (size.vocabulary, text),
    }
    for number in range(size.vision_layers):
        shapes |= _vision_layer(f"vision_model.encoder.layers.{number}", size)
    for number in range(size.text_layers):
        shapes |= _text_layer(f"language_model.model.layers.{number}", size)
    return shapes


def _weights(name: str, shape: tuple[int, ...]) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _vision_layer(layer: str, size: Size) -> Shapes:
    hidden = size.vision_hidden
    return {
        f"{layer}.ls1": (hidden,),
        f"{layer}.ls2": (hidden,),
        **_weights(f"{layer}.norm1", (hidden,)),
        **_weights(f"{layer}.norm2", (hidden,)),
        **_weights(f"{layer}.attn.qkv", (3 * hidden, hidden)),
        **_weights(f"{layer}.attn.proj", (hidden, hidden)),
        **_weights(f"{layer}.mlp.fc1", (size.vision_mlp, hidden)),
        **_weights(f"{layer}.mlp.fc2", (hidden, size.vision_mlp)),
    }


def _text_layer(layer: str, size: Size) -> Shapes:
    hidden, keys = size.text_hidden, size.text_hidden // size.text_heads * size.text_kv_heads
    return {
        f"{layer}.input_layernorm.weight": (hidden,),
        f"{layer}.post_attention_layernorm.weight": (hidden,),
        **_weights(f"{layer}.self_attn.q_proj", (hidden, hidden)),
        **_weights(f"{layer}.self_attn.k_proj", (keys, hidden)),
        **_weights(f"{layer}.self_attn.v_proj", (keys, hidden)),
        f"{layer}.self_attn.o_proj.weight": (hidden, hidden),
        f"{layer}.mlp.gate_proj.weight": (size.text_mlp, hidden),
        f"{layer}.mlp.up_proj.weight": (size.text_mlp, hidden),
        f"{layer}.mlp.down_proj.weight": (hidden, size.text_mlp),
    }


def write_random(folder: Path, size: Size, seed: int = 0) -> None:
    """A checkpoint that reads nothing, of weights as large as those of trained ones."""
    import torch

    random = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, size.dtype)

    def make(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        norm = "norm" in name or name.startswith("mlp1.0")
        if name.endswith(("ls1", "ls2")) or (norm and name.endswith("weight")):
            return torch.ones(shape, dtype=dtype)
        return (0.02 * torch.randn(shape, generator=random)).to(dtype)

    _write(folder, size, make, ())


def write_trained(folder: Path, size: Size, state: Mapping[str, torch.Tensor], words: Sequence[str]) -> None:
    """The checkpoint of a native model's ``state``; ``words`` as given to :func:`write_tokenizer`."""
    import torch

    def make(name: str, _shape: tuple[int, ...]) -> torch.Tensor:
        return torch.cat([state[place].detach() for place in native_names(name)]).contiguous()

    _write(folder, size, make, words)


def _write(
    folder: Path, size: Size, make: Callable[[str, tuple[int, ...]], torch.Tensor], words: Sequence[str]
) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, size.vocabulary, words)
    places: dict[str, str] = {}
    for number, shard in enumerate(_shards(size, make), 1):
        file = f"model-{number:05d}.safetensors"
        save_file(shard, folder / file, {"format": "pt"})
        places |= dict.fromkeys(shard, file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    (folder / "config.json").write_text(json.dumps(original_config(size), indent=1), "utf-8")


def _shards(size: Size, make: Callable[[str, tuple[int, ...]], torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    shard: dict[str, torch.Tensor] = {}
    for name, shape in original_shapes(size).items():
        shard[name] = make(name, shape)
        if sum(tensor.nbytes for tensor in shard.values()) > _SHARD_BYTES:
            yield shard
            shard = {}
    yield shard


def write_tokenizer(folder: Path, vocabulary: int, words: Sequence[str] = ()) -> None:
    """A byte-level tokenizer in which each character of ``words`` is one token, padded with tokens that never come.

    Raises:
        ValueError: ``words`` has too many characters for the vocabulary.
    """
    from tokenizers import AddedToken
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    alphabet = bytes_to_unicode()
    pieces, merges = list(alphabet.values()), []
    for character in sorted(set("".join(words))):
        spelled = [alphabet[byte] for byte in character.encode()]
        for end in range(2, len(spelled) + 1):
            left, right = "".join(spelled[: end - 1]), spelled[end - 1]
            if left + right not in pieces:
                pieces.append(left + right)
                merges.append((left, right))
    fill = vocabulary - len(_SPECIALS) - len(pieces)
    if fill < 0:
        raise ValueError(f"{len(pieces)} tokens do not fit into a vocabulary of {vocabulary}")
    pieces += [f"unused{number}" for number in range(fill)]
    tokenizer = Qwen2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges,
        eos_token="<|im_end|>",  # noqa: S106 no password
        additional_special_tokens=[AddedToken(token, special=True) for token in _SPECIALS],
    )
    tokenizer.save_pretrained(folder)
