"""An InternVL checkpoint of either format on a device, ready for the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vlm.checkpoint import Checkpoint
from vlm.internvl.config import Sizes
from vlm.internvl.convert import converted
from vlm.loading import choose_device, choose_dtype, load_pretrained

if TYPE_CHECKING:
    import torch
    from transformers import InternVLForConditionalGeneration


class Loaded(NamedTuple):
    """A model in memory."""

    model: InternVLForConditionalGeneration
    device: torch.device
    """Where its inputs go."""
    dtype: torch.dtype
    split: bool
    """Whether it lies on more than one device."""


def load(checkpoint: Checkpoint, sizes: Sizes, image_token_id: int, cache: Path, dtype: str, device: str) -> Loaded:
    """Load a checkpoint.

    Args:
        checkpoint: of the format that ``sizes`` names.
        sizes: as read from its configuration.
        image_token_id: as its tokenizer says.
        cache: folder for the converted form of original checkpoints.
        dtype: ``auto`` or the name of a torch dtype.
        device: as :func:`vlm.loading.load_pretrained` takes it.

    Raises:
        ModelUnavailableError: weights do not fit their configuration, or the device's memory.
    """
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    from transformers import InternVLForConditionalGeneration

    folder = checkpoint.folder
    if sizes.format == "original":
        folder = converted(checkpoint, image_token_id, cache)
    model = load_pretrained(InternVLForConditionalGeneration, checkpoint, folder, kind, device)
    _fix_rope(model)
    split = len({parameter.device for parameter in model.parameters()}) > 1
    return Loaded(model, where, kind, split)


def _fix_rope(model: InternVLForConditionalGeneration) -> None:
    """Keep the rotary frequencies as they are.

    Dynamic scaling acts only beyond the positions that the model was made for, which no request reaches; looking
    whether it does costs a synchronisation with the GPU at every step and cannot be captured in a graph.
    """
    rotary = model.model.language_model.rotary_emb
    if rotary.rope_type == "dynamic":
        rotary.rope_type = "default"
