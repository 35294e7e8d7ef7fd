"""The plain readers behind the ``PageReader`` seam (DESIGN section 4): the text layer, OCR, and both together.

What every page is read by is :func:`build_reader`. A reader that brings better wording (a vision-language model)
takes a plain reader, and aligns what it sees on that reading's words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from importlib.metadata import version

from ingest import ocr, text_layer
from ingest.base import OpenPage, PageReader, Reading, TextLine
from ingest.ink import ink_share
from ingest.layout import arrange
from ingest.mixing import unread_pictures, without_known
from ingest.scan import ALL, Correction, read_parts, read_scan
from ingest.trust import Layer, Look, believed
from ingest.upright import arrange_upright, mean_confidence, with_seals
from tuwen.settings import IngestSettings
from tuwen.types import Box, VerdictCode


def build_reader(settings: IngestSettings) -> PageReader:
    """The reader of the preset."""
    return PlainReader(settings)


class TextLayerReader:
    """Reads what a PDF says that it prints, as far as the page shows it; a page without a text layer gives nothing."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings

    @property
    def fingerprint(self) -> str:
        """Engines, and those of the looks by which a layer is checked."""
        looks = OcrReader(self._settings).fingerprint
        return f"text_layer-pymupdf-{version('pymupdf')}-layout-{version('pymupdf_layout')}-{looks}"

    def read(self, page: OpenPage) -> Reading:
        """Read ``page``.

        Raises:
            PageFailedError: it cannot be rendered.
        """
        layer = self.lines(page)
        words, blocks = arrange(page, layer.lines)
        return Reading(words, blocks, codes=layer.codes)

    def lines(self, page: OpenPage) -> Layer:
        """The lines that are believed, before layout."""
        settings = self._settings
        image = page.render(settings.image_dpi, settings.limits.max_page_pixels)
        engine = partial(ocr.shared_engine, settings.ocr.max_side)
        return believed(page, text_layer.read_lines(page), image, lambda *place: Look(*engine().read_at(*place)))


class OcrReader:
    """Reads the picture of a page, upright whichever way it lies.

    Args:
        settings: resolution, models, thresholds.
        corrections: made to pictures that need them; all but in benchmarks.
    """

    def __init__(self, settings: IngestSettings, corrections: Collection[Correction] = ALL) -> None:
        self._settings = settings
        self._corrections = corrections

    @property
    def fingerprint(self) -> str:
        """Engine, models and parameters."""
        settings = self._settings.ocr
        parts = ocr.fingerprint(settings) | {"sure": settings.min_confidence, "suspect": settings.suspect_confidence}
        return "-".join(str(parts[key]) for key in sorted(parts))

    def read(self, page: OpenPage) -> Reading:
        """Read ``page``.

        Raises:
            PageFailedError: it cannot be rendered.
        """
        scan = read_scan(page, self._settings, self._corrections)
        words, blocks = arrange_upright(page, sure(scan.lines, self._settings), scan.turn)
        words, blocks = with_seals(words, blocks, scan.seals)
        confidence = mean_confidence(scan.lines)
        doubtful = confidence is not None and confidence < self._settings.ocr.suspect_confidence
        return Reading(words, blocks, confidence, (VerdictCode.LOW_OCR_CONFIDENCE,) if doubtful else ())

    def lines(self, page: OpenPage, within: Sequence[Box] | None = None) -> list[TextLine]:
        """Legible lines before layout, of the whole page or of parts of it; those on seals included."""
        if within is not None:
            return sure(read_parts(page, self._settings, within), self._settings)
        scan = read_scan(page, self._settings, self._corrections)
        return sure([*scan.lines, *(line for seal in scan.seals for line in seal.lines)], self._settings)


class PlainReader:
    """The text layer where it can be believed, OCR for the rest: each page by what it needs, and no more."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._layer = TextLayerReader(settings)
        self._ocr = OcrReader(settings)

    @property
    def fingerprint(self) -> str:
        """Of both readers."""
        return self._layer.fingerprint

    def read(self, page: OpenPage) -> Reading:
        """Read ``page``.

        Raises:
            PageFailedError: it cannot be rendered.
        """
        layer = self._layer.lines(page)
        if not layer.lines:
            return self._read_picture(page, layer.codes)
        lines = [*layer.lines, *self._beside(page, layer)]
        words, blocks = arrange(page, lines)
        return Reading(words, blocks, codes=layer.codes)

    def _read_picture(self, page: OpenPage, codes: tuple[VerdictCode, ...]) -> Reading:
        image = page.render(self._settings.image_dpi, self._settings.limits.max_page_pixels)
        if ink_share(image) == 0:
            return Reading((), (), codes=codes)
        reading = self._ocr.read(page)
        return reading._replace(codes=(*codes, *reading.codes))

    def _beside(self, page: OpenPage, layer: Layer) -> list[TextLine]:
        """What only the picture shows: instead of lines that are not believed, and in pictures on the page."""
        if VerdictCode.GARBLED_TEXT_LAYER in layer.codes:
            return without_known(self._ocr.lines(page), layer.lines)
        pictures = unread_pictures(page, layer.lines)
        return without_known(self._ocr.lines(page, pictures), layer.lines) if pictures else []


def sure(lines: Sequence[TextLine], settings: IngestSettings) -> list[TextLine]:
    """Lines that reach ``ocr.min_confidence``."""
    return [line for line in lines if line.confidence is None or line.confidence >= settings.ocr.min_confidence]
