"""Open a file of any type that tuwen reads, as a row of displayed pages.

One module a family of formats, each behind :data:`ingest.formats.base.Opener`. Every page ends up as a page of a
PDF with rotation 0: readers and layout then see one kind of page in displayed coordinates. Pages of other types are
made when they are asked for, so that a long file costs no more memory than a short one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ingest import media
from ingest.base import OpenDocument
from ingest.formats.base import Opener, Source
from ingest.formats.ebook import open_ebook
from ingest.formats.html import open_html
from ingest.formats.mail import open_mail
from ingest.formats.pdf import open_pdf
from ingest.formats.pictures import open_picture
from ingest.formats.text import open_text
from tuwen.errors import LimitExceededError, UnsupportedTypeError
from tuwen.settings import IngestSettings

OPENERS: Mapping[str, Opener] = {
    media.PDF: open_pdf,
    media.EPUB: open_ebook,
    media.XPS: open_ebook,
    media.HTML: open_html,
    media.MAIL: open_mail,
    **dict.fromkeys(media.TEXTS, open_text),
    **dict.fromkeys(media.PICTURES, open_picture),
}


@contextmanager
def open_document(
    path: Path, media_type: str, password: str | None, settings: IngestSettings
) -> Iterator[OpenDocument]:
    """Open ``path`` as the type that :func:`ingest.sniffing.sniff` gave.

    Args:
        path: the file.
        media_type: a key of :data:`OPENERS`.
        password: user or owner password of an encrypted file.
        settings: the limits count here.

    Raises:
        UnsupportedTypeError: another media type.
        PasswordRequiredError: encrypted, and no password given.
        WrongPasswordError: the password does not open it.
        CorruptFileError: it cannot be parsed.
        LimitExceededError: too many bytes, pages or pixels.
    """
    limits = settings.limits
    opener = OPENERS.get(media_type)
    if opener is None:
        raise UnsupportedTypeError(f"tuwen does not read {media_type}.")
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise LimitExceededError(
            f"The file has {size:,} bytes, more than {limits.max_file_bytes:,} (ingest.limits.max_file_bytes)."
        )
    with opener(Source(path, media_type, password, limits)) as document:
        yield document
