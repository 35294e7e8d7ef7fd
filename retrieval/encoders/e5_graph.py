"""Builds multilingual-e5-small as an ONNX graph from the 4-bit weights.

BERT with post-layer-norm (Devlin et al. 2019), exact-erf GELU, mean pooling over all tokens
(Wang et al. 2024, https://arxiv.org/abs/2402.05672). The weights stay in 4 bits; activations are
quantised per row and block of 32 (``accuracy_level=4``), so a text's vector does not depend on its
batch mates, which it would with per-tensor dynamic quantisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.e5_weights import BLOCK, Q4, Weights

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

VERSION = 1
"""Raised whenever the graph computes other numbers; part of the cache name and the fingerprint."""

_OPSET = 20
_CONTRIB = "com.microsoft"


def build_graph(weights: Weights) -> ModelProto:
    """Inputs ``ids`` and ``mask`` (batch, length) int32; output ``pooled`` (batch, hidden), not normalised."""
    from onnx import TensorProto, helper

    builder = _Builder(weights)
    hidden = builder.embeddings()
    for layer in range(weights.layers):
        hidden = builder.layer(layer, hidden)
    builder.pool(hidden)
    shape = ["batch", "length"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT32, shape) for name in ("ids", "mask")]
    output = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["batch", weights.hidden])
    graph = helper.make_graph(builder.nodes, "multilingual-e5-small-q4", inputs, [output], builder.initializers)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="tuwen")


class _Builder:
    """Collects nodes and initialisers."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.initializers: list[object] = []

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def embeddings(self) -> str:
        """Token, position and type embeddings, then layer norm."""
        w = self.weights
        table = w.quantised("emb.word", w.hidden)
        codes = self.constant("emb.codes", table.codes.reshape(len(table.codes), -1))
        scales = self.constant("emb.scales", table.scales)
        token = self.node(
            "GatherBlockQuantized", [codes, "ids", scales], "emb.token", _CONTRIB,
            bits=4, block_size=BLOCK, gather_axis=0, quantize_axis=1,
        )  # fmt: skip
        places = w.floats("emb.pos").reshape(w.positions, w.hidden) + w.floats("emb.type")[: w.hidden]
        table_name = self.constant("emb.places", places)
        length = self.node("Shape", ["ids"], "emb.length", start=1, end=2)
        start, axis = self.constant("zero", np.array([0])), self.constant("axis0", np.array([0]))
        place = self.node("Slice", [table_name, start, length, axis], "emb.place")
        summed = self.node("Add", [token, place], "emb.sum")
        gain, bias = self.constant("emb.gain", w.floats("emb.ln.w")), self.constant("emb.bias", w.floats("emb.ln.b"))
        return self.node("LayerNormalization", [summed, gain, bias], "emb.out", epsilon=w.epsilon)

    def layer(self, i: int, hidden: str) -> str:
        """Self-attention and feed-forward, each with residual and layer norm after it."""
        w, p = self.weights, f"l{i}"
        parts = [w.quantised(f"{p}.{name}.w", w.hidden) for name in "qkv"]
        stacked = Q4(np.concatenate([x.codes for x in parts]), np.concatenate([x.scales for x in parts]))
        bias = np.concatenate([w.floats(f"{p}.{name}.b") for name in "qkv"])
        qkv = self.linear(f"{p}.qkv", hidden, stacked, bias)
        names = [f"{p}.{name}" for name in "qkv"]
        self.split(qkv, names)
        attended = self.node(
            "MultiHeadAttention", [*names, "", "mask"], f"{p}.attended", _CONTRIB, num_heads=w.heads
        )  # fmt: skip
        projected = self.dense(f"{p}.ao", attended, w.hidden)
        middle = self.residual(f"{p}.aln", hidden, projected)
        wide = self.node("Gelu", [self.dense(f"{p}.fi", middle, w.hidden)], f"{p}.gelu")
        narrow = self.dense(f"{p}.fo", wide, w.feed_forward)
        return self.residual(f"{p}.oln", middle, narrow)

    def split(self, source: str, names: list[str]) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node("Split", [source], names, axis=-1, num_outputs=3))

    def dense(self, name: str, source: str, columns: int) -> str:
        return self.linear(name, source, self.weights.quantised(f"{name}.w", columns), self.weights.floats(f"{name}.b"))

    def linear(self, name: str, source: str, matrix: Q4, bias: NDArray[np.float32]) -> str:
        rows, blocks, _ = matrix.codes.shape
        inputs = [
            source,
            self.constant(f"{name}.codes", matrix.codes),
            self.constant(f"{name}.scales", matrix.scales),
            "",
            "",
            self.constant(f"{name}.bias", bias),
        ]
        return self.node(
            "MatMulNBits", inputs, f"{name}.out", _CONTRIB,
            K=blocks * BLOCK, N=rows, bits=4, block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip

    def residual(self, name: str, source: str, update: str) -> str:
        gain = self.constant(f"{name}.gain", self.weights.floats(f"{name}.w"))
        bias = self.constant(f"{name}.bias", self.weights.floats(f"{name}.b"))
        inputs = [source, update, gain, bias]
        return self.node("SkipLayerNormalization", inputs, f"{name}.out", _CONTRIB, epsilon=self.weights.epsilon)

    def pool(self, hidden: str) -> None:
        """Mean over the tokens that the mask keeps."""
        from onnx import TensorProto

        mask = self.node("Cast", ["mask"], "pool.mask", to=TensorProto.FLOAT)
        middle = self.constant("axis1", np.array([1]))
        row = self.node("Unsqueeze", [mask, middle], "pool.row")
        total = self.node("Squeeze", [self.node("MatMul", [row, hidden], "pool.product"), middle], "pool.total")
        count = self.node("ReduceSum", [mask, middle], "pool.count", keepdims=1)
        self.node("Div", [total, count], "pooled")
