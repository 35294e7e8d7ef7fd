"""Mails (RFC 5322) as Chinese clients write them: headers and names in GBK or UTF-8, encoded or bare.

The standard library parses; what it leaves undone is the labels of Chinese encodings (``gb2312`` usually means its
superset) and bytes that nobody encoded.
"""

from __future__ import annotations

import email
import email.header
import mimetypes
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.message import Message
from email.policy import Compat32
from pathlib import Path
from typing import NamedTuple

from ingest.charset import decoded_as
from ingest.names import safe_name
from tuwen.errors import CorruptFileError

_HEADERS = (("Subject", "主题"), ("From", "发件人"), ("To", "收件人"), ("Cc", "抄送"), ("Date", "日期"))
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?[^?]*\?=")
_MAX_DEPTH = 50


class _Raw(Compat32):
    """Headers as they are sent, bare bytes as surrogates, where the default puts question marks."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002
        return value


class Attachment(NamedTuple):
    """A file that a mail carries."""

    name: str
    part: Message

    def data(self) -> bytes:
        """Its bytes; of a forwarded mail, the mail."""
        if self.part.get_content_maintype() == "message":
            inner = _inner(self.part)
            return inner.as_bytes() if inner is not None else b""
        payload = self.part.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""


class Mail(NamedTuple):
    """A parsed mail."""

    headers: tuple[tuple[str, str], ...]
    """Label and value of what a reader wants to see, attachments included."""
    text: str
    """The plain text of the body; empty where there is only HTML."""
    html: str
    attachments: tuple[Attachment, ...]


def read_mail(path: Path) -> Mail:
    """Parse a mail.

    Raises:
        CorruptFileError: it has neither headers nor a body, or is nested beyond reason.
    """
    try:
        with path.open("rb") as stream:
            message = email.message_from_binary_file(stream, policy=_Raw())
        leaves = list(_leaves(message, 0))
    except RecursionError as error:
        raise CorruptFileError("The mail is nested too deeply.") from error
    bodies = [part for part in leaves if _is_body(part)]
    attachments = tuple(_named(part, number) for number, part in enumerate((p for p in leaves if not _is_body(p)), 1))
    headers = [(label, decode_header(str(value))) for name, label in _HEADERS if (value := message.get(name))]
    if not headers and not leaves:
        raise CorruptFileError("The mail is empty.")
    if attachments:
        headers.append(("附件", "、".join(item.name for item in attachments)))
    plain = [_text(part) for part in bodies if part.get_content_subtype() != "html"]
    html = [_text(part) for part in bodies if part.get_content_subtype() == "html"]
    return Mail(tuple(headers), "\n".join(plain).strip(), "\n".join(html).strip(), attachments)


def decode_header(value: str) -> str:
    """A header as people read it: encoded words decoded, bare bytes guessed, folds undone."""
    # Encoded words that belong together may be cut inside a character: neighbours of one encoding are joined first.
    pieces: list[tuple[bytes, str | None]] = []
    for chunk, charset in _chunks(value):
        raw = chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "surrogateescape")
        if pieces and charset and pieces[-1][1] == charset:
            pieces[-1] = (pieces[-1][0] + raw, charset)
        else:
            pieces.append((raw, charset))
    return " ".join("".join(decoded_as(raw, charset) for raw, charset in pieces).split())


def _chunks(value: str) -> list[tuple[bytes | str, str | None]]:
    try:
        return email.header.decode_header(value)
    except HeaderParseError:  # an encoded word that is none is shown as it is
        return [(value, None)]


def _leaves(part: Message, depth: int) -> Iterator[Message]:
    """Parts that are no multipart, the better half of alternatives only; forwarded mails stay whole."""
    if depth > _MAX_DEPTH:
        raise RecursionError
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        if part.is_multipart() or part.get_payload(decode=True):
            yield part
        return
    children = [child for child in part.get_payload() if isinstance(child, Message)]
    if part.get_content_subtype() == "alternative":
        children = _preferred(children)
    for child in children:
        yield from _leaves(child, depth + 1)


def _preferred(alternatives: list[Message]) -> list[Message]:
    """Plain text where it says something, else the last, which is the richest (RFC 2046, 5.1.4)."""
    for part in alternatives:
        if part.get_content_type() == "text/plain" and _text(part).strip():
            return [part]
    return alternatives[-1:]


def _is_body(part: Message) -> bool:
    is_text = part.get_content_type() in ("text/plain", "text/html")
    return is_text and part.get_content_disposition() != "attachment" and not _file_name(part)


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return decoded_as(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""


def _named(part: Message, number: int) -> Attachment:
    kind = part.get_content_type()
    name = _file_name(part)
    if not name and kind == "message/rfc822":
        inner = _inner(part)
        subject = str(inner.get("Subject", "")) if inner is not None else ""
        name = f"{decode_header(subject)}.eml" if subject else ""
    suffix = mimetypes.guess_extension(kind, strict=False) or ""
    return Attachment(safe_name(name, f"part-{number}{suffix}"), part)


def _inner(part: Message) -> Message | None:
    """The mail inside a ``message/rfc822`` part."""
    payload = part.get_payload()
    first = payload[0] if isinstance(payload, list) and payload else None
    return first if isinstance(first, Message) else None


def _file_name(part: Message) -> str:
    """RFC 2231, an encoded word where none belongs, or bare bytes: whichever the sender's program wrote."""
    for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        value = part.get_param(parameter, None, header)
        if isinstance(value, tuple):  # RFC 2231: charset, language, text of one character a byte
            charset, _, text = value
            return decoded_as(text.encode("latin-1", "replace"), charset)
        if value:
            text = str(value)
            return decode_header(text) if _ENCODED_WORD.search(text) or not text.isascii() else text
    return ""
