"""The two plain readers behind the ``PageReader`` seam (DESIGN section 4): the text layer, and OCR."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from ingest import ocr, text_layer
from ingest.base import OpenPage, Reading, TextLine
from ingest.layout import arrange
from tuwen.settings import IngestSettings
from tuwen.types import Block, Box, Word


class TextLayerReader:
    """Reads what a PDF says that it prints; a page without a text layer gives nothing."""

    fingerprint = f"text_layer-pymupdf-{version('pymupdf')}-layout-{version('pymupdf_layout')}"

    def read(self, page: OpenPage) -> Reading:
        """Read ``page``."""
        words, blocks = arrange(page, text_layer.read_lines(page))
        return Reading(words, blocks)


class OcrReader:
    """Reads the picture of a page, upright whichever way it lies."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings

    @property
    def fingerprint(self) -> str:
        """Engine, models and parameters."""
        parts = ocr.fingerprint(self._settings.ocr)
        return "-".join(str(parts[key]) for key in sorted(parts))

    def read(self, page: OpenPage) -> Reading:
        """Read ``page``.

        Raises:
            PageFailedError: it cannot be rendered.
        """
        found = ocr.read_lines(page, self._settings)
        lines = sure(found, self._settings)
        words, blocks = arrange_upright(page, lines, ocr.page_turn(page, lines, self._settings))
        return Reading(words, blocks, mean_confidence(found))


def sure(lines: Sequence[TextLine], settings: IngestSettings) -> list[TextLine]:
    """Lines that reach ``ocr.min_confidence``."""
    return [line for line in lines if line.confidence is None or line.confidence >= settings.ocr.min_confidence]


def mean_confidence(lines: Sequence[TextLine]) -> float | None:
    """Mean over characters, 0..1; None of no lines."""
    weights = [sum(len(word.text) for word in line.words) for line in lines]
    if not sum(weights):
        return None
    return sum((line.confidence or 0.0) * weight for line, weight in zip(lines, weights, strict=True)) / sum(weights)


def arrange_upright(page: OpenPage, lines: Sequence[TextLine], turn: int) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    """Layout of a page that must be turned clockwise by ``turn`` degrees to be upright; boxes stay displayed ones."""
    if not turn:
        return arrange(page, lines)
    with page.turned(turn) as upright:
        words, blocks = arrange(upright, [_turned(line, turn) for line in lines])
    back = 360 - turn
    return (
        tuple(word.model_copy(update={"box": turn_box(word.box, back)}) for word in words),
        tuple(block.model_copy(update={"box": turn_box(block.box, back)}) for block in blocks),
    )


def turn_box(box: Box, degrees: int) -> Box:
    """``box`` on the page turned clockwise by 90, 180 or 270 degrees."""
    x0, y0, x1, y1 = box
    if degrees == 180:
        return Box(1 - x1, 1 - y1, 1 - x0, 1 - y0).clamped()
    return (Box(1 - y1, x0, 1 - y0, x1) if degrees == 90 else Box(y0, 1 - x1, y1, 1 - x0)).clamped()


def _turned(line: TextLine, degrees: int) -> TextLine:
    words = tuple(word.model_copy(update={"box": turn_box(word.box, degrees)}) for word in line.words)
    return line._replace(words=words, box=turn_box(line.box, degrees))
