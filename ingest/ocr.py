"""PP-OCRv6 through RapidOCR: an image in, text lines with the place of every word out.

RapidOCR's detector and recogniser are used as they are; between them stand our own crops and our own
CTC decoding, because its word boxes are cut from an average character width (a mixed line such as
``2021年Table`` drifts by a character or two) while the network's own columns say where each character is.

Two resolutions: text is *found* on a reduced page (``ocr.max_side``), where detection costs a third, and
*recognised* on crops of the full rendering (``ocr.dpi``), where strokes are kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.base import RGB, word_spans
from tuwen.settings import OcrSettings
from tuwen.types import Box, is_cjk

ALGORITHM = 2
"""Raise it whenever the same image could be read differently."""

_EITHER_WAY = 0.2
"""A line that reads this little worse the other way round follows the rest of the page."""
_STRIP = 3
"""An image this many times taller than wide is no page but a strip."""
_LINE_HEIGHT = 48
"""Pixels to which the recogniser scales a line."""
_STRIDE = 8
"""Pixels of a scaled line per column of the recogniser's output."""
_TALL = 1.5
"""A region this many times taller than wide holds a vertical or sideways line (as in PaddleOCR)."""
_DOUBTFUL = 0.80
"""A line read with less confidence is tried upside down as well."""

_HALF_CHARACTER = 0.55
"""No character reaches further from its centre than this share of the line's height."""

Quad = NDArray[np.float32]
"""Corners of shape (4, 2) in pixels: top left, top right, bottom right, bottom left of the upright line."""


class OcrWord(NamedTuple):
    """One word of a line; ``quad`` in pixels of the image."""

    text: str
    quad: Quad
    space: bool
    """Whether a space stands before it."""


class OcrLine(NamedTuple):
    """One line of text; ``quad`` in pixels of the image."""

    words: tuple[OcrWord, ...]
    quad: Quad
    confidence: float
    turned: int
    """Degrees (0, 90, 180, 270) by which the image must be turned clockwise to make the line upright."""
    thickness: float
    """Height of the upright line in pixels."""


class _Decoded(NamedTuple):
    text: str
    columns: NDArray[np.float32]
    """Centre of each character, as a fraction of the crop's width."""
    confidence: float


class OcrEngine:
    """The two networks, loaded once; not safe to share between threads.

    Args:
        threads: threads of one network run; 1 in the children of a pool.
        max_side: longest side in pixels of the reduced image on which text is found.
    """

    def __init__(self, threads: int = 1, max_side: int = OcrSettings().max_side) -> None:
        from rapidocr import RapidOCR
        from rapidocr.ch_ppocr_det import TextDetector
        from rapidocr.ch_ppocr_rec import TextRecognizer

        config = RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        ).cfg
        for part in (config.Det, config.Rec):
            part.engine_cfg = config.EngineConfig.onnxruntime
            part.model_root_dir = config.Global.model_root_dir
        config.Rec.font_path = None
        config.Det.limit_side_len = 32  # the image is scaled here, not there
        self._detector: Any = TextDetector(config.Det)
        self._recognizer: Any = TextRecognizer(config.Rec)
        self._characters: Sequence[str] = self._recognizer.postprocess_op.character
        self._max_side = max_side

    def find(self, image: RGB) -> list[Quad]:
        """Places of text lines, top to bottom."""
        return list(self._find(np.ascontiguousarray(image[:, :, ::-1])))

    def read(self, image: RGB, quads: Sequence[Quad] | None = None) -> tuple[OcrLine, ...]:
        """Recognise text lines, top to bottom; an image without text gives none.

        Args:
            image: the page.
            quads: where to read; None finds the lines first.
        """
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        places = self._find(bgr) if quads is None else quads
        lines = [line for quad in places if (line := self._read_line(bgr, quad)) is not None]
        return tuple(self._agreed(bgr, lines))

    def _agreed(self, bgr: RGB, lines: Sequence[OcrLine]) -> Iterator[OcrLine]:
        """On an upside-down page, also turn the short lines that read either way, such as ``- 96 -``."""
        main = main_turn(lines)
        for line in lines:
            if line.turned != main and (line.turned - main) % 360 == 180:
                other = self._read_turned(bgr, np.roll(line.quad, 2, axis=0), main)
                if other is not None and other.confidence > line.confidence - _EITHER_WAY:
                    yield other
                    continue
            yield line

    def is_upright(self, image: RGB, boxes: Sequence[Box]) -> bool:
        """Whether single Chinese characters stand upright rather than lie with their top to the right.

        Tells Chinese set in columns, whose lines run down an upright page, from a page on its side.

        Args:
            image: the page.
            boxes: places of characters, as fractions of the image.
        """
        height, width = image.shape[:2]
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        standing = lying = 0.0
        for box in boxes:
            x0, y0, x1, y1 = box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height
            quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
            standing += self._recognize(_crop(bgr, quad)).confidence
            lying += self._recognize(_crop(bgr, np.roll(quad, 3, axis=0))).confidence
        return standing > lying

    def read_at(self, image: RGB, box: Box) -> tuple[str, float]:
        """Text and confidence of one line whose place is known, ten times as quick as reading the page.

        Args:
            image: the page.
            box: around the line, as a fraction of the image.
        """
        height, width = image.shape[:2]
        x0, x1 = int(box.x0 * width), max(int(box.x0 * width) + 1, round(box.x1 * width))
        y0, y1 = int(box.y0 * height), max(int(box.y0 * height) + 1, round(box.y1 * height))
        bgr = np.ascontiguousarray(image[y0:y1, x0:x1, ::-1])
        right, bottom = bgr.shape[1], bgr.shape[0]
        line = self._read_line(bgr, np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float32))
        return ("", 0.0) if line is None else ("".join(word.text for word in line.words), line.confidence)

    def _find(self, bgr: RGB) -> Iterator[Quad]:
        """Places of lines; a long strip, such as a screenshot of a web page, is looked at band by band."""
        for top, bottom in _bands(bgr, self._max_side):
            for quad in self._detect(bgr[top:bottom]):
                yield quad + np.array([0, top], np.float32)

    def _detect(self, bgr: RGB) -> list[Quad]:
        height, width = bgr.shape[:2]
        scale = min(1.0, self._max_side / max(height, width))
        # 32 is the network's stride; the border keeps text at the very edge whole.
        small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
        border = 32
        framed = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_REPLICATE)
        boxes = self._detector(framed).boxes
        if boxes is None:
            return []
        quads = (np.asarray(boxes, np.float32) - border) / scale
        return list(np.clip(quads, 0, np.array([width - 1, height - 1], np.float32)))

    def _read_line(self, bgr: RGB, quad: Quad) -> OcrLine | None:
        """Read upright, or running down the page; when that fails, the other way round as well."""
        turns = (270, 90) if is_tall(quad) else (0, 180)
        best = None
        for turned in turns:
            # Turning the image by a quarter clockwise makes its bottom left corner the top left one.
            line = self._read_turned(bgr, np.roll(quad, turned // 90, axis=0), turned)
            if line is not None and (best is None or line.confidence > best.confidence):
                best = line
            if best is not None and best.confidence >= _DOUBTFUL:
                break
        return best

    def _read_turned(self, bgr: RGB, upright: Quad, turned: int) -> OcrLine | None:
        decoded = self._recognize(_crop(bgr, upright))
        if not decoded.text.strip():
            return None
        return OcrLine(_place_words(decoded, upright), upright, decoded.confidence, turned, quad_size(upright)[1])

    def _recognize(self, crop: RGB) -> _Decoded:
        height, width = crop.shape[:2]
        scaled = max(_STRIDE, round(_LINE_HEIGHT * width / height))
        resized = cv2.resize(crop, (scaled, _LINE_HEIGHT)).astype(np.float32)
        batch = (resized.transpose(2, 0, 1)[None] / 255 - 0.5) / 0.5
        columns = self._recognizer.session(batch)[0]
        best = columns.argmax(axis=1)
        peaks = np.flatnonzero((best != 0) & (best != np.concatenate(([-1], best[:-1]))))
        text = "".join(self._characters[i] for i in best[peaks])
        ends = np.array([_run_end(best, int(peak)) for peak in peaks], np.float32)
        centres = (peaks + ends) / 2 * _STRIDE / scaled
        confidence = float(columns[peaks, best[peaks]].mean()) if len(peaks) else 0.0
        return _Decoded(text, np.minimum(centres, 1).astype(np.float32), confidence)


def _bands(bgr: RGB, longest: int) -> list[tuple[int, int]]:
    """Rows [top, bottom) to look at one by one: the whole image, or bands of a strip cut where it is emptiest."""
    height, width = bgr.shape[:2]
    band = max(longest, 2 * width)
    if height <= _STRIP * width or height <= band:
        return [(0, height)]
    change = np.abs(np.diff(bgr[:, :, 1].astype(np.int16), axis=1)).mean(axis=1)
    quiet = np.convolve(change, np.ones(5) / 5, mode="same")
    cuts = [0]
    while height - cuts[-1] > band:
        start = cuts[-1] + band * 3 // 4
        cuts.append(start + int(quiet[start : cuts[-1] + band].argmin()))
    return list(pairwise([*cuts, height]))


def main_turn(lines: Sequence[OcrLine]) -> int:
    """The turn of most characters (see :attr:`OcrLine.turned`); 0 of no lines."""
    weights = Counter[int]()
    for line in lines:
        weights[line.turned] += sum(len(word.text) for word in line.words)
    return weights.most_common(1)[0][0] if weights else 0


def _run_end(best: NDArray[np.intp], start: int) -> int:
    end = start
    while end < len(best) and best[end] == best[start]:
        end += 1
    return end


def is_tall(quad: Quad) -> bool:
    """Whether a region holds a vertical or sideways line."""
    width, height = quad_size(quad)
    return height >= _TALL * width


def quad_size(quad: Quad) -> tuple[float, float]:
    """Width and height of a quad in pixels."""
    width = max(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[2] - quad[3]))
    height = max(np.linalg.norm(quad[3] - quad[0]), np.linalg.norm(quad[2] - quad[1]))
    return float(width), float(height)


def _crop(bgr: RGB, quad: Quad) -> RGB:
    width, height = (max(2, round(side)) for side in quad_size(quad))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(quad), target)
    crop: RGB = cv2.warpPerspective(
        bgr, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return crop


def _place_words(decoded: _Decoded, quad: Quad) -> tuple[OcrWord, ...]:
    """Cut the line between the centres of neighbouring characters, nearer to the narrower one."""
    width, height = quad_size(quad)
    centres = decoded.columns
    sizes = np.array([1.0 if is_cjk(char) else 0.5 for char in decoded.text], np.float32)
    middles = centres[:-1] + np.diff(centres) * sizes[:-1] / (sizes[:-1] + sizes[1:])
    half = _HALF_CHARACTER * height / width
    starts = np.maximum(np.concatenate(([0.0], middles)), centres - half)
    ends = np.minimum(np.concatenate((middles, [1.0])), centres + half)
    words = []
    for first, last in word_spans(decoded.text):
        space = first > 0 and decoded.text[first - 1].isspace()
        words.append(OcrWord(decoded.text[first:last], _slice(quad, starts[first], ends[last - 1]), space))
    return tuple(words)


def _slice(quad: Quad, start: float, end: float) -> Quad:
    """The part of a quad between two fractions of its width."""
    top, bottom = quad[1] - quad[0], quad[2] - quad[3]
    corners = [quad[0] + top * start, quad[0] + top * end, quad[3] + bottom * end, quad[3] + bottom * start]
    return np.array(corners, np.float32)


@lru_cache(maxsize=1)
def shared_engine(max_side: int) -> OcrEngine:
    """The engine of this process, built at its first use."""
    return OcrEngine(threads(), max_side)


def threads() -> int:
    """Threads of one engine: what ``OMP_NUM_THREADS`` allows (pool children are given 1), else all cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def fingerprint(settings: OcrSettings) -> dict[str, str | int | float]:
    """What the reading of an image depends on."""
    return {
        "rapidocr": version("rapidocr"),
        "onnxruntime": version("onnxruntime"),
        "models": "PP-OCRv6 small",
        "algorithm": ALGORITHM,
        "dpi": settings.dpi,
        "max_side": settings.max_side,
    }
