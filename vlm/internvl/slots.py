"""The cache of keys and values as slots: a row of the batch joins and leaves without moving the others.

A slot holds up to ``length`` tokens of one request. A row is prefilled straight into its slot; then one forward pass
a step writes the next token of every row. Only the used part is read, rounded up, so that few shapes occur; on a GPU
each shape is captured once as a CUDA graph, because some 1,200 kernel launches a step would cost more than the
arithmetic. Everything else is the same code on CPU and GPU.
"""

from __future__ import annotations

from typing import Any

import torch

from tuwen.errors import ModelUnavailableError
from vlm.internvl.load import Loaded
from vlm.internvl.memory import KeyValueShape

_READ_STEP = 512
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 96)


class _PrefillCache:
    """What the language model sees as its cache while one row is prefilled."""

    def __init__(self, pool: SlotPool, slot: int) -> None:
        self._pool = pool
        self._slot = slot

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep keys and values of shape (1, heads, tokens, dimension); attention needs no others."""
        tokens = keys.shape[2]
        self._pool.keys[layer][self._slot, :, :tokens] = keys[0]
        self._pool.values[layer][self._slot, :, :tokens] = values[0]
        return keys, values


class _DecodeCache:
    """The same for one step of the first ``rows`` slots, of which ``read`` tokens are read."""

    def __init__(self, pool: SlotPool, rows: int, read: int) -> None:
        self._pool = pool
        self._rows = rows
        self._read = read

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add keys and values of shape (rows, heads, 1, dimension) at each row's position; all that is to be read."""
        read = []
        for store, new in ((self._pool.keys[layer], keys), (self._pool.values[layer], values)):
            slots = store[: self._rows]
            rows = self._pool.numbers[: self._rows].to(store.device)
            slots[rows, :, self._pool.positions[: self._rows].to(store.device)] = new[:, :, 0]
            read.append(slots[:, :, : self._read])
        return read[0], read[1]


class SlotPool:
    """Slots of one length. Rows are known to it by the number of their slot.

    Args:
        loaded: the model.
        slots: how many rows at once.
        length: tokens that a slot holds, prompt and text together.
        graphs: whether to capture CUDA graphs.

    Attributes:
        tokens: the last token of each row, which the next step reads; shape (slots,).
        positions: where that token stands; shape (slots,).

    Raises:
        torch.OutOfMemoryError: no room for so many.
    """

    def __init__(self, loaded: Loaded, slots: int, length: int, graphs: bool) -> None:
        self._model = loaded.model
        self._dtype = loaded.dtype
        self._device = loaded.device
        self._graphs = graphs
        self._captured: dict[tuple[int, int], torch.cuda.CUDAGraph | None] = {}
        self._memory: Any = None
        self.slots = slots
        self.length = length
        shape = KeyValueShape.of(loaded)
        size = (slots, shape.heads, length, shape.dimension)
        layers = loaded.model.model.language_model.layers
        places = [next(layer.parameters()).device for layer in layers]
        self.keys = [torch.zeros(size, dtype=shape.dtype, device=place) for place in places]
        self.values = [torch.zeros(size, dtype=shape.dtype, device=place) for place in places]
        self.tokens = torch.zeros(slots, dtype=torch.long, device=self._device)
        self.positions = torch.zeros(slots, dtype=torch.long, device=self._device)
        self.numbers = torch.arange(slots, device=self._device)
        self._active = torch.zeros(slots, dtype=torch.long, device=self._device)
        vocabulary = loaded.model.lm_head.out_features
        self._logits = torch.zeros(slots, vocabulary, dtype=loaded.dtype, device=self._device)

    def prefill(self, slot: int, embeddings: torch.Tensor) -> torch.Tensor:
        """Read a prompt of shape (tokens, hidden) into ``slot``; the logits of the next token, shape (vocabulary,)."""
        tokens = embeddings.shape[0]
        hidden = self._forward(
            embeddings[None],
            torch.arange(tokens, device=self._device)[None],
            None,
            _PrefillCache(self, slot),
        )
        self.positions[slot] = tokens
        logits: torch.Tensor = self._model.lm_head(hidden[0, -1:])[0]
        return logits

    def start(self, slot: int, token: torch.Tensor | int) -> None:
        """Let the row of ``slot`` take part in steps, ``token`` being the first after its prompt."""
        self.tokens[slot] = token
        self._active[slot] = 1

    def release(self, slot: int) -> None:
        """The row has left."""
        self._active[slot] = 0
        self.positions[slot] = 0

    def step(self, rows: int, longest: int) -> torch.Tensor:
        """One token for every row that takes part; ``tokens`` holds the likeliest ones afterwards.

        Args:
            rows: slots up to this number take part.
            longest: tokens of the longest row, the one to be read included.

        Returns:
            Logits, shape (slots, vocabulary); those of the first ``rows`` are new, and valid until the next step.
        """
        key = (self._batch(rows), min(-(-longest // _READ_STEP) * _READ_STEP, self.length))
        if graph := self._captured.get(key):
            graph.replay()
            return self._logits
        self._step(*key)
        if self._graphs and key not in self._captured:
            self._captured[key] = self._capture(*key)
        return self._logits

    def shrink(self, slots: int) -> None:
        """Keep the first ``slots`` only, and give the memory of the others back."""
        self._captured.clear()
        self._memory = None
        for store in (self.keys, self.values):
            for layer in range(len(store)):
                store[layer] = store[layer][:slots].clone()
        self.tokens, self.positions = self.tokens[:slots].clone(), self.positions[:slots].clone()
        self.numbers, self._active = self.numbers[:slots].clone(), self._active[:slots].clone()
        self._logits = self._logits[:slots].clone()
        self.slots = slots

    def _batch(self, rows: int) -> int:
        return next((size for size in _BATCHES if rows <= size <= self.slots), self.slots)

    def _step(self, rows: int, read: int) -> None:
        """All results go to tensors that stay, so that graphs may share the rest of their memory."""
        positions = self.positions[:rows]
        visible = torch.arange(read, device=self._device) <= positions[:, None]
        mask = torch.zeros(visible.shape, dtype=self._dtype, device=self._device)
        mask = mask.masked_fill_(~visible, torch.finfo(self._dtype).min)[:, None, None]
        embeddings = self._model.model.language_model.embed_tokens(self.tokens[:rows])[:, None]
        hidden = self._forward(embeddings, positions[:, None], mask, _DecodeCache(self, rows, read))
        self._logits[:rows] = self._model.lm_head(hidden[:, 0])
        self.tokens[:rows] = self._logits[:rows].argmax(-1)
        positions += self._active[:rows]

    def _forward(
        self,
        embeddings: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        cache: _PrefillCache | _DecodeCache,
    ) -> torch.Tensor:
        """Hidden states; no mask means causal. Masks as a dictionary are taken as they are by the language model."""
        output = self._model.model.language_model(
            inputs_embeds=embeddings,
            position_ids=positions,
            attention_mask={"full_attention": mask},
            past_key_values=cache,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def _capture(self, rows: int, read: int) -> torch.cuda.CUDAGraph | None:
        """Record the step that just ran; None where there is no memory for it, so that it stays eager."""
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(
                graph, pool=self._memory, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"
            ):
                self._step(rows, read)
        except torch.OutOfMemoryError:
            return None
        except RuntimeError as error:
            raise ModelUnavailableError(
                f"CUDA graphs cannot be captured here: {error}. Switch them off: set graphs: false for this model."
            ) from error
        self._memory = self._memory or graph.pool()
        return graph
