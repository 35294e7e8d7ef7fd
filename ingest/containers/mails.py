"""Mails as containers: the attachments; the mail itself is a document besides (:mod:`ingest.formats.mail`)."""

from __future__ import annotations

from pathlib import Path

from ingest.containers.base import Listing, Member
from ingest.mail import Attachment, read_mail
from ingest.names import Unique
from tuwen.errors import LimitExceededError
from tuwen.settings import LimitSettings


class MailContainer:
    """A mail's attachments (:class:`ingest.containers.base.Container`). Raises CorruptFileError."""

    def __init__(self, path: Path, password: str | None) -> None:  # noqa: ARG002  the seam's signature
        self._attachments: tuple[Attachment, ...] = read_mail(path).attachments

    def listing(self, limits: LimitSettings) -> Listing:
        """All attachments, forwarded mails included."""
        if len(self._attachments) > limits.max_archive_files:
            raise LimitExceededError(
                f"The mail has {len(self._attachments):,} attachments, more than {limits.max_archive_files:,} "
                "(ingest.limits.max_archive_files)."
            )
        unique = Unique()
        return Listing([Member(number, unique(item.name)) for number, item in enumerate(self._attachments)])

    def extract(self, number: int, target: Path) -> int:
        """Write one attachment to ``target``."""
        return target.write_bytes(self._attachments[number].data())
