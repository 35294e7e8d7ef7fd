"""How much memory requests may take, planned once from what is free."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import torch

from vlm.internvl.load import Loaded


class KeyValueShape(NamedTuple):
    """What one token costs."""

    layers: int
    heads: int
    dimension: int
    dtype: torch.dtype

    @classmethod
    def of(cls, loaded: Loaded) -> KeyValueShape:
        """Of a loaded model."""
        text = loaded.model.config.text_config
        dimension = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return cls(text.num_hidden_layers, text.num_key_value_heads, dimension, loaded.dtype)

    @property
    def bytes_per_token(self) -> int:
        """Keys and values of all layers."""
        return 2 * self.layers * self.heads * self.dimension * self.dtype.itemsize


def plan(
    budget_bytes: int, shape: KeyValueShape, context: int, most: int, short: int = 8192
) -> Sequence[tuple[int, int]]:
    """Slots and their length, by pool, so that all fit in ``budget_bytes``.

    Pages rarely need more than ``short`` tokens, and answers over many pages do: long slots for all would leave room
    for few rows. So a third of the memory goes to slots of the whole context where that is longer.

    Args:
        budget_bytes: for keys and values.
        shape: what one token costs.
        context: tokens that a request may have at most.
        most: rows at once in a pool.
        short: length of the slots of the first pool.

    Returns:
        ``(slots, length)`` of each pool, shortest first; empty where not even one slot of 512 tokens fits.
    """
    tokens = budget_bytes // shape.bytes_per_token
    if context <= short or tokens // 3 <= short:
        length = _rounded(min(context, tokens))
        return [(min(most, tokens // length), length)] if length >= min(512, _rounded(context)) else []
    length = _rounded(min(context, tokens // 3))
    return [(min(most, tokens * 2 // 3 // short), short), (min(most, tokens // 3 // length), length)]


def _rounded(length: int) -> int:
    """Down to what attention kernels like their masks to be aligned to."""
    return length // 8 * 8


def default_rows(device: torch.device) -> int:
    """Requests at once, where nobody said how many."""
    return 8 if device.type == "cpu" else 128


def free_bytes(loaded: Loaded) -> int:
    """Memory that nobody uses now: of the GPUs, as if all had what the fullest has; on a CPU half of the machine's."""
    if loaded.device.type == "cuda":
        devices = {parameter.device for parameter in loaded.model.parameters()}
        return min(torch.cuda.mem_get_info(device)[0] for device in devices) * len(devices)
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
