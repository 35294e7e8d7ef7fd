"""Chat completions of the OpenAI API: a request as it is sent, and the pieces that come back."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from vlm.base import RGB, Tiling, VisionRequest

if TYPE_CHECKING:
    import httpx

_TILE, _TILE_TOKENS = 448, 256
_MARKS = 8
"""Tokens of the template around a turn or an image, at most."""
_STOPS = 4
"""More stop strings are refused by some servers; all are heeded here too."""
_BLOCKED = 0.5
"""Frequency penalty in place of blocked n-grams, which the API does not know."""


class MalformedError(Exception):
    """What came is no chat completion."""


class Chunk(NamedTuple):
    """One piece of an answer."""

    text: str = ""
    finish: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def body(request: VisionRequest, model: str, max_image_pixels: int, send_tiles: bool) -> dict[str, Any]:
    """The JSON body of a streamed request."""
    decoding = request.decoding
    sent: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": message.role, "content": [_part(part, max_image_pixels) for part in message.parts]}
            for message in request.messages
        ],
        "max_tokens": request.max_tokens,
        "temperature": decoding.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if decoding.temperature:
        sent |= {"top_p": decoding.top_p, "seed": decoding.seed}
    if decoding.no_repeat_ngram:
        sent["frequency_penalty"] = _BLOCKED
    if request.stop:
        sent["stop"] = list(request.stop[:_STOPS])
    if request.schema is not None:
        schema = {"name": "answer", "schema": request.schema, "strict": True}
        sent["response_format"] = {"type": "json_schema", "json_schema": schema}
    if send_tiles and request.tiling:
        tiles = {"min_dynamic_patch": request.tiling.min_tiles, "max_dynamic_patch": request.tiling.max_tiles}
        sent["mm_processor_kwargs"] = tiles
    return sent


def _part(part: str | RGB, max_pixels: int) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_png(part, max_pixels)}"}}


def _png(image: RGB, max_pixels: int) -> str:
    from PIL import Image

    picture = Image.fromarray(image)
    scale = (max_pixels / (picture.width * picture.height)) ** 0.5
    if scale < 1:
        size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def count_tokens(request: VisionRequest) -> int:
    """An estimate for a model with InternVL's tiles: a token a character, which for Chinese is rather too many."""
    from vlm.internvl.tiling import count_tiles

    tiling = request.tiling or Tiling()
    total = 0
    for message in request.messages:
        total += _MARKS
        for part in message.parts:
            total += len(part) if isinstance(part, str) else count_tiles(part, _TILE, tiling) * _TILE_TOKENS + _MARKS
    return total + _MARKS


def chunks(response: httpx.Response) -> Iterator[Chunk]:
    """The pieces of a streamed answer (server-sent events), until ``[DONE]`` or the end.

    Raises:
        MalformedError: an event is no piece of a chat completion, or tells of an error.
    """
    for line in response.iter_lines():
        if not line.startswith("data:"):
            continue  # comments, blank lines, names of events
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        yield _chunk(data)


def _chunk(data: str) -> Chunk:
    try:
        event = json.loads(data)
        if error := event.get("error"):
            raise MalformedError(f"an error instead of text: {error}")
        usage = event.get("usage") or {}
        choice = (event.get("choices") or [{}])[0]
        text = (choice.get("delta") or {}).get("content") or ""
        if not isinstance(text, str):
            raise MalformedError(f"text that is none: {text!r}")
        return Chunk(text, choice.get("finish_reason"), usage.get("prompt_tokens"), usage.get("completion_tokens"))
    except (ValueError, AttributeError, TypeError, IndexError, KeyError) as error:
        raise MalformedError(f"{data[:200]!r}") from error
