"""Files and folders in; what is accepted, and why the rest is not."""

import os
import socket
import unicodedata
import zipfile
from pathlib import Path

import pytest

from ingest.base import Found
from ingest.charset import SAMPLE_BYTES, decode, detect_encoding
from ingest.media import MEDIA_TYPES
from ingest.sniffing import sniff
from tests.ingest.drawing import picture, save, text_pdf
from tests.ingest.looking import look
from tuwen.errors import CorruptFileError, UnsupportedTypeError

SIMPLIFIED = "图文测试：合同编号与付款条件。\n第二行，含 ASCII 与数字 2026。\n"
TRADITIONAL = "圖文測試：合約編號與付款條件。\n第二行，含 ASCII 與數字 2026。\n"


def epub(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", "<container/>")
    return path


def images(folder):
    image = picture(("图",), dpi=30)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"):
        image.save(folder / f"{kind.lower()}.dat", kind)


def test_type_comes_from_the_content_whatever_the_name_says(tmp_path):
    images(tmp_path)
    save(text_pdf(["页"]), tmp_path / "report.png")
    epub(tmp_path / "book.zip")
    found = {item.path: item.media_type for item in look([tmp_path])}
    assert found == {
        "png.dat": "image/png",
        "jpeg.dat": "image/jpeg",
        "tiff.dat": "image/tiff",
        "webp.dat": "image/webp",
        "bmp.dat": "image/bmp",
        "gif.dat": "image/gif",
        "report.png": "application/pdf",
        "book.zip": "application/epub+zip",
    }
    assert set(found.values()) <= MEDIA_TYPES


def test_pdf_header_may_follow_some_junk(tmp_path):
    data = text_pdf(["页"]).tobytes()
    (tmp_path / "a").write_bytes(b"\r\n" * 200 + data)
    assert sniff(tmp_path / "a") == "application/pdf"


@pytest.mark.parametrize(
    ("name", "media_type"), [("a.txt", "text/plain"), ("a.md", "text/markdown"), ("a.CSV", "text/csv")]
)
def test_name_tells_kinds_of_text_apart(tmp_path, name, media_type):
    (tmp_path / name).write_text("甲,乙,丙\n1,2,3\n", "utf-8")
    assert sniff(tmp_path / name) == media_type


def test_text_without_a_telling_name_is_judged_by_content(tmp_path):
    (tmp_path / "note").write_text("# 标题\n\n正文 **要点**\n\n- 甲\n- 乙\n", "utf-8")
    (tmp_path / "table").write_text("姓名,年龄\n" + "张三,30\n李四,40\n" * 5, "utf-8")
    assert sniff(tmp_path / "note") == "text/markdown"
    assert sniff(tmp_path / "table") == "text/csv"


def test_the_client_s_name_counts_for_an_upload(tmp_path):
    (tmp_path / "upload-1").write_text("甲,乙\n1,2\n", "utf-8")
    assert sniff(tmp_path / "upload-1", "清单.txt") == "text/plain"


def test_unknown_and_foreign_types_are_skipped_with_a_reason(tmp_path):
    (tmp_path / "noise.pdf").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "program").write_text("import os\n\ndef f(x):\n    return os.path.join(x, 'a')\n" * 5, "utf-8")
    with zipfile.ZipFile(tmp_path / "invoice.ofd", "w") as archive:
        archive.writestr("OFD.xml", "<ofd:OFD/>")
    skipped = list(look([tmp_path]))
    assert [(item.path, item.code) for item in skipped] == [
        ("invoice.ofd", "unsupported_type"),
        ("noise.pdf", "unsupported_type"),
        ("program", "unsupported_type"),
    ]
    assert "OFD" in skipped[0].message
    assert "Python" in skipped[2].message


def test_empty_file_is_its_own_error(tmp_path):
    (tmp_path / "empty.pdf").touch()
    (item,) = look([tmp_path])
    assert (item.code, item.message) == ("corrupt_file", "The file is empty (0 bytes).")
    with pytest.raises(CorruptFileError, match="empty"):
        sniff(tmp_path / "empty.pdf")


def test_folders_recurse_sorted_with_paths_relative_to_the_argument(tmp_path):
    root = tmp_path / "资料"
    for path in ("b/2.txt", "a.txt", "b/1.txt", "B.txt"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    found = [item.path for item in look([root, root / "b" / "1.txt"])]
    assert found == ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "1.txt"]


def test_hidden_files_and_folders_are_named_once_unless_asked_for(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    (tmp_path / ".note.txt").write_text("text")
    assert [(item.path, item.code) for item in look([tmp_path])] == [(".git", "hidden"), (".note.txt", "hidden")]
    (item,) = look([tmp_path / ".note.txt"])
    assert item.media_type == "text/plain"


def test_missing_path_and_broken_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    items = list(look([tmp_path / "absent.pdf", tmp_path]))
    assert [(item.path, item.code) for item in items] == [("absent.pdf", "not_found"), ("link", "not_found")]


def test_symlink_loops_end_and_shared_folders_are_walked_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "z").symlink_to(tmp_path / "a")
    assert [item.path for item in look([tmp_path])] == ["a/x.txt"]


def test_pipes_and_sockets_are_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # socket paths are short
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert {item.code for item in look([tmp_path])} == {"unsupported_type"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_forbidden(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.txt").chmod(0)
    assert [item.code for item in look([tmp_path])] == ["forbidden"]


def test_paths_are_nfc(tmp_path):
    name = unicodedata.normalize("NFD", "résumé.txt")
    (tmp_path / name).write_text("text")
    (item,) = look([tmp_path])
    assert item.path == "résumé.txt"
    assert item.file.name == name


def test_name_that_is_no_utf8_can_still_be_told(tmp_path):
    (tmp_path / os.fsdecode("合同.txt".encode("gb18030"))).write_text("text")
    (item,) = look([tmp_path])
    item.path.encode("utf-8")
    assert item.path.endswith(".txt")


def test_unsupported_error_names_what_it_looks_like(tmp_path):
    (tmp_path / "a").write_text('{"a": [1, 2, 3], "b": "text"}')
    with pytest.raises(UnsupportedTypeError, match="JSON"):
        sniff(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "utf-8"),
        (SIMPLIFIED, "utf-8-sig"),
        (SIMPLIFIED, "utf-16"),
        (SIMPLIFIED, "utf-16-le"),
        (SIMPLIFIED, "utf-16-be"),
        (SIMPLIFIED, "gb18030"),
        (TRADITIONAL, "gb18030"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "utf-16"),
        ("你好", "gb18030"),
        ("國語", "big5"),
        ("plain ASCII\n", "ascii"),
        ("𠮷野家与㐀", "gb18030"),
    ],
)
def test_encodings_of_chinese_text(text, encoding):
    assert decode(text.encode(encoding)) == text


def test_sample_may_end_inside_a_character():
    for encoding in ("utf-8", "gb18030", "big5", "utf-16"):
        data = (TRADITIONAL * 2000).encode(encoding)
        assert detect_encoding(data[: SAMPLE_BYTES - 1]) is not None
        assert detect_encoding(data[:SAMPLE_BYTES]) is not None


def test_one_bad_byte_costs_one_character():
    data = (SIMPLIFIED * 3000).encode()
    damaged = data[:100_000] + b"\xff" + data[100_000:]
    text = decode(damaged)
    assert text is not None
    assert 1 <= text.count("\ufffd") <= 4
    assert len(text) == pytest.approx(len(SIMPLIFIED) * 3000, abs=4)


@pytest.mark.parametrize("data", [bytes(range(256)), b"\x00" * 64, b"\x7fELF\x02\x01\x01" + b"\0" * 40])
def test_binary_is_no_text(data):
    assert detect_encoding(data) is None


def test_two_files_of_one_call_never_share_a_path(tmp_path: Path) -> None:
    for folder in ("a/x", "b/x", "c"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "r.txt").write_text(f"来自{folder}的报告。")
    files = [tmp_path / "a/x/r.txt", tmp_path / "b/x/r.txt", tmp_path / "c", tmp_path / "a/x/r.txt"]
    found = [item for item in look(files) if isinstance(item, Found)]
    assert [item.path for item in found] == ["r.txt", "x/r.txt", "c/r.txt", "r.txt"]
