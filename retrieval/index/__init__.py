"""Vector indexes: named vectors in, nearest points out, one file an adapter (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from retrieval.base import PageIndex, VectorField
from retrieval.index.owner import index_owner
from tuwen.extras import needs_extra
from tuwen.settings import IndexSettings

__all__ = ["index_owner", "open_index", "set_aside"]


def open_index(settings: IndexSettings, path: Path, fields: Sequence[VectorField]) -> PageIndex:
    """Open or make the index that ``settings`` name.

    Args:
        settings: which adapter, with its parameters.
        path: folder of an embedded index; its last part is the fingerprint of the encoders, which names the
            collection on a server, as vectors of different encoders do not mix.
        fields: the named vectors.

    Raises:
        IndexLockedError: another process holds it.
        ConfigurationError: it exists with other vectors, or a server refuses the key.
        StorageUnavailableError: it is damaged, full, read-only or out of reach.
    """
    match settings.adapter:
        case "edge":
            from retrieval.index.edge import EdgeIndex

            return EdgeIndex(path, fields)
        case "server":
            with needs_extra("server"):
                from retrieval.index.server import ServerIndex
            return ServerIndex(settings.server, path.name, fields)


def set_aside(settings: IndexSettings, path: Path) -> Path | None:
    """Move a damaged index out of the way, so that another can be built in its place; where it is now.

    None where that is no matter of files: a server mends its own.

    Raises:
        IndexLockedError: another process holds it.
        StorageUnavailableError: it cannot be moved.
    """
    match settings.adapter:
        case "edge":
            from retrieval.index.edge import set_shard_aside

            return set_shard_aside(path)
        case "server":
            return None
