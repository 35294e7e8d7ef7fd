"""What a checkpoint's ``config.json`` says, checked: the sizes that prompts and tiles need, and the native config.

Two formats are known: *original* (``internvl_chat``, the models' own repositories) and *native* (``internvl``,
transformers). Reading imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tuwen.errors import ModelUnavailableError

SYSTEM = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
"""System turn of the ``internvl2_5`` template, on which the models were trained."""

_LLM_KEYS = (
    "attention_dropout", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range",
    "intermediate_size", "max_position_embeddings", "max_window_layers", "num_attention_heads", "num_hidden_layers",
    "num_key_value_heads", "rms_norm_eps", "rope_scaling", "rope_theta", "sliding_window", "use_sliding_window",
    "vocab_size",
)  # fmt: skip
_VISION_KEYS = (
    "attention_dropout", "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "layer_norm_eps",
    "norm_type", "num_attention_heads", "num_channels", "num_hidden_layers", "patch_size",
)  # fmt: skip
_TEMPLATES = {"internvl2_5"}


class Sizes(NamedTuple):
    """What prompts and tiles need to know about a checkpoint."""

    format: Literal["original", "native"]
    tile: int
    """Side of a tile in pixels."""
    tokens_per_tile: int
    context: int
    """Positions that the language model was made for."""
    system: str
    """System turn where a request has none."""
    tiles: tuple[int, int]
    """Smallest and largest number of tiles, thumbnail not counted, that the checkpoint asks for."""
    image_token_id: int | None
    """As the configuration says; None where only the tokenizer knows."""
    vocabulary: int


def read_sizes(config: Mapping[str, Any], name: str) -> Sizes:
    """Check ``config`` and pick what is needed.

    Raises:
        ModelUnavailableError: a model of another kind, or a variant that is not supported; the sentence says which.
    """
    kind = config.get("model_type")
    try:
        if kind == "internvl_chat":
            _check_original(config, name)
            return _original_sizes(config)
        if kind == "internvl":
            _check_native(config, name)
            return _native_sizes(config)
    except KeyError as error:
        raise ModelUnavailableError(f"{name}: config.json lacks {error}.") from error
    raise ModelUnavailableError(
        f"{name}: model type {kind!r} is not InternVL. For other image-text-to-text models set adapter: transformers."
    )


def _check_original(config: Mapping[str, Any], name: str) -> None:
    llm, vision = config["llm_config"], config["vision_config"]
    _require(config.get("ps_version") == "v2", name, f"ps_version is {config.get('ps_version')!r}, only 'v2' is read")
    layer = config.get("select_layer", -1)
    _require(layer == -1, name, f"select_layer is {layer!r}, only -1 (the last layer) is read")
    architectures = llm.get("architectures") or [llm.get("model_type")]
    _require(
        architectures[0] in ("Qwen2ForCausalLM", "qwen2"),
        name,
        f"the language model is {architectures[0]!r}, only Qwen2 (InternVL3, InternVL2.5 of some sizes) is read",
    )
    template = config.get("template", "internvl2_5")
    _require(template in _TEMPLATES, name, f"template {template!r} is not known, only {', '.join(_TEMPLATES)} is")
    for key in ("use_llm_lora", "use_backbone_lora"):
        _require(not config.get(key), name, f"{key} is set: merge the adapter into the weights first")
    _require(not config.get("pad2square"), name, "pad2square is set; only images stretched to their tiles are read")
    _require(config.get("use_thumbnail", True), name, "use_thumbnail is off; only models with a thumbnail are read")
    _require(vision.get("norm_type", "layer_norm") in ("layer_norm", "rms_norm"), name, "unknown norm_type")


def _check_native(config: Mapping[str, Any], name: str) -> None:
    text = config["text_config"].get("model_type", "qwen2")
    _require(text == "qwen2", name, f"the language model is {text!r}, only qwen2 is read")
    layer = config.get("vision_feature_layer", -1)
    _require(layer == -1, name, f"vision_feature_layer is {layer!r}, only -1 (the last layer) is read")
    strategy = config.get("vision_feature_select_strategy", "default")
    _require(strategy == "default", name, f"vision_feature_select_strategy is {strategy!r}, only 'default' is read")


def _require(holds: object, name: str, otherwise: str) -> None:
    if not holds:
        raise ModelUnavailableError(f"{name} cannot be used: {otherwise}.")


def _original_sizes(config: Mapping[str, Any]) -> Sizes:
    llm, vision = config["llm_config"], config["vision_config"]
    tile = int(config.get("force_image_size") or vision["image_size"])
    system = config.get("system_message")
    return Sizes(
        format="original",
        tile=tile,
        tokens_per_tile=_tokens(tile, vision["patch_size"], config["downsample_ratio"]),
        context=int(llm["max_position_embeddings"]),
        system=SYSTEM if system is None else system,
        tiles=(int(config.get("min_dynamic_patch", 1)), int(config.get("max_dynamic_patch", 12))),
        image_token_id=None,
        vocabulary=int(llm["vocab_size"]),
    )


def _native_sizes(config: Mapping[str, Any]) -> Sizes:
    text, vision = config["text_config"], config["vision_config"]
    tile, patch = _side(vision.get("image_size", 448)), _side(vision.get("patch_size", 14))
    return Sizes(
        format="native",
        tile=tile,
        tokens_per_tile=_tokens(tile, patch, config.get("downsample_ratio", 0.5)),
        context=int(text.get("max_position_embeddings", 32768)),
        system=SYSTEM,
        tiles=(1, 12),
        image_token_id=int(config.get("image_token_id", 151667)),
        vocabulary=int(text["vocab_size"]),
    )


def _side(value: int | list[int]) -> int:
    return int(value if isinstance(value, int) else value[0])


def _tokens(tile: int, patch: int, ratio: float) -> int:
    return int((tile // patch * ratio) ** 2)


def native_config(config: Mapping[str, Any], image_token_id: int) -> dict[str, Any]:
    """The native ``config.json`` of a checked original one.

    Mapping as in the transformers conversion script of InternVL, with two differences that its outputs need:
    ``tie_word_embeddings`` is always False (the default ties lm_head), and nested dictionaries are copied
    (transformers changes ``rope_scaling`` in place).
    """
    sizes, llm, vision = _original_sizes(config), config["llm_config"], config["vision_config"]
    text: dict[str, Any] = {key: llm[key] for key in _LLM_KEYS if llm.get(key) is not None}
    if "rope_scaling" in text:
        text["rope_scaling"] = dict(text["rope_scaling"])
    tower: dict[str, Any] = {key: vision[key] for key in _VISION_KEYS if key in vision}
    dropout = vision.get("dropout", 0.0)
    tower |= {
        "model_type": "internvl_vision",
        "image_size": [sizes.tile, sizes.tile],
        "attention_bias": vision.get("qkv_bias", True),
        "use_qk_norm": vision.get("qk_normalization", False),
        "hidden_dropout_prob": dropout,
        "projection_dropout": dropout,
        "layer_scale_init_value": vision.get("initializer_factor", 0.1),
        "use_mean_pooling": True,
        "use_absolute_position_embeddings": True,
    }
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "text_config": text | {"model_type": "qwen2", "tie_word_embeddings": False},
        "vision_config": tower,
        "downsample_ratio": config["downsample_ratio"],
        "image_token_id": image_token_id,
        "image_seq_length": sizes.tokens_per_tile,
        "tie_word_embeddings": False,
        "dtype": config.get("torch_dtype") or config.get("dtype") or "bfloat16",
    }
