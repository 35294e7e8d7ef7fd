"""Mails: headers and names in every encoding that Chinese clients use, bodies, attachments."""

import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.mail import decode_header, read_mail
from ingest.sniffing import sniff
from tests.ingest.drawing import text_pdf
from tests.ingest.looking import look, read
from tests.ingest.packing import mail, zipped
from tuwen.errors import CorruptFileError
from tuwen.settings import LimitSettings

BODY = "各位同事：\n三季度预算为四百二十万元，请查收附件。\n"


def text_of(document):
    return "\n".join(open_page(document, number) for number in range(1, document.pages + 1))


def open_page(document, number):
    with document.page(number) as page:
        return page.pdf_page.get_text()


def test_a_mail_is_a_document_and_so_is_each_attachment(tmp_path, opened):
    pdf = text_pdf(["附件里的一页"]).tobytes()
    message = mail("关于三季度预算的通知", BODY, {"预算表.pdf": pdf, "资料.zip": zipped({"说明.txt": BODY}, "gbk")})
    (tmp_path / "通知.eml").write_bytes(message.as_bytes())
    found = {item.path: item.media_type for item in look([tmp_path])}
    assert found == {
        "通知.eml": "message/rfc822",
        "通知.eml/预算表.pdf": "application/pdf",
        "通知.eml/资料.zip/说明.txt": "text/plain",
    }
    assert read([tmp_path])["通知.eml/预算表.pdf"] == pdf
    text = text_of(opened(tmp_path / "通知.eml"))
    for expected in (
        "主题：关于三季度预算的通知",
        "发件人：王芳 <wang@example.com>",
        "附件：预算表.pdf、资料.zip",
        "四百二十万元",
    ):
        assert expected in text


@pytest.mark.parametrize(
    "header",
    [
        "=?UTF-8?B?5YWz5LqO6aKE566X55qE6YCa55+l?=",
        "=?GB2312?B?udjT2tSky+O1xM2o1qo=?=",
        "=?gbk?Q?=B9=D8=D3=DA=D4=A4=CB=E3=B5=C4=CD=A8=D6=AA?=",
        # cut inside a character, as some clients do
        "=?UTF-8?B?5YWz5LqO6aKE5w==?= =?UTF-8?B?rpfnmoTpgJrnn6U=?=",
        "关于预算的通知".encode("gbk").decode("ascii", "surrogateescape"),
        "关于预算的通知".encode().decode("ascii", "surrogateescape"),
    ],
)
def test_headers_in_every_encoding(header):
    assert decode_header(header) == "关于预算的通知"


@pytest.mark.parametrize(
    "disposition",
    [
        b'attachment; filename="=?GBK?B?1KTL47Htwb3XxC5wZGY=?="',
        b"attachment; filename*=UTF-8''%E9%A2%84%E7%AE%97%E8%A1%A8%E4%B8%A4%E8%91%97.pdf",
        b"attachment; filename*=GB2312''%D4%A4%CB%E3%B1%ED%C1%BD%D7%C5.pdf",
        'attachment; filename="预算表两着.pdf"'.encode("gb18030"),
        'attachment; filename="预算表两着.pdf"'.encode(),
    ],
)
def test_names_of_attachments_in_every_encoding(tmp_path, disposition):
    (tmp_path / "a.eml").write_bytes(
        b"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        b"--B\r\nContent-Type: application/pdf\r\nContent-Disposition: "
        + disposition
        + b"\r\n\r\n%PDF-1.4\r\n--B--\r\n"
    )
    (attachment,) = read_mail(tmp_path / "a.eml").attachments
    assert attachment.name.startswith("预算表两")
    assert attachment.name.endswith(".pdf")


@pytest.mark.parametrize("charset", ["gb2312", "gbk", "utf-8", "big5"])
def test_bodies_in_every_encoding(tmp_path, opened, charset):
    words = "預算為四百萬元" if charset == "big5" else "预算为四百万元"
    head = f"From: a@example.com\nTo: b@example.com\nSubject: x\nContent-Type: text/plain; charset={charset}\n\n"
    (tmp_path / "a.eml").write_bytes(head.encode() + words.encode(charset))
    assert words in text_of(opened(tmp_path / "a.eml"))


def test_html_alone_is_read_with_its_headers_and_what_it_hides_stays_hidden(tmp_path, opened):
    message = mail("周报", "x", {})
    message.clear_content()
    message.set_content(
        "<html><head><style>.h{display:none}</style></head><body><p>本周完成<b>三项</b>任务</p>"
        "<p class=h>看不见</p></body></html>",
        subtype="html",
    )
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    text = text_of(opened(tmp_path / "a.eml"))
    assert "主题：周报" in text
    assert "三项" in text
    assert "看不见" not in text


def test_of_alternatives_the_plain_text_is_read_once(tmp_path, opened):
    message = mail("x", BODY, {})
    message.add_alternative("<p>三季度预算为四百二十万元</p>", subtype="html")
    (tmp_path / "a.eml").write_bytes(message.as_bytes())
    assert text_of(opened(tmp_path / "a.eml")).count("四百二十万元") == 1
    assert [item.path for item in look([tmp_path])] == ["a.eml"]


def test_forwarded_mails_are_mails_in_a_mail(tmp_path):
    inner = mail("里面的邮件", BODY, {"a.txt": BODY.encode()})
    outer = mail("转发", "见附件\n", {})
    outer.add_attachment(inner)
    (tmp_path / "a.eml").write_bytes(outer.as_bytes(policy=email.policy.SMTP))
    assert [item.path for item in look([tmp_path])] == ["a.eml", "a.eml/里面的邮件.eml", "a.eml/里面的邮件.eml/a.txt"]


def test_attachments_never_share_a_path_or_leave_their_mail(tmp_path):
    message = mail("x", BODY, {})
    for name in ("a.txt", "a.txt", "../../b.txt", "..", ".hidden.txt"):
        message.add_attachment(BODY.encode(), maintype="application", subtype="octet-stream", filename=name)
    (tmp_path / "m.eml").write_bytes(message.as_bytes())
    paths = [item.path for item in look([tmp_path])]
    assert paths == [
        "m.eml",
        "m.eml/a.txt",
        "m.eml/a (2).txt",
        "m.eml/.._.._b.txt",
        "m.eml/part-4.bin",
        "m.eml/.hidden.txt",
    ]


def test_too_many_attachments_cost_themselves_and_not_the_mail(tmp_path):
    (tmp_path / "m.eml").write_bytes(mail("x", BODY, {f"{n}.txt": b"text" for n in range(3)}).as_bytes())
    kinds = [getattr(item, "code", "found") for item in look([tmp_path], LimitSettings(max_archive_files=2))]
    assert kinds == ["found", "limit_exceeded"]


def test_endless_nesting_is_an_error(tmp_path):
    parts = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(3000))
    (tmp_path / "a.eml").write_text("From: a@b\nTo: c@d\nSubject: x\n" + parts)
    with pytest.raises(CorruptFileError, match="nested"):
        read_mail(tmp_path / "a.eml")


def test_text_that_merely_looks_like_headers_is_text(tmp_path):
    (tmp_path / "a.txt").write_text("Subject: minutes\nDate: today\n\nWe met.\n" * 3)
    (tmp_path / "b.eml").write_text("Subject: minutes\n\nWe met.\n")
    assert sniff(tmp_path / "a.txt") == "text/plain"
    assert sniff(tmp_path / "b.eml") == "message/rfc822"


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_an_error(tmp_path_factory, tail):
    file = tmp_path_factory.mktemp("mail") / "a.eml"
    file.write_bytes(b"From: a@b\nContent-Type: multipart/mixed; boundary=B\n\n--B\n" + tail)
    try:
        parsed = read_mail(file)
    except CorruptFileError:
        return
    for attachment in parsed.attachments:
        attachment.data()
        assert "/" not in attachment.name


@given(st.text())
def test_any_header_can_be_read(value):
    decode_header(value)
