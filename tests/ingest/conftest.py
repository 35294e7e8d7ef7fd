import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.base import OpenDocument
from ingest.formats import open_document
from ingest.sniffing import sniff
from tuwen.settings import IngestSettings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, as pages do


@pytest.fixture
def settings() -> IngestSettings:
    return IngestSettings()


@pytest.fixture
def limited(settings: IngestSettings) -> Callable[..., IngestSettings]:
    """Settings with other limits."""

    def make(**limits: int) -> IngestSettings:
        return settings.model_copy(update={"limits": settings.limits.model_copy(update=limits)})

    return make


@pytest.fixture
def opened(settings: IngestSettings):
    """Opens files as the type that their content says, closed after the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def open_(path: Path, password: str | None = None, using: IngestSettings = settings) -> OpenDocument:
            return stack.enter_context(open_document(path, sniff(path), password, using))

        yield open_
