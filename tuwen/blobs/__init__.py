"""Blobs: originals, page images and artefacts by key (DESIGN section 4)."""

from pathlib import Path

from tuwen.blobs.base import Blobs, checked_key, checked_prefix
from tuwen.blobs.folder import FolderBlobs
from tuwen.settings import BlobSettings

__all__ = ["Blobs", "FolderBlobs", "checked_key", "checked_prefix", "open_blobs"]


def open_blobs(settings: BlobSettings, home: Path) -> Blobs:
    """The store that ``settings`` name; a folder store lies in ``home/blobs``."""
    match settings.adapter:
        case "folder":
            return FolderBlobs(home / "blobs")
