"""The seams of retrieval (DESIGN section 4): ``Encoder``, ``PageIndex``, ``Reranker``, ``Answerer``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuwen.types import Box, HitKind, Model, PageRecord, Passage, RefusalReason, WordSpan
from vlm.base import CancelToken, Message

DenseVector = NDArray[np.float32]
"""Shape (d,), L2-normalised."""
MultiVector = NDArray[np.float32]
"""Shape (n, d)."""
RGB = NDArray[np.uint8]
"""An image of shape (height, width, 3), RGB."""


class SparseVector(NamedTuple):
    """Term weights: strictly increasing u32 ids and as many positive values."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]


Vector = DenseVector | SparseVector | MultiVector
Role = Literal["query", "passage"]
VectorKind = Literal["dense", "sparse", "multivector"]
Modality = Literal["text", "image"]

_POINTS = UUID("5f0d0d6e-3c5b-5d0e-9b64-7477656e2d70")


def point_id(document_id: str, page: int, kind: str, ordinal: int) -> UUID:
    """Deterministic id, so that indexing again overwrites: UUIDv5 of document, page, kind and ordinal.

    Args:
        document_id: in full.
        page: the page that a passage starts on, or the page itself.
        kind: a :class:`~tuwen.types.HitKind`.
        ordinal: of the passage in its document; the page number for a page.
    """
    return uuid5(_POINTS, f"{document_id}/{page}/{kind}/{ordinal}")


class EncoderDescription(Model):
    """What is known about an encoder before it runs (after fastembed's ModelDescription)."""

    name: str
    kind: VectorKind
    dimension: int | None = Field(description="None for sparse vectors")
    modalities: tuple[Modality, ...]
    max_tokens: int | None = None
    score_floor: float = Field(default=0.0, description="cosine of unrelated texts, from which a score begins to count")
    licence: str
    fingerprint: str = Field(description="changes whenever the same input could give another vector")


@runtime_checkable
class Encoder(Protocol):
    """Text or images in, one vector each out; deterministic, independent of batch mates."""

    @property
    def description(self) -> EncoderDescription:
        """Static facts."""
        ...

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        """One vector a text. Raises InvalidRequestError for an encoder without text."""
        ...

    def encode_images(self, images: Sequence[RGB]) -> list[Vector]:
        """One vector an image. Raises InvalidRequestError for an encoder without images."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` as this encoder counts them, specials and prompt excluded."""
        ...


@runtime_checkable
class LateEncoder(Encoder, Protocol):
    """Text or images in, many vectors each out, which are compared by MaxSim."""

    def pool(self, vectors: MultiVector) -> MultiVector:
        """The same page or passage in fewer vectors, for the search that comes before the scoring."""
        ...


class Encoders(NamedTuple):
    """The encoders of one preset; a point carries a vector of each that applies to it."""

    dense: Encoder
    sparse: Encoder
    image: Encoder
    late: LateEncoder | None = None

    @property
    def fingerprint(self) -> str:
        """Changes whenever any of them would give other vectors; names the index folder or collection."""
        parts = [encoder.description.fingerprint for encoder in self if encoder is not None]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class PointPayload(Model):
    """What is stored beside the vectors of a point and can be filtered on."""

    tenant: str
    collection: str
    document_id: str
    page: int = Field(description="the page the point stands for; of a passage, the page it starts on")
    pages: tuple[int, ...] = Field(description="all pages it touches")
    kind: HitKind
    ordinal: int = Field(description="of the passage in the document; the page number for a page image")
    is_contents: bool = False


class IndexPoint(NamedTuple):
    """One point: a passage (dense + sparse) or a page image."""

    id: UUID
    vectors: Mapping[str, Vector]
    payload: PointPayload


class VectorField(Model):
    """One named vector of the index."""

    name: str
    kind: VectorKind
    dimension: int | None = None
    rescoring: bool = Field(
        default=False, description="of a multivector: only scores what another vector found, so no graph is built"
    )


class Filter(Model):
    """Conditions that every prefetch carries; None means any."""

    tenant: str | None = None
    collection: str | None = None
    documents: tuple[str, ...] | None = Field(default=None, description="any of these document ids")
    kinds: tuple[HitKind, ...] | None = None
    exclude_documents: tuple[str, ...] = ()
    points: tuple[UUID, ...] | None = Field(default=None, description="any of these points")


class VectorQuery(NamedTuple):
    """Nearest points to one vector; to a multivector by MaxSim (Khattab & Zaharia 2020, arXiv:2004.12832)."""

    field: str
    vector: Vector
    limit: int
    filter: Filter = Filter()
    prefetch: tuple[VectorQuery, ...] = ()
    """Queries whose results, together, are the only points that are scored; all points when there is none."""


class Scored(NamedTuple):
    """A point and its score, higher is better, as the index gives it (cosine, or BM25 sum)."""

    id: UUID
    score: float
    payload: PointPayload


@runtime_checkable
class PageIndex(Protocol):
    """A vector index. Writes are durable when the call returns; upserts are idempotent by id."""

    def upsert(self, points: Iterable[IndexPoint]) -> int:
        """Write points, in bounded batches; the number written."""
        ...

    def delete(self, where: Filter) -> int:
        """Remove matching points; the number removed. An empty filter is refused."""
        ...

    def query(self, queries: Sequence[VectorQuery]) -> list[list[Scored]]:
        """One result list a query, best first, in one round trip."""
        ...

    def count(self, where: Filter | None = None) -> int:
        """Exact number of matching points."""
        ...

    def facet(self, key: str, where: Filter | None = None) -> dict[str, int]:
        """Number of points by value of a payload key."""
        ...

    def ids(self, where: Filter | None = None) -> Iterable[UUID]:
        """Ids of matching points, streamed."""
        ...

    def points(self, where: Filter | None = None) -> Iterable[IndexPoint]:
        """Matching points whole, streamed: to compare or to move an index."""
        ...

    def older(self) -> Iterable[PageIndex]:
        """Indexes that other sets of encoders left in the same place, each open until the next is asked for.

        What is deleted must leave them too, since their settings may come back.
        """
        ...

    def drop(self) -> None:
        """Remove the index for good, and close it."""
        ...

    def optimize(self) -> None:
        """Build what makes queries fast; slow, off the request path."""
        ...

    def close(self) -> None:
        """Flush and let go of the index."""
        ...


class Candidate(NamedTuple):
    """A passage (or page image) that the search plan proposes, with its score after fusion, 0..1."""

    document_id: str
    page: int
    kind: HitKind
    ordinal: int
    score: float
    scores: Mapping[str, float]
    """Raw score by vector name, for calibration."""
    start_page: int
    """The page that the passage starts on; before ``page`` for a continued table."""


class PageCandidate(NamedTuple):
    """One page that the search plan proposes, and the passages that speak for it."""

    document_id: str
    page: int
    score: float
    """After fusion, 0..1, best page first."""
    scores: Mapping[str, float]
    """Best raw score by vector name (cosine; BM25 sum), for calibration."""
    passages: tuple[Candidate, ...]
    """Passages that touch this page, best first; empty when only the page as a whole matched."""


class RerankInput(NamedTuple):
    """What a candidate says; only what :attr:`Reranker.reads` asks for is filled in."""

    text: str = ""
    image: RGB | None = None


@runtime_checkable
class Reranker(Protocol):
    """Second-stage scoring of candidates."""

    @property
    def reads(self) -> tuple[Modality, ...]:
        """What it wants to be given of a candidate; nothing, when it needs none or has it in the index."""
        ...

    def rerank(self, query: str, candidates: Sequence[Candidate], inputs: Sequence[RerankInput]) -> list[Candidate]:
        """The same candidates, best first, with their new scores, 0..1."""
        ...


class Evidence(NamedTuple):
    """One retrieved page of one question: its record, the passages that matched on it, and the scores."""

    document_id: str
    document_name: str
    record: PageRecord
    passages: tuple[Passage, ...]
    """Passages of this page that matched, best first."""
    score: float
    scores: Mapping[str, float]
    picture: Callable[[], RGB] | None = None
    """Loads the picture of the displayed page; only answerers that look at pages call it."""


class Quote(NamedTuple):
    """Words that are said to be printed on a page."""

    text: str
    document_id: str
    page: int
    words: WordSpan | None = None
    """Where they are said to stand; a hint for a quote that the page prints more than once."""


class Claim(NamedTuple):
    """One sentence of an answer and the quotes it rests on."""

    text: str
    quotes: tuple[Quote, ...]
    unverified: bool = False
    """Kept although no page supports it; its text says so."""


class Draft(NamedTuple):
    """What an answerer proposes; grounding checks every quote before anything is returned."""

    claims: tuple[Claim, ...]
    confidence: float
    """Calibrated probability that the claims answer the question; of a model, the share of its words with support."""
    reason: RefusalReason | None = None
    """Set when it refuses; then ``claims`` may hold the nearest sentences."""
    conflict: bool = False


class Dialogue(NamedTuple):
    """What a question comes with. An answerer that only quotes has no use for it: retrieval has taken it up."""

    history: tuple[Message, ...] = ()
    """Earlier turns, oldest first."""
    picture: RGB | None = None
    """An image of the user's; never evidence."""
    cancel: CancelToken | None = None
    """Ends the answer."""


ALONE = Dialogue()
"""A question that comes with nothing."""


@runtime_checkable
class Answerer(Protocol):
    """Question and evidence in, a draft with quotes out."""

    def answer(self, question: str, evidence: Sequence[Evidence], dialogue: Dialogue = ALONE, /) -> Draft:
        """Propose an answer from ``evidence`` (best first) or refuse.

        Raises:
            ModelUnavailableError: a model is needed and cannot be loaded or reached, or the answer was cancelled.
        """
        ...


@runtime_checkable
class StreamingAnswerer(Answerer, Protocol):
    """An answerer that takes its time and can be watched."""

    def stream(
        self, question: str, evidence: Sequence[Evidence], dialogue: Dialogue = ALONE, /
    ) -> Generator[str, None, Draft]:
        """The texts of the draft's claims, in their order, each as soon as its quotes are found; then the draft.

        Closing the generator cancels the answer. Raises as :meth:`answer`.
        """
        ...


class Located(NamedTuple):
    """Where a quote stands."""

    page: int
    words: tuple[int, ...]
    boxes: tuple[Box, ...]
    similarity: float
    """1.0 for an exact match after folding."""
    text: str
    """The stretch that matched, as the page prints it."""
