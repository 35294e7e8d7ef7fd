"""Mails: what a mail program would print, headers first. Attachments are documents of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape

from ingest.base import OpenDocument
from ingest.formats.base import PagedDocument, Source
from ingest.formats.html import laid_out
from ingest.formats.text import text_page
from ingest.mail import Mail, read_mail
from ingest.media import TEXT
from ingest.typeset import typeset

_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


@contextmanager
def open_mail(source: Source) -> Iterator[OpenDocument]:
    """Open a mail: its plain text where it has one, else its HTML (:data:`ingest.formats.base.Opener`)."""
    mail = read_mail(source.path)
    if mail.html and not mail.text:
        with laid_out(_with_headers(mail), source.limits) as document:
            yield document
        return
    lines = [f"{label}：{value}" for label, value in mail.headers]
    pages = typeset("\n".join([*lines, "", mail.text]), TEXT, source.limits.max_pages)
    yield PagedDocument(len(pages), source.limits, partial(text_page, pages))


def _with_headers(mail: Mail) -> str:
    """The HTML body with the headers in front, inside its ``<body>`` where it has one."""
    lines = "<br/>".join(f"{label}：{escape(value)}" for label, value in mail.headers)
    headers = f"<div>{lines}</div><hr/>"
    body = _BODY.search(mail.html)
    cut = body.end() if body else 0
    return mail.html[:cut] + headers + mail.html[cut:]
