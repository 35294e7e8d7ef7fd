"""Reading with two readers: what vision models see on a page, and what becomes of the plain reading by it.

``ingest`` aligns, ``vlm`` asks; here the one is carried to the other. Asking happens where the models live, in threads
whose requests share the models' batches; aligning is work for child processes.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest import transcription
from ingest.base import RGB
from tuwen.artefacts import Artefacts, Seen
from tuwen.fingerprint import fingerprint
from tuwen.types import PageRecord, Verdict, VerdictCode
from vlm.base import CancelToken, VisionModel
from vlm.tasks.asking import TaskOptions
from vlm.tasks.caption import FigureView, caption, caption_fingerprint
from vlm.tasks.transcribe import transcribe, transcribe_fingerprint

_UNREAD_CHARS = 2000
"""Of a transcription that no second reader can place: so much of it is kept as the model's words."""


class Asked(NamedTuple):
    """A model, and how it is asked."""

    model: VisionModel
    options: TaskOptions


class Transcriber:
    """Looks at pages with vision models; thread-safe, since they are.

    Args:
        reader: transcribes; None leaves the plain reading as it is.
        describer: captions pages and figures; None leaves them without.
    """

    def __init__(self, reader: Asked | None, describer: Asked | None) -> None:
        self._reader, self._describer = reader, describer

    @property
    def fingerprint(self) -> str:
        """Changes whenever other things could be seen on the same page. Raises ModelUnavailableError."""
        return fingerprint(
            reader=transcribe_fingerprint(*self._reader) if self._reader else None,
            describer=caption_fingerprint(*self._describer) if self._describer else None,
        )

    def look(self, plain: PageRecord, image: RGB, cancel: CancelToken | None = None) -> Seen:
        """What the models see on a page. A blank one is shown to none: it would make something up.

        Args:
            plain: what the text layer or OCR has.
            image: the displayed page.
            cancel: ends the requests.

        Raises:
            InvalidRequestError: the page cannot fit into the model's context.
            ModelUnavailableError: the model cannot be loaded or reached, or ``cancel`` was used.
        """
        if VerdictCode.BLANK in plain.verdict.codes or transcription.is_blank(image):
            return Seen()
        read = self._read(self._reader, plain, image, cancel) if self._reader else Seen()
        return self._described(self._describer, read, plain, image, cancel) if self._describer else read

    @staticmethod
    def _read(asked: Asked, plain: PageRecord, image: RGB, cancel: CancelToken | None) -> Seen:
        bands = transcription.bands(plain)
        made = transcribe(asked.model, image, asked.options, printed=plain.text, bands=bands, cancel=cancel)
        return Seen(markdown=made.markdown, repeats=made.repeats)

    @staticmethod
    def _described(asked: Asked, read: Seen, plain: PageRecord, image: RGB, cancel: CancelToken | None) -> Seen:
        found = transcription.figures(plain, image)
        views = [FigureView(figure.image, figure.nearby) for figure in found]
        made = caption(asked.model, image, views, asked.options, cancel)
        captions = {figure.order: text for figure, text in zip(found, made.figures, strict=True) if text}
        return read.model_copy(update={"caption": made.page, "figures": captions})


def look_at_page(
    artefacts: Artefacts, transcriber: Transcriber, cancel: CancelToken, document_id: str, page: int
) -> str:
    """Stage *transcribe*: show a page to the models and store what they see; its key. Raises as Transcriber.look."""
    plain, image = artefacts.plain_page(document_id, page), artefacts.page_pixels(document_id, page)
    return artefacts.put_seen(document_id, page, transcriber.look(plain, image, cancel))


def aligned(plain: PageRecord, seen: Seen, image: RGB) -> PageRecord:
    """The record of a page as both readers have it; the plain one where no model was asked.

    Args:
        plain: what the text layer or OCR has.
        seen: what the models see.
        image: the displayed page.
    """
    record = transcription.with_captions(plain, _about(plain, seen), seen.figures)
    if seen.markdown is not None and (seen.markdown or not seen.repeats):
        record = transcription.merge(record, seen.markdown, image)
    return _flagged(record, VerdictCode.REPETITION) if seen.repeats else record


def _about(plain: PageRecord, seen: Seen) -> str | None:
    """The model's words about a page: of one that the plain reader cannot read at all, the transcription too."""
    is_unread = VerdictCode.UNREADABLE in plain.verdict.codes
    parts = seen.caption, (seen.markdown or "").strip()[:_UNREAD_CHARS] if is_unread else ""
    return "\n".join(part for part in parts if part) or None


def _flagged(record: PageRecord, code: VerdictCode) -> PageRecord:
    codes = tuple(dict.fromkeys((*record.verdict.codes, code)))
    return record.model_copy(update={"verdict": Verdict(codes=codes)})
