"""Transcribe: the picture of a page to Markdown.

A model of two billion parameters reads well and sometimes falls into a loop. A loop is ended while it is written; then
the page is shown again in bands, in which everything is larger, and no long run of words may come twice. What
loops even then is left to the plain reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from tuwen.fingerprint import fingerprint
from vlm.base import RGB, CancelToken, Decoding, VisionModel, VisionRequest, VisionResult
from vlm.tasks.asking import TaskOptions, generate
from vlm.tasks.loops import LOOPS_VERSION, LoopDetector
from vlm.tasks.prompts import prompt

PROMPT = prompt("transcribe", 1)
TRANSCRIBE_VERSION = 1
"""Raise it whenever the same answers of a model could become another transcription."""

_TOKENS_PER_CHARACTER, _SPARE_TOKENS = 2, 512
"""A page takes less than a token a character, tables more; what is far longer than the plain reading went astray."""
_NO_REPEAT = 24
"""Tokens of the shortest run that may not come twice in a second attempt; it wrecks real repetition."""


class Transcription(NamedTuple):
    """What a model read on a page."""

    markdown: str
    repeats: bool = False
    """Whether the model repeated itself on a part of the page even when it was asked again; that part is left out."""


def transcribe(
    model: VisionModel,
    page: RGB,
    options: TaskOptions,
    *,
    printed: str = "",
    bands: Sequence[tuple[float, float]] = (),
    cancel: CancelToken | None = None,
) -> Transcription:
    """Read a page.

    Args:
        model: which reads.
        page: the displayed page.
        options: tiles and the token limit.
        printed: the plain reading, which tells loops from printed repetition and bounds the length.
        bands: parts for a second attempt, from top to bottom, as fractions of the height; none, no second attempt.
        cancel: ends the request.

    Raises:
        InvalidRequestError: the page cannot fit into the model's context.
        ModelUnavailableError: the model cannot be loaded or reached, or the run was stopped.
    """
    (result,) = generate(model, [_request(page, options, printed)], cancel)
    if not _is_astray(result):
        return Transcription(result.text)
    again = [_again(_request(_band(page, *band), options, printed)) for band in bands]
    results = generate(model, again, cancel) if again else []
    good = [result.text.strip() for result in results if not _is_astray(result)]
    return Transcription("\n\n".join(good), repeats=len(good) < len(results) or not results)


def transcribe_fingerprint(model: VisionModel, options: TaskOptions) -> str:
    """Changes whenever the same page could be transcribed otherwise."""
    return fingerprint(
        version=TRANSCRIBE_VERSION,
        loops=LOOPS_VERSION,
        model=model.description.fingerprint,
        prompt=PROMPT.text,
        tiling=options.tiling,
        max_tokens=options.max_tokens,
    )


def _request(image: RGB, options: TaskOptions, printed: str) -> VisionRequest:
    bound = _SPARE_TOKENS + _TOKENS_PER_CHARACTER * len(printed) if printed else options.max_tokens
    asked = VisionRequest.ask(PROMPT.text, image, max_tokens=min(options.max_tokens, bound))
    return asked._replace(tiling=options.tiling, new_detector=partial(LoopDetector, printed))


def _again(request: VisionRequest) -> VisionRequest:
    return request._replace(decoding=Decoding(no_repeat_ngram=_NO_REPEAT))


def _is_astray(result: VisionResult) -> bool:
    """Whether a text was ended because it repeated itself or went on and on."""
    return result.finish_reason in ("loop", "length")


def _band(page: RGB, top: float, bottom: float) -> RGB:
    height = page.shape[0]
    return page[int(top * height) : max(int(top * height) + 1, round(bottom * height))]
