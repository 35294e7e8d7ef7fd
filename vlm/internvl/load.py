"""A checkpoint on a device, ready to run: strict, in the dtype asked for, with no code but that of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tuwen.errors import ModelUnavailableError
from vlm.checkpoint import Checkpoint, needs_extra
from vlm.internvl.config import Sizes
from vlm.internvl.convert import converted, refuse

if TYPE_CHECKING:
    import torch
    from transformers import InternVLForConditionalGeneration

Dtype = str
"""``auto`` (bfloat16 on a GPU, float32 on a CPU), ``bfloat16``, ``float16`` or ``float32``."""


class Loaded(NamedTuple):
    """A model in memory."""

    model: InternVLForConditionalGeneration
    device: torch.device
    """Where its inputs go."""
    dtype: torch.dtype
    split: bool
    """Whether it lies on more than one device."""


def choose_device(device: str) -> torch.device:
    """``auto`` is the first GPU, or the CPU where there is none. Raises ModelUnavailableError."""
    try:
        import torch
    except ImportError as error:
        raise needs_extra() from error
    if device in ("auto", "balanced"):
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelUnavailableError(
            f"device {device!r} is unknown: use auto, balanced, cpu, cuda or cuda:N."
        ) from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailableError(f"device {device} was asked for, but torch sees no GPU here.")
    return chosen


def choose_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """The torch dtype of a name."""
    import torch

    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    chosen = getattr(torch, dtype)
    assert isinstance(chosen, torch.dtype)
    return chosen


def load(checkpoint: Checkpoint, sizes: Sizes, image_token_id: int, cache: Path, dtype: str, device: str) -> Loaded:
    """Load a checkpoint of either format.

    Args:
        checkpoint: of the format that ``sizes`` names.
        sizes: as read from its configuration.
        image_token_id: as its tokenizer says.
        cache: folder for the converted form of original checkpoints.
        dtype: see :data:`Dtype`.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, or ``balanced``
            (layers spread over all GPUs; needs accelerate).

    Raises:
        ModelUnavailableError: weights do not fit, or do not fit into the device's memory.
    """
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    folder = checkpoint.folder
    if sizes.format == "original":
        folder = converted(checkpoint, image_token_id, cache)
    model = _from_pretrained(checkpoint, folder, kind, "balanced" if device == "balanced" else None)
    split = len({parameter.device for parameter in model.parameters()}) > 1
    if device != "balanced":
        model = _place(model, where, checkpoint)
    _fix_rope(model)
    return Loaded(model.eval(), where, kind, split)


def _from_pretrained(
    checkpoint: Checkpoint, folder: Path, dtype: torch.dtype, device_map: str | None
) -> InternVLForConditionalGeneration:
    from safetensors import SafetensorError
    from transformers import InternVLForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model, report = InternVLForConditionalGeneration.from_pretrained(
            folder,
            dtype=dtype,
            device_map=device_map,
            attn_implementation="sdpa",
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelUnavailableError(f"{checkpoint.name} cannot be loaded: {error}") from error
    refuse(checkpoint.name, _problems(report))
    return model


def _problems(report: dict[str, Any]) -> dict[str, list[str]]:
    mismatched = sorted(str(item[0]) for item in report["mismatched_keys"])
    return {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "of another shape": mismatched,
    }


def _place(
    model: InternVLForConditionalGeneration, device: torch.device, checkpoint: Checkpoint
) -> InternVLForConditionalGeneration:
    import torch

    try:
        return model.to(device)
    except torch.OutOfMemoryError as error:
        size = sum(parameter.nbytes for parameter in model.parameters())
        raise ModelUnavailableError(
            f"{checkpoint.name} needs {size / 1e9:.1f} GB on {device}, which has not so much free."
        ) from error


def _fix_rope(model: InternVLForConditionalGeneration) -> None:
    """Keep the rotary frequencies as they are.

    Dynamic scaling acts only beyond the positions that the model was made for, which no request reaches; looking
    whether it does costs a synchronisation with the GPU at every step and cannot be captured in a graph.
    """
    rotary = model.model.language_model.rotary_emb
    if rotary.rope_type == "dynamic":
        rotary.rope_type = "default"
