"""Reading with two readers: what vision models add to the plain reading of a page.

``ingest`` aligns, ``vlm`` asks; here the one is carried to the other.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest import transcription
from ingest.base import RGB
from tuwen.fingerprint import fingerprint
from tuwen.types import PageRecord, Verdict, VerdictCode
from vlm.base import CancelToken, VisionModel
from vlm.tasks.asking import TaskOptions
from vlm.tasks.caption import FigureView, caption, caption_fingerprint
from vlm.tasks.transcribe import Transcription, transcribe, transcribe_fingerprint

_UNREAD_CHARS = 2000
"""Of a transcription that no second reader can place: so much of it is kept as the model's words."""


class Asked(NamedTuple):
    """A model, and how it is asked."""

    model: VisionModel
    options: TaskOptions


class Transcriber:
    """Reads pages again with vision models; thread-safe, since they are.

    Args:
        reader: transcribes; None leaves the plain reading as it is.
        describer: captions pages and figures; None leaves them without.
    """

    def __init__(self, reader: Asked | None, describer: Asked | None) -> None:
        self._reader, self._describer = reader, describer

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same plain reading could become another record. Raises ModelUnavailableError."""
        return fingerprint(
            version=transcription.TRANSCRIPTION_VERSION,
            reader=transcribe_fingerprint(*self._reader) if self._reader else None,
            describer=caption_fingerprint(*self._describer) if self._describer else None,
        )

    def read(self, plain: PageRecord, image: RGB, cancel: CancelToken | None = None) -> PageRecord:
        """The record of a page as both readers have it. A blank page is shown to no model: it would make something up.

        Args:
            plain: what the text layer or OCR has.
            image: the displayed page.
            cancel: ends the requests.

        Raises:
            InvalidRequestError: the page cannot fit into the model's context.
            ModelUnavailableError: the model cannot be loaded or reached, or ``cancel`` was used.
        """
        if VerdictCode.BLANK in plain.verdict.codes or transcription.is_blank(image):
            return plain
        record = self._read(self._reader, plain, image, cancel) if self._reader else plain
        return self._described(self._describer, record, image, cancel) if self._describer else record

    def _read(self, asked: Asked, plain: PageRecord, image: RGB, cancel: CancelToken | None) -> PageRecord:
        bands = transcription.bands(plain)
        made = transcribe(asked.model, image, asked.options, printed=plain.text, bands=bands, cancel=cancel)
        record = plain if made.repeats and not made.markdown else transcription.merge(plain, made.markdown, image)
        if made.repeats:
            record = _flagged(record, VerdictCode.REPETITION)
        return _with_unread(record, made)

    def _described(self, asked: Asked, record: PageRecord, image: RGB, cancel: CancelToken | None) -> PageRecord:
        found = transcription.figures(record, image)
        views = [FigureView(figure.image, figure.nearby) for figure in found]
        made = caption(asked.model, image, views, asked.options, cancel)
        about = "\n".join(part for part in (made.page, record.caption) if part)
        by_order = {figure.order: text for figure, text in zip(found, made.figures, strict=True)}
        return transcription.with_captions(record, about or None, by_order)


def _flagged(record: PageRecord, code: VerdictCode) -> PageRecord:
    codes = tuple(dict.fromkeys((*record.verdict.codes, code)))
    return record.model_copy(update={"verdict": Verdict(codes=codes)})


def _with_unread(record: PageRecord, made: Transcription) -> PageRecord:
    """Of a page that the plain reader cannot read at all, the transcription is searched as the model's words."""
    if VerdictCode.UNREADABLE not in record.verdict.codes or not made.markdown.strip():
        return record
    return record.model_copy(update={"caption": made.markdown.strip()[:_UNREAD_CHARS]})
