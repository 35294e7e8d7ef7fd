"""Parts that not every installation has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuwen.errors import ConfigurationError


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around lazy imports of what only one extra of tuwen installs. Raises ConfigurationError."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = error.name
        raise ConfigurationError(
            f"The settings need {package}, which is not installed: pip install 'tuwen[{extra}]'."
        ) from error
