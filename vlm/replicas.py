"""Servers that serve the same model: which one to ask, and what their answers mean."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tuwen.errors import ConfigurationError, InvalidRequestError, ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

_REST_S = 15.0
"""A replica that failed is asked again so much later, unless all have."""


class TryAgainError(Exception):
    """The same request may work later, or elsewhere.

    Args:
        reason: to be put after the name of the server.
        after_s: when, if the server said so.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Replica:
    """One server."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url = url
        self.client = client
        self.under_way = 0
        self.failed_at = float("-inf")

    def ask(self, body: dict[str, Any]) -> AbstractContextManager[httpx.Response]:
        """A chat completion, to be read as it comes."""
        return self.client.stream("POST", "chat/completions", json=body)


class Replicas:
    """All servers of one model.

    Args:
        model: name under which it is served.
        urls: their addresses, up to and with ``/v1``.
        api_key: sent to all.
        timeout_s: for a connection, and between two pieces of an answer.
    """

    def __init__(self, model: str, urls: tuple[str, ...], api_key: str | None, timeout_s: float) -> None:
        self._model = model
        self._urls = urls
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    @cached_property
    def _all(self) -> tuple[Replica, ...]:
        try:
            import httpx
        except ImportError as error:
            raise ModelUnavailableError("Served models need httpx: pip install 'tuwen[server]'.") from error
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        limits = httpx.Limits(max_connections=None)

        def client(url: str) -> httpx.Client:
            base = f"{url.rstrip('/')}/"
            return httpx.Client(base_url=base, headers=headers, timeout=self._timeout_s, limits=limits)

        return tuple(Replica(url, client(url)) for url in self._urls)

    def best(self) -> Replica:
        """The one with the least to do, of those that have not failed just now."""
        replicas, now = self._all, time.monotonic()
        with self._lock:
            return min(replicas, key=lambda one: (now - one.failed_at < _REST_S, one.under_way))

    @contextmanager
    def using(self, replica: Replica) -> Iterator[None]:
        """Count a request to ``replica`` as under way."""
        with self._lock:
            replica.under_way += 1
        try:
            yield
        finally:
            with self._lock:
                replica.under_way -= 1

    def context(self) -> int | None:
        """Tokens that a request may have, where a server says so (vLLM does). Raises ModelUnavailableError."""
        failures = []
        for replica in self._all:
            try:
                length = self._entry(replica).get("max_model_len")
            except ModelUnavailableError as error:
                replica.failed_at = time.monotonic()
                failures.append(error)
            else:
                return length if isinstance(length, int) else None
        raise failures[0]

    def check(self) -> None:
        """Reach every server. Raises ModelUnavailableError if one is away or does not serve the model."""
        for replica in self._all:
            self._entry(replica)

    def check_status(self, response: httpx.Response) -> None:
        """Raise what a status other than 200 means.

        Raises:
            TryAgainError: 429 or 5xx.
            ConfigurationError: the key is refused.
            ModelUnavailableError: the model is not served there.
            InvalidRequestError: anything else.
        """
        if response.status_code == 200:
            return
        response.read()
        said = f"{response.status_code}: {response.text[:300]}"
        url = response.request.url
        if response.status_code == 429 or response.status_code >= 500:
            told = response.headers.get("Retry-After", "")
            raise TryAgainError(f"at {url} answers {said}", float(told) if told.isdigit() else None)
        if response.status_code in (401, 403):
            raise ConfigurationError(f"{url} refuses the key ({said}). Set served.api_key of this model.")
        if response.status_code == 404:
            raise ModelUnavailableError(f"{url} does not serve {self._model} ({said}).")
        raise InvalidRequestError(f"The server refuses the request ({said}).")

    def close(self) -> None:
        """Close all connections."""
        for replica in self.__dict__.get("_all", ()):
            replica.client.close()

    def _entry(self, replica: Replica) -> dict[str, Any]:
        """What ``GET /models`` says of the model."""
        import httpx

        try:
            response = replica.client.get("models")
            self.check_status(response)
            entries = response.json()["data"]
            names = [entry["id"] for entry in entries]
        except (httpx.HTTPError, TryAgainError) as error:
            raise ModelUnavailableError(f"The server {replica.url} cannot be reached: {error}.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelUnavailableError(f"{replica.url} sent what is no list of models: {error!r}") from error
        if self._model not in names:
            served = ", ".join(map(str, names)) or "nothing"
            raise ModelUnavailableError(f"{replica.url} serves {served}, not {self._model}.")
        found: dict[str, Any] = entries[names.index(self._model)]
        return found
