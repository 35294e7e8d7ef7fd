"""The vocabulary of tuwen as types. Every room speaks these and nothing else across its border.

Coordinates: every :class:`Box` is ``(x0, y0, x1, y1)``, each number 0..1 of the *displayed* page
(rotation applied), origin top left, y downwards. Page sizes are in points (1/72 inch) of the
displayed page. Pages are numbered from 1.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator


class Model(BaseModel):
    """Base of all records: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(NamedTuple):
    """A rectangle on the displayed page, as fractions 0..1, origin top left."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Width as a fraction of the page width."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height as a fraction of the page height."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Area as a fraction of the page area; 0 for an empty box."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """Centre point ``(x, y)``."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def contains_point(self, x: float, y: float) -> bool:
        """Whether the point lies inside or on the edge."""
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1

    def intersection(self, other: Box) -> Box:
        """The common part; its :attr:`area` is 0 when the boxes do not meet."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def overlap(self, other: Box) -> float:
        """Share of *this* box's area that lies inside ``other``, 0..1."""
        return self.intersection(other).area / self.area if self.area else 0.0

    def clamped(self) -> Box:
        """The box cut to the page and rounded to 5 decimals (0.006 mm on A4)."""
        x0, x1 = sorted((min(1.0, max(0.0, self.x0)), min(1.0, max(0.0, self.x1))))
        y0, y1 = sorted((min(1.0, max(0.0, self.y0)), min(1.0, max(0.0, self.y1))))
        return Box(round(x0, 5), round(y0, 5), round(x1, 5), round(y1, 5))

    @classmethod
    def union(cls, boxes: Iterable[Box]) -> Box:
        """The smallest box around all of ``boxes``.

        Raises:
            ValueError: when ``boxes`` is empty.
        """
        xs0, ys0, xs1, ys1 = zip(*boxes, strict=True)
        return cls(min(xs0), min(ys0), max(xs1), max(ys1))


class Word(Model):
    """The smallest piece of text with a place: one CJK character, or one run of other script.

    The same granularity as PP-OCR's word boxes. ``line`` numbers the printed line on the page, so
    that a highlight can be one box a line.
    """

    text: str
    box: Box
    line: int = 0


class BlockKind(StrEnum):
    """What a block is (DESIGN section 2)."""

    TITLE = "title"
    TEXT = "text"
    LIST = "list"
    TABLE = "table"
    FIGURE = "figure"
    CAPTION = "caption"
    FORMULA = "formula"
    HEADER = "header"
    FOOTER = "footer"
    SEAL = "seal"


class Source(StrEnum):
    """Which reader a block's wording comes from."""

    TEXT_LAYER = "text_layer"
    OCR = "ocr"
    VLM = "vlm"


class WordSpan(NamedTuple):
    """Half-open range of indices into :attr:`PageRecord.words`."""

    start: int
    end: int


class Block(Model):
    """A piece of a page in reading order.

    Invariant (property-tested): the non-space characters of ``text`` are exactly the characters of
    ``page.words[words.start:words.end]`` in order, so that any piece of ``text`` has boxes.
    """

    kind: BlockKind
    order: int = Field(description="position in reading order, from 0, equal to the index in the page")
    box: Box
    text: str = Field(description="plain text; table cells parted by one space, rows by a newline")
    markdown: str = Field(default="", description="structured form: headings, tables, lists")
    caption: str | None = Field(default=None, description="a VLM's words about a figure; never the document's own")
    source: Source = Source.TEXT_LAYER
    confidence: float | None = Field(
        default=None,
        description="0..1: mean over the reader's characters, where it gives one; of a model, agreement with the other",
    )
    level: int = Field(default=0, description="heading level 1..6 of a title, else 0")
    words: WordSpan = WordSpan(0, 0)


class VerdictCode(StrEnum):
    """Why a page is suspect (DESIGN section 2)."""

    GARBLED_TEXT_LAYER = "garbled_text_layer"
    LOW_OCR_CONFIDENCE = "low_ocr_confidence"
    READER_DISAGREEMENT = "reader_disagreement"
    REPETITION = "repetition"
    INVENTED_TEXT = "invented_text"
    HIDDEN_TEXT = "hidden_text"
    BLANK = "blank"
    UNREADABLE = "unreadable"


class Verdict(Model):
    """How far a page's reading can be trusted."""

    codes: tuple[VerdictCode, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> Literal["ok", "suspect"]:
        """``suspect`` when there is any code."""
        return "suspect" if self.codes else "ok"

    @model_validator(mode="before")
    @classmethod
    def _status_follows(cls, fields: Any) -> Any:
        """What is written out has a status; read back, it follows from the codes."""
        return {"codes": fields.get("codes", ())} if isinstance(fields, dict) and "status" in fields else fields


class PageRecord(Model):
    """Everything read from one page."""

    page: int = Field(ge=1)
    width: float = Field(description="points, displayed orientation")
    height: float = Field(description="points, displayed orientation")
    blocks: tuple[Block, ...] = ()
    words: tuple[Word, ...] = Field(default=(), description="in reading order; every block owns a contiguous range")
    verdict: Verdict = Verdict()
    is_contents: bool = Field(default=False, description="a printed table of contents, index or list of figures")
    caption: str | None = Field(default=None, description="a VLM's words about the page; never the document's own")

    @property
    def text(self) -> str:
        """Plain text of everything printed, blocks parted by a newline."""
        return "\n".join(b.text for b in self.blocks if b.text)

    @property
    def markdown(self) -> str:
        """Structured form of the page, blocks parted by a blank line."""
        return "\n\n".join(b.markdown or b.text for b in self.blocks if b.markdown or b.text)

    def line_boxes(self, span: WordSpan | Sequence[int]) -> tuple[Box, ...]:
        """One box for each printed line that the words of ``span`` (range or indices) touch, in order.

        A line that is not level (a skewed scan, a photo) gets several, so that they keep to it.
        """
        indices = range(*span) if isinstance(span, WordSpan) else span
        lines: dict[int, list[Box]] = {}
        for i in indices:
            lines.setdefault(self.words[i].line, []).append(self.words[i].box)
        return tuple(box.clamped() for boxes in lines.values() for box in _level_runs(boxes))


_LEVEL = 1.4
"""A run of words is level while it is no higher than this multiple of its highest word."""


def _level_runs(boxes: Sequence[Box]) -> list[Box]:
    runs = [boxes[0]]
    highest = boxes[0].height
    for box in boxes[1:]:
        joined = Box.union((runs[-1], box))
        highest = max(highest, box.height)
        if joined.height <= _LEVEL * highest:
            runs[-1] = joined
        else:
            runs.append(box)
            highest = box.height
    return runs


class PassageSpan(NamedTuple):
    """Where a part of a passage stands: words ``[start, end)`` of page ``page``."""

    page: int
    start: int
    end: int


class HitKind(StrEnum):
    """What kind of content a search hit or a passage is."""

    TEXT = "text"
    TABLE = "table"
    FIGURE = "figure"
    IMAGE = "image"


class Passage(Model):
    """What text retrieval returns: text under its headings, and the places it came from."""

    ordinal: int = Field(ge=0, description="position in the document, from 0")
    kind: HitKind = HitKind.TEXT
    text: str
    caption: str = Field(default="", description="a VLM's words about its figures: searched, never quoted")
    heading_path: tuple[str, ...] = Field(default=(), description="titles above it, outermost first")
    spans: tuple[PassageSpan, ...] = Field(description="word ranges in reading order; continued tables have several")
    is_contents: bool = False

    @property
    def page(self) -> int:
        """The page it starts on."""
        return self.spans[0].page


class DocumentStatus(StrEnum):
    """Life of a document (DESIGN section 6)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    READY_WITH_WARNINGS = "ready_with_warnings"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"


class PageWarning(Model):
    """Something a reader of the document should know about one page."""

    page: int
    code: str
    message: str


class Problem(Model):
    """A stable code and a sentence (see :mod:`tuwen.errors`)."""

    code: str
    message: str


class Document(Model):
    """DOCUMENT of the outside contract (DESIGN section 6)."""

    document_id: str
    name: str
    path: str
    sha256: str
    version: int = 1
    status: DocumentStatus
    pages: int | None = None
    warnings: tuple[PageWarning, ...] = ()
    error: Problem | None = None
    duplicate_of: str | None = None
    created_at: str = Field(description="RFC 3339, UTC")


class Skipped(Model):
    """A path that an ingest did not take, and why."""

    path: str
    code: str
    message: str


class IngestReport(Model):
    """Outcome of ``tuwen ingest``."""

    documents: tuple[Document, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class Receipt(Model):
    """What of a deleted document left each store."""

    document_id: str
    catalog: int = Field(description="rows: the document, its ledger and its warnings")
    blobs: int = Field(description="originals")
    index: int = Field(description="points")
    artefacts: int = Field(description="page records, pictures, passages and vectors")


class Hit(Model):
    """One page that matches a query, with the place that matched best."""

    document_id: str
    document_name: str
    page: int
    score: float
    kind: HitKind
    text: str
    boxes: tuple[Box, ...] = ()
    verdict: Verdict = Field(default=Verdict(), description="how far the reading of the page can be trusted")


class SearchResult(Model):
    """Outcome of ``tuwen search``: hits best first, one a page."""

    query: str
    hits: tuple[Hit, ...] = ()


class Citation(Model):
    """A quote and the place where code found it."""

    marker: int = Field(ge=1, description="the number that the answer text carries as [n]")
    document_id: str
    document_name: str
    page: int
    quote: str
    boxes: tuple[Box, ...] = ()
    verified: bool = False
    verdict: Verdict = Field(default=Verdict(), description="how far the reading of the page can be trusted")


class Timings(Model):
    """Milliseconds spent."""

    retrieve_ms: float = 0.0
    answer_ms: float = 0.0


class RefusalReason(StrEnum):
    """Why there is no answer."""

    NO_EVIDENCE = "no_evidence"
    UNREADABLE_SOURCE = "unreadable_source"


class Answer(Model):
    """Outcome of ``tuwen ask``."""

    question: str
    answer: str
    refused: bool = False
    reason: RefusalReason | None = None
    conflict: bool = False
    citations: tuple[Citation, ...] = ()
    timings: Timings = Timings()


def fold_space(text: str) -> str:
    """Remove all white space; what geometry and grounding compare on."""
    return "".join(text.split())


def is_cjk(char: str) -> bool:
    """Whether ``char`` is an ideograph, kana, bopomofo, hangul, or full-width punctuation: a word by itself."""
    code = ord(char)
    return (
        0x2E80 <= code <= 0x9FFF
        or 0xAC00 <= code <= 0xD7AF
        or 0xF900 <= code <= 0xFAFF
        or 0xFE30 <= code <= 0xFE4F
        or (0xFF00 <= code <= 0xFFEF and unicodedata.category(char)[0] == "P")
        or 0x20000 <= code <= 0x3FFFF
    )
