"""The connection to a Qdrant server: what is tried again, and what its errors mean to a user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import grpc
import stamina
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from tuwen.errors import ConfigurationError, StorageUnavailableError
from tuwen.settings import ServerIndexSettings

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST_WAIT_S = 30.0
_BUSY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
)
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_EXISTS = (grpc.StatusCode.ALREADY_EXISTS,)


class Connection:
    """A client whose calls are tried again while the server is busy or away.

    Only idempotent calls may go through it: one that timed out may have been carried out.

    Args:
        settings: where the server is. A URL that is ``:memory:`` or a folder is qdrant-client's local mode, a
            slow imitation of the server in this process: for tests.
    """

    def __init__(self, settings: ServerIndexSettings) -> None:
        self.is_local = not settings.url.startswith(("http://", "https://"))
        self._url = settings.url
        self._retry = stamina.RetryingCaller(
            attempts=settings.attempts, timeout=None, wait_initial=0.2, wait_max=_LONGEST_WAIT_S
        )
        with _reported(self._url):
            self.client = _local(self._url) if self.is_local else _remote(settings)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function(*args, **kwargs)``.

        Raises:
            StorageUnavailableError: still no answer after the last attempt, or an error of the server.
            ConfigurationError: the server refuses the key.
        """
        with _reported(self._url):
            return self._retry(_again, function, *args, **kwargs)

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()


def _remote(settings: ServerIndexSettings) -> QdrantClient:
    return QdrantClient(
        url=settings.url,
        grpc_port=settings.grpc_port,
        prefer_grpc=settings.grpc,
        api_key=settings.api_key,
        timeout=settings.timeout_s,
        check_compatibility=False,  # the first call says as much, with an error instead of a warning
    )


def _local(place: str) -> QdrantClient:
    if place == ":memory:":
        return QdrantClient(":memory:", force_disable_check_same_thread=True)
    if "://" in place:
        raise ConfigurationError(f"index.server.url must begin with http:// or https://, not {place!r}.")
    return QdrantClient(path=str(Path(place)), force_disable_check_same_thread=True)


def is_taken(error: Exception) -> bool:
    """Whether ``error`` says that something of that name exists already."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code == 409
    return isinstance(error, grpc.RpcError) and _code(error) in _EXISTS


def _again(error: Exception) -> bool | float:
    """Whether the same call may work later; a number of seconds when the server names one."""
    if isinstance(error, ResourceExhaustedResponse):
        return min(float(error.retry_after_s), _LONGEST_WAIT_S)
    if isinstance(error, UnexpectedResponse):
        return error.status_code == 429 or (error.status_code or 0) >= 500
    if isinstance(error, grpc.RpcError):
        return _code(error) in _BUSY
    return isinstance(error, ResponseHandlingException)


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    """The status; errors that are raised, unlike the base class, are calls too."""
    return error.code() if isinstance(error, grpc.Call) else None


@contextmanager
def _reported(url: str) -> Iterator[None]:
    """Turn what the client raises into an error that says what helps."""
    try:
        yield
    except UnexpectedResponse as error:
        if is_taken(error):
            raise
        raise _explained(url, error.status_code in (401, 403), f"{error.status_code}: {_text(error)}") from error
    except grpc.RpcError as error:
        if is_taken(error):
            raise
        code, details = _code(error), error.details() if isinstance(error, grpc.Call) else ""
        raise _explained(url, code in _REFUSED, f"{code.name if code else 'error'}: {details}") from error
    except (ResponseHandlingException, ResourceExhaustedResponse, OSError) as error:
        raise _explained(url, is_refused=False, reason=str(error) or type(error).__name__) from error


def _text(error: UnexpectedResponse) -> str:
    return error.content.decode("utf-8", "replace")[:500]


def _explained(url: str, is_refused: bool, reason: str) -> StorageUnavailableError | ConfigurationError:
    if is_refused:
        return ConfigurationError(f"The Qdrant server {url} refuses the key: {reason}. Set index.server.api_key.")
    return StorageUnavailableError(
        f"The Qdrant server {url} did not do what it was asked: {reason}. Check that it runs, that index.server.url "
        "and index.server.grpc_port lead to it and that its disk is not full; then try again, nothing is lost."
    )
