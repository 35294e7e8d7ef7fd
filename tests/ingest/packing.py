"""Archives and mails as foreign programs write them."""

import io
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

import pyzipper


class ForeignName(zipfile.ZipInfo):
    """An entry whose name is written in an encoding that the archive does not declare."""

    encoding = "gbk"

    def _encodeFilenameFlags(self):  # noqa: N802  zipfile's name
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


def zipped(files: Mapping[str, bytes | str], encoding: str | None = None) -> bytes:
    """A ZIP archive; names in ``encoding`` without saying so, else in UTF-8."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            if encoding:
                info = ForeignName(name)
                info.encoding = encoding
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return stream.getvalue()


def locked(files: Mapping[str, bytes | str], password: str) -> bytes:
    """A ZIP archive encrypted with AES."""
    stream = io.BytesIO()
    with pyzipper.AESZipFile(stream, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def mail(subject: str, text: str, attachments: Mapping[str, bytes]) -> EmailMessage:
    """A mail as a standard client writes it."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "王芳 <wang@example.com>"
    message["To"] = "项目组 <team@example.com>"
    message["Date"] = "Tue, 24 Nov 2026 09:30:00 +0800"
    message.set_content(text)
    for name, data in attachments.items():
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message
