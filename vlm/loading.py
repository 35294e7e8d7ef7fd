"""Models of transformers on a device: strict, and with no code but that of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuwen.errors import ModelUnavailableError
from vlm.checkpoint import Checkpoint, needs_extra

if TYPE_CHECKING:
    import torch


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


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The torch dtype of a name; ``auto`` is bfloat16 on a GPU and float32 on a CPU."""
    import torch

    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    chosen = getattr(torch, dtype)
    assert isinstance(chosen, torch.dtype)
    return chosen


def load_pretrained(kind: Any, checkpoint: Checkpoint, folder: Path, dtype: torch.dtype, device: str) -> Any:
    """A model in memory, ready to run.

    Args:
        kind: class of transformers whose ``from_pretrained`` is called.
        checkpoint: what is loaded, for messages.
        folder: where its native form lies.
        dtype: of the weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, or ``balanced``
            (layers spread over all GPUs; needs accelerate).

    Raises:
        ModelUnavailableError: it cannot be read, a tensor is missing or left over, or the device is too small.
    """
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            folder,
            dtype=dtype,
            device_map="balanced" if device == "balanced" else None,
            attn_implementation="sdpa",
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelUnavailableError(f"{checkpoint.name} cannot be loaded: {error}") from error
    refuse(
        checkpoint.name,
        {
            "missing": sorted(report["missing_keys"]),
            "unexpected": sorted(report["unexpected_keys"]),
            "of another shape": sorted(str(item[0]) for item in report["mismatched_keys"]),
        },
    )
    if device != "balanced":
        model = _place(model, choose_device(device), checkpoint)
    return model.eval()


def refuse(name: str, wrong: Mapping[str, list[str]]) -> None:
    """Raise ModelUnavailableError if any list of ``wrong`` holds a tensor."""
    if parts := [f"{len(names)} {what} ({', '.join(names[:3])})" for what, names in wrong.items() if names]:
        raise ModelUnavailableError(f"{name}: its weights do not fit its config.json: {'; '.join(parts)}.")


def _place(model: Any, device: torch.device, checkpoint: Checkpoint) -> Any:
    import torch

    try:
        return model.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailableError(
            f"{checkpoint.name} needs {checkpoint.size() / 1e9:.1f} GB on {device}, which has not so much free."
        ) from error
