"""Served embeddings: any server with ``POST /embeddings`` of the OpenAI API, such as vLLM, SGLang, TEI or Infinity.

https://platform.openai.com/docs/api-reference/embeddings; the ``messages`` form, for models that see images, is
vLLM's: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import stamina
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from retrieval.base import RGB, DenseVector, EncoderDescription, Modality, Role, Vector
from retrieval.encoders.models import described
from retrieval.lexical import well_formed
from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError
from tuwen.fingerprint import fingerprint
from tuwen.settings import EmbeddingSettings

VERSION = 1
"""Raised whenever the same server would be asked otherwise; part of the fingerprint."""

_LONGEST_WAIT_S = 30.0
_PROBE = "年假十天 10 days of leave"


class _Item(BaseModel):
    index: int
    embedding: list[float]


class _Embeddings(BaseModel):
    data: list[_Item]


class OpenAIEncoder:
    """Vectors from a server; a few requests at once, tried again while it is busy (429, 5xx) or away.

    The licence of a served model is its operator's matter. The server counts no tokens for us, so a character is
    taken for a token, which for Chinese is close and never too few.

    Args:
        settings: the server, the name of the model there, and prompts.
        home: data directory; what is known of the model is kept in ``home/cache``.
        key: where the settings stand, for error sentences.
        modalities: what the model is used for. Images need ``served.chat``.
    """

    def __init__(self, settings: EmbeddingSettings, home: Path, key: str, modalities: tuple[Modality, ...]) -> None:
        if not settings.model:
            raise ConfigurationError(f"{key}.model is empty: give the name under which the model is served.")
        if "image" in modalities and not settings.served.chat:
            raise ConfigurationError(f"{key}.served.chat must be true: images are sent as chat messages only.")
        self._settings = settings
        self._served = settings.served
        self._home = home
        self._key = key
        self._modalities = modalities
        self._retry = stamina.RetryingCaller(attempts=self._served.attempts, timeout=None, wait_max=_LONGEST_WAIT_S)

    @cached_property
    def description(self) -> EncoderDescription:
        """What the model is; asks the server once, the first time that it is met on this machine."""
        return described(self._home, self._identity, self._describe)

    def encode_texts(self, texts: Sequence[str], role: Role) -> list[Vector]:
        """One normalised vector a text."""
        prompt = (self._settings.query_prompt if role == "query" else self._settings.passage_prompt) or ""
        texts = [well_formed(text) for text in texts]
        if self._served.chat:
            return self._encode([_messages(prompt, [{"type": "text", "text": text}]) for text in texts])
        size = self._settings.batch_size
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        return self._encode([{"input": [prompt + text for text in batch]} for batch in batches], len(texts))

    def encode_images(self, images: Sequence[RGB]) -> list[Vector]:
        """One normalised vector an image. Raises InvalidRequestError for a model of texts."""
        if "image" not in self._modalities:
            raise InvalidRequestError(f"{self._settings.model} encodes text only; images need the image encoder.")
        prompt = self._settings.passage_prompt or ""
        return self._encode([_messages(prompt, [_picture(image)]) for image in images])

    def count_tokens(self, text: str) -> int:
        """Characters of ``text``."""
        return len(text)

    def _encode(self, bodies: list[dict[str, Any]], count: int | None = None) -> list[Vector]:
        """The vectors of all ``bodies``, in order; ``count`` unless each asks for one."""
        with ThreadPoolExecutor(self._served.concurrency) as pool:
            answers = list(pool.map(self._ask, bodies))
        vectors = [vector for answer in answers for vector in answer]
        assert len(vectors) == (len(bodies) if count is None else count)
        self._check_dimension(vectors)
        return list(vectors)

    def _ask(self, body: dict[str, Any]) -> list[DenseVector]:
        request: dict[str, Any] = {"model": self._settings.model, "encoding_format": "float", **body}
        if self._settings.truncate:
            request["dimensions"] = self._settings.truncate
        try:
            response: httpx.Response = self._retry(_again, self._post, request)
        except httpx.HTTPStatusError as error:
            said = f"{error.response.status_code}: {error.response.text[:300]}"
            if error.response.status_code in (401, 403):
                message = f"{self._served.url} refuses the key ({said}). Set {self._key}.served.api_key."
                raise ConfigurationError(message) from error
            raise self._unavailable(f"answers {said}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unavailable(f"cannot be reached: {type(error).__name__}: {error}") from error
        return self._vectors(response, len(body.get("input", [None])))

    def _post(self, request: dict[str, Any]) -> httpx.Response:
        return self._client.post("embeddings", json=request).raise_for_status()

    def _vectors(self, response: httpx.Response, count: int) -> list[DenseVector]:
        try:
            items = sorted(_Embeddings.model_validate_json(response.content).data, key=lambda item: item.index)
        except ValidationError as error:
            raise self._unavailable(f"sent what is no list of embeddings: {error.errors()[0]['msg']}") from error
        if [item.index for item in items] != list(range(count)):
            raise self._unavailable(f"sent {len(items)} embeddings for {count} inputs")
        return [self._unit(np.array(item.embedding, np.float32)) for item in items]

    def _unit(self, vector: NDArray[np.float32]) -> DenseVector:
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0:
            raise self._unavailable("sent an embedding that is zero or not finite")
        return np.asarray(vector / norm, np.float32)

    def _check_dimension(self, vectors: Iterable[DenseVector]) -> None:
        known = self.__dict__.get("description")  # not while it is being found out
        for vector in vectors:
            if known is not None and len(vector) != known.dimension:
                raise ConfigurationError(
                    f"{self._settings.model} now gives {len(vector)} numbers, not {known.dimension}: another model is "
                    f"served under this name. Set {self._key}.revision to a new value to encode everything again."
                )

    def _unavailable(self, what: str) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"The embedding server {self._served.url} {what}. Check that it runs and serves {self._settings.model}."
        )

    @cached_property
    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self._served.api_key}"} if self._served.api_key else {}
        limits = httpx.Limits(max_connections=self._served.concurrency)
        return httpx.Client(
            base_url=self._served.url.rstrip("/") + "/", headers=headers, timeout=self._served.timeout_s, limits=limits
        )

    @property
    def _identity(self) -> str:
        names = {"model", "revision", "query_prompt", "passage_prompt", "truncate"}
        parameters = self._settings.model_dump(include=names)
        return fingerprint(adapter=f"openai/{VERSION}", chat=self._served.chat, **parameters)

    def _describe(self) -> EncoderDescription:
        """Find out what the model gives by asking for it."""
        (text,) = self.encode_texts([_PROBE], "passage")
        sizes = {len(np.asarray(text))}
        if "image" in self._modalities:
            (image,) = self.encode_images([np.full((56, 56, 3), 200, np.uint8)])
            sizes.add(len(np.asarray(image)))
        if len(sizes) != 1:
            raise ConfigurationError(f"{self._settings.model} has no one space for texts and images: {sizes}.")
        return EncoderDescription(
            name=str(self._settings.model),
            kind="dense",
            dimension=sizes.pop(),
            modalities=self._modalities,
            licence="unknown (served)",
            fingerprint=self._identity,
        )


def _messages(prompt: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    system = [{"role": "system", "content": [{"type": "text", "text": prompt}]}] if prompt else []
    return {"messages": [*system, {"role": "user", "content": content}]}


def _picture(image: RGB) -> dict[str, Any]:
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InvalidRequestError(f"An image must have the shape (height, width, 3), not {image.shape}.")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}


def _again(error: Exception) -> bool | float:
    """Whether the same request may work later; a number of seconds when the server names one."""
    if isinstance(error, httpx.HTTPStatusError):
        if error.response.status_code != 429 and error.response.status_code < 500:
            return False
        told = error.response.headers.get("Retry-After", "")
        return min(float(told), _LONGEST_WAIT_S) if told.isdigit() else True
    return isinstance(error, httpx.TransportError)
