"""The media types that tuwen reads, as :mod:`ingest.sniffing` names them."""

from __future__ import annotations

from collections.abc import Mapping

PDF = "application/pdf"
EPUB = "application/epub+zip"
XPS = "application/oxps"
TEXT = "text/plain"
MARKDOWN = "text/markdown"
CSV = "text/csv"
HTML = "text/html"
MAIL = "message/rfc822"
HEIC = "image/heic"
ZIP = "application/zip"

DOC = "application/msword"
XLS = "application/vnd.ms-excel"
PPT = "application/vnd.ms-powerpoint"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
RTF = "application/rtf"

TEXTS = frozenset({TEXT, MARKDOWN, CSV})
PICTURES = frozenset({"image/png", "image/jpeg", "image/tiff", "image/gif", "image/webp", "image/bmp", HEIC})
OFFICE: Mapping[str, str] = {
    DOC: ".doc",
    XLS: ".xls",
    PPT: ".ppt",
    DOCX: ".docx",
    XLSX: ".xlsx",
    PPTX: ".pptx",
    ODT: ".odt",
    ODS: ".ods",
    ODP: ".odp",
    RTF: ".rtf",
}
"""What is converted to PDF before it is read, with the suffix that the converter knows it by."""
CONTAINERS = frozenset({ZIP, MAIL})
"""What holds files that become documents of their own; a mail is a document besides."""
MEDIA_TYPES = frozenset({PDF, EPUB, XPS, HTML, MAIL}) | TEXTS | PICTURES | frozenset(OFFICE)
"""All that can be a document."""
