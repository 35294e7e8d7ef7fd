"""Child processes for code that meets hostile files: limits of time and memory, and what their end means.

A crash, a hang or a decompression bomb ends the child and costs the page or the file that it was at. Memory is
bounded by ``RLIMIT_DATA``, which counts what a process allocates and not what it maps from files: the networks of
onnxruntime and shared libraries cost nothing of it. What exceeds it fails to allocate, at once and without a race,
which a watchdog of resident memory could not promise.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from tuwen.errors import (
    LimitExceededError,
    PageFailedError,
    ParserCrashedError,
    ParserTimeoutError,
    TuwenError,
    UnavailableError,
)

T = TypeVar("T")
_START_TIMEOUT_S = 120.0
_RECYCLE_AFTER = 1000
_PR_SET_PDEATHSIG = 1
_OUT_OF_MEMORY = re.compile(
    r"insufficient memory|bad.?alloc|(failed|unable|cannot) to allocate|cannot allocate memory|out of memory"
    r"|[mc]alloc .*failed|realloc .*failed",
    re.IGNORECASE,
)


def enter_child(memory_mb: int) -> None:
    """What every child process does first: no Ctrl-C of its own, dies with its parent, keeps within its memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)  # native libraries print; stdout belongs to the parent's JSON
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        limit_memory(memory_mb)


def limit_memory(memory_mb: int) -> None:
    """Bound what this process and its descendants may allocate, each for itself."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_mb << 20
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` of a C library or of Python says that memory could not be had."""
    return isinstance(error, MemoryError) or bool(_OUT_OF_MEMORY.search(str(error)))


def as_tuwen_error(error: BaseException, what: str, timeout_s: float) -> TuwenError:
    """What a child's failure means in our terms.

    Args:
        error: as the future of a pool gives it.
        what: the work, as a sentence begins.
        timeout_s: its limit.
    """
    if isinstance(error, TuwenError):
        return error
    if isinstance(error, TimeoutError):
        return ParserTimeoutError(f"{what} did not finish within {timeout_s:g} s.")
    if isinstance(error, ProcessExpired):
        if error.exitcode == -signal.SIGKILL:
            return ParserCrashedError(f"{what} was killed from outside, as the system does when memory runs out.")
        return ParserCrashedError(f"{what} crashed its process (exit code {error.exitcode}).")
    if is_out_of_memory(error):
        return LimitExceededError(f"{what} needs more memory than is allowed (ingest.limits.max_memory_mb).")
    return PageFailedError(f"{what} failed: {type(error).__name__}: {error}")


class Sandbox(Protocol):
    """Where functions run that look into files."""

    def run(self, what: str, timeout_s: float, call: Callable[..., T], *arguments: Any) -> T:
        """``call(*arguments)``, all of them picklable.

        Raises:
            OSError: its own.
            TuwenError: its own, or one of :func:`as_tuwen_error`.
        """
        ...


class InProcess:
    """No sandbox at all: for tests, and for callers that are children already."""

    def run(self, what: str, timeout_s: float, call: Callable[..., T], *arguments: Any) -> T:  # noqa: ARG002
        """``call(*arguments)`` here."""
        return call(*arguments)


class Children:
    """A pool of child processes, started when it is first needed, or ahead of that; a context manager.

    A child that dies is replaced. What is in flight when the block ends is ended with them.

    Args:
        size: number of children.
        enter: what each runs first, such as :func:`enter_child`.
        arguments: of ``enter``.
    """

    def __init__(self, size: int, enter: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.size = size
        self._enter = enter
        self._arguments = arguments
        self._pool: ProcessPool | None = None
        self._sign_of_life: Future[int] | None = None

    def start(self) -> None:
        """Let the children start while the caller does something else."""
        if self._pool is None:
            self._pool = ProcessPool(
                self.size,
                max_tasks=_RECYCLE_AFTER,
                initializer=self._enter,
                initargs=self._arguments,
                context=multiprocessing.get_context("spawn"),
            )
            self._sign_of_life = self._pool.schedule(os.getpid)

    @property
    def pool(self) -> ProcessPool:
        """The pool, its children able to work.

        Raises:
            UnavailableError: children cannot start, which is no file's fault.
        """
        self.start()
        assert self._pool is not None
        assert self._sign_of_life is not None
        try:
            self._sign_of_life.result(_START_TIMEOUT_S)
        except (OSError, RuntimeError, CancelledError) as error:  # TimeoutError and ProcessExpired are OSErrors
            raise UnavailableError(
                "Child processes cannot start. A script that calls this must do so below "
                f'`if __name__ == "__main__":`; else see the messages above ({type(error).__name__}: {error}).'
            ) from error
        return self._pool

    def run(self, what: str, timeout_s: float, call: Callable[..., T], *arguments: Any) -> T:
        """``call(*arguments)`` in a child (:class:`Sandbox`)."""
        future = self.pool.schedule(call, args=arguments, timeout=timeout_s)
        error = future.exception()
        if error is not None:
            is_own = isinstance(error, OSError) and not isinstance(error, (TimeoutError, ProcessExpired))
            raise error if is_own else as_tuwen_error(error, what, timeout_s) from error
        result: T = future.result()
        return result

    def stop(self) -> None:
        """End the children, whatever they are at; the next call starts others."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
