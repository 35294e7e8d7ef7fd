"""The plain readers behind the ``PageReader`` seam (DESIGN section 4): the text layer, OCR, and both together.

What every page is read by is :func:`build_reader`. A reader that brings better wording (a vision-language model)
takes a plain reader, and aligns what it sees on that reading's words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib.metadata import version

from ingest import ocr, text_layer
from ingest.base import OpenPage, PageReader, Reading, TextLine
from ingest.ink import ink_share
from ingest.layout import arrange
from ingest.mixing import unread_pictures, without_known
from ingest.pages import straightened
from ingest.scan import ALL, Correction, SealText, read_parts, read_scan
from ingest.trust import Layer, Look, believed
from tuwen.settings import IngestSettings
from tuwen.types import Block, BlockKind, Box, Source, VerdictCode, Word, WordSpan

_LEVEL, _STEEPEST = 0.3, 20.0
"""Degrees: a scan tilted by less needs no straightening; one tilted by more is no tilted scan."""
_SKEW_WORDS = 4
"""A line with fewer words does not tell its slope."""


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


def with_seals(
    words: Sequence[Word], blocks: Sequence[Block], seals: Sequence[SealText]
) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    """The page with its seals as blocks of their own, after what is printed and before the footers."""
    foot = next((i for i, block in enumerate(blocks) if block.kind is BlockKind.FOOTER), len(blocks))
    cut = blocks[foot].words.start if foot < len(blocks) else len(words)
    line = 1 + max((word.line for word in words), default=-1)
    stamped: list[Word] = []
    made: list[Block] = []
    for seal in seals:
        start = cut + len(stamped)
        for own in seal.lines:
            stamped.extend(word.model_copy(update={"line": line}) for word in own.words)
            line += 1
        text = "\n".join(own.text for own in seal.lines)
        made.append(
            Block(
                kind=BlockKind.SEAL,
                order=foot + len(made),
                box=Box.union([seal.box, *(own.box for own in seal.lines)]).clamped(),
                text=text,
                markdown=text,
                source=Source.OCR,
                confidence=mean_confidence(seal.lines),
                words=WordSpan(start, cut + len(stamped)),
            )
        )
    moved = [
        block.model_copy(
            update={
                "order": block.order + len(made),
                "words": WordSpan(block.words.start + len(stamped), block.words.end + len(stamped)),
            }
        )
        for block in blocks[foot:]
    ]
    return (*words[:cut], *stamped, *words[cut:]), (*blocks[:foot], *made, *moved)


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
    """Layout of a scan that must be turned clockwise by ``turn`` degrees to be upright, and may be tilted.

    Layout sees level lines; the boxes that come back are places on the displayed page.
    """
    if not turn:
        return _arrange_level(page, lines)
    with page.turned(turn) as upright:
        words, blocks = _arrange_level(upright, [_placed(line, partial(turn_box, degrees=turn)) for line in lines])
    return _brought_back(words, blocks, partial(turn_box, degrees=360 - turn))


def skew(page: OpenPage, lines: Sequence[TextLine]) -> float:
    """Degrees by which lines fall to the right (below 0: rise): the median over lines, weighted by length."""
    slopes = []
    for line in lines:
        (x0, y0), (x1, y1) = line.words[0].box.center, line.words[-1].box.center
        length = (x1 - x0) * page.width
        if len(line.words) >= _SKEW_WORDS and length > abs(y1 - y0) * page.height:
            slopes.append(((y1 - y0) * page.height / length, length))
    if not slopes:
        return 0.0
    slopes.sort()
    half, passed = sum(length for _, length in slopes) / 2, 0.0
    for slope, length in slopes:
        passed += length
        if passed >= half:
            return math.degrees(math.atan(slope))
    raise AssertionError("the weights add up")


def _arrange_level(page: OpenPage, lines: Sequence[TextLine]) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    degrees = skew(page, lines)
    if not _LEVEL < abs(degrees) < _STEEPEST:
        return arrange(page, lines)
    level = partial(tilt_box, degrees=degrees, size=(page.width, page.height))
    with straightened(page, degrees) as straight:
        words, blocks = arrange(straight, [_placed(line, level) for line in lines])
    return _brought_back(words, blocks, partial(level, degrees=-degrees))


def _placed(line: TextLine, place: Callable[[Box], Box]) -> TextLine:
    words = tuple(word.model_copy(update={"box": place(word.box)}) for word in line.words)
    return line._replace(words=words, box=Box.union(word.box for word in words))


def _brought_back(
    words: Sequence[Word], blocks: Sequence[Block], place: Callable[[Box], Box]
) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    words = tuple(word.model_copy(update={"box": place(word.box).clamped()}) for word in words)
    made = []
    for block in blocks:
        own = [word.box for word in words[block.words.start : block.words.end]]
        # A figure is more than its words.
        around = [place(block.box).clamped()] if not own or block.kind is BlockKind.FIGURE else []
        made.append(block.model_copy(update={"box": Box.union([*own, *around])}))
    return words, tuple(made)


def tilt_box(box: Box, degrees: float, size: tuple[float, float]) -> Box:
    """``box`` moved as the page is turned counter-clockwise about its centre; its own size stays.

    Args:
        box: fractions of the page.
        degrees: a few.
        size: width and height of the page in one unit.
    """
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y = (box.center[0] - 0.5) * size[0], (box.center[1] - 0.5) * size[1]
    dx = (x * cosine + y * sine - x) / size[0]
    dy = (y * cosine - x * sine - y) / size[1]
    return Box(box.x0 + dx, box.y0 + dy, box.x1 + dx, box.y1 + dy)


def turn_box(box: Box, degrees: int) -> Box:
    """``box`` on the page turned clockwise by 90, 180 or 270 degrees."""
    x0, y0, x1, y1 = box
    if degrees == 180:
        return Box(1 - x1, 1 - y1, 1 - x0, 1 - y0).clamped()
    return (Box(1 - y1, x0, 1 - y0, x1) if degrees == 90 else Box(y0, 1 - x1, y1, 1 - x0)).clamped()
