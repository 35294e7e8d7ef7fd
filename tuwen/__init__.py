"""图文 tuwen: ask a pile of Chinese documents a question, get an answer that cites the exact place.

This package is the front door: the :class:`~tuwen.engine.Tuwen` engine, domain types, settings,
errors, catalog, blobs and the command line. Heavy parts are imported when first used.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tuwen")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
