"""ZIP archives as folders: names, limits, passwords, and what is refused."""

import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.containers.zips import ZipContainer
from ingest.names import decode_names, is_hidden, safe_name, safe_path
from tests.ingest.looking import look, read
from tests.ingest.packing import locked, zipped
from tuwen.errors import ForbiddenError, TuwenError
from tuwen.settings import LimitSettings

TEXT = "图文测试：合同编号与付款条件。\n"
OLD_CIPHER = (
    "504b03040a00090000009a7b785d223629f7170000000b00000005000000612e747874a6079dde30e5f51135235c1c9a65a4"
    "43c3888da6ea1f6a504b0708223629f7170000000b000000504b01021e030a00090000009a7b785d223629f7170000000b00"
    "0000050000000000000001000000a48100000000612e747874504b05060000000001000100330000004a0000000000"
)


@pytest.mark.parametrize("encoding", [None, "gbk", "gb18030", "big5", "utf-8"])
def test_chinese_names_of_every_program_are_read(tmp_path, encoding):
    names = (
        ["項目資料/預算說明.txt", "合約/甲方.txt"] if encoding == "big5" else ["项目资料/预算说明.txt", "合同/甲.txt"]
    )
    (tmp_path / "a.zip").write_bytes(zipped(dict.fromkeys(names, TEXT), encoding))
    assert read([tmp_path]) == {f"a.zip/{name}": TEXT.encode() for name in names}


def test_western_names_stay_what_they_are(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"résumé.txt": TEXT}, "cp437"))
    assert list(read([tmp_path])) == ["a.zip/résumé.txt"]


def test_the_unicode_path_field_counts(tmp_path):
    info = zipfile.ZipInfo("x.txt")
    name = "真名.txt".encode()
    info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, zlib.crc32(b"x.txt")) + name
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, TEXT)
    assert list(read([tmp_path])) == ["a.zip/真名.txt"]


def test_what_leads_out_is_refused_and_costs_no_other(tmp_path):
    files = {"../up.txt": TEXT, "/abs.txt": TEXT, "C:\\win.txt": TEXT, "a/../../b.txt": TEXT, "./ok.txt": TEXT}
    (tmp_path / "a.zip").write_bytes(zipped(files))
    found = read([tmp_path])
    assert found.pop("a.zip/ok.txt") == TEXT.encode()
    assert set(found.values()) == {"forbidden"}
    assert len(found) == 4


def test_links_and_hidden_files_are_not_taken(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("__MACOSX/._a.txt", b"x")
        archive.writestr("__MACOSX/._b.txt", b"x")
        archive.writestr("folder/.git/config", b"x")
        archive.writestr("folder/", b"")
        archive.writestr("folder/a.txt", TEXT)
    assert read([tmp_path]) == {
        "a.zip/link.txt": "unsupported_type",
        "a.zip/__MACOSX": "hidden",
        "a.zip/folder/.git": "hidden",
        "a.zip/folder/a.txt": TEXT.encode(),
    }


def test_archives_in_archives_up_to_a_depth(tmp_path):
    data = zipped({"深处.txt": TEXT})
    for level in (3, 2, 1):
        data = zipped({f"{level}.zip": data, f"{level}.txt": TEXT})
    (tmp_path / "0.zip").write_bytes(data)
    found = read([tmp_path])
    assert found["0.zip/1.zip/2.zip/2.txt"[:-5] + "3.txt"] == TEXT.encode()
    assert found["0.zip/1.zip/2.zip/3.zip"] == "limit_exceeded"
    assert "0.zip/1.zip/2.zip/3.zip/深处.txt" in read([tmp_path], LimitSettings(max_archive_depth=4))


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"max_archive_files": 2}, "limit_exceeded"), ({"max_archive_bytes": 80}, "limit_exceeded")],
)
def test_an_archive_beyond_its_limits_is_refused_whole(tmp_path, limits, code):
    (tmp_path / "a.zip").write_bytes(zipped({f"{n}.txt": TEXT for n in range(3)}))
    assert read([tmp_path], LimitSettings(**limits)) == {"a.zip": code}


def test_the_limits_hold_over_nested_archives(tmp_path):
    inner = zipped({f"{n}.txt": TEXT for n in range(3)})
    (tmp_path / "a.zip").write_bytes(zipped({"1.zip": inner, "2.zip": inner}))
    found = read([tmp_path], LimitSettings(max_archive_files=6))
    assert found["a.zip/2.zip"] == "limit_exceeded"
    assert "a.zip/1.zip/2.txt" in found


def test_a_bomb_costs_itself_and_is_never_unpacked(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(zipped({"bomb.txt": bytes(64 << 20), "good.txt": TEXT}))
    monkeypatch.setattr(ZipContainer, "_unpack", lambda self, info, target: target.write_text(TEXT))
    assert read([tmp_path]) == {"a.zip/bomb.txt": "limit_exceeded", "a.zip/good.txt": TEXT.encode()}


def test_a_damaged_member_costs_no_other(tmp_path):
    data = bytearray(zipped({"a.txt": TEXT * 50, "b.txt": TEXT}))
    at = data.index(b"a.txt") + 10
    data[at : at + 8] = b"\xff" * 8
    (tmp_path / "a.zip").write_bytes(bytes(data))
    assert read([tmp_path]) == {"a.zip/a.txt": "corrupt_file", "a.zip/b.txt": TEXT.encode()}


def test_a_cut_archive_is_corrupt(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"a.txt": TEXT})[:-30])
    (tmp_path / "b.zip").write_bytes(zipped({}))
    assert read([tmp_path]) == {"a.zip": "corrupt_file", "b.zip": "corrupt_file"}


def test_the_same_name_twice_loses_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "甲" * 9)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.txt", "乙" * 9)
    assert read([tmp_path]) == {"a.zip/a.txt": ("甲" * 9).encode(), "a.zip/a (2).txt": ("乙" * 9).encode()}


def test_an_encrypted_archive_asks_for_its_password(tmp_path):
    (tmp_path / "a.zip").write_bytes(locked({"a.txt": TEXT}, "密码123"))
    assert read([tmp_path]) == {"a.zip": "password_required"}
    assert read([tmp_path], password="wrong") == {"a.zip": "wrong_password"}
    assert read([tmp_path], password="密码123") == {"a.zip/a.txt": TEXT.encode()}


def test_the_old_encryption_is_read_too(tmp_path):
    # PKWARE's cipher, as Info-ZIP's `zip -P 1234` writes it
    data = bytes.fromhex(OLD_CIPHER)
    (tmp_path / "a.zip").write_bytes(data)
    assert read([tmp_path], password="1234") == {"a.zip/a.txt": b"plain text\n"}
    assert set(read([tmp_path], password="4321").values()) == {"wrong_password"}


@given(st.text() | st.binary().map(lambda raw: raw.decode("cp437")))
def test_a_safe_path_never_leads_out(name):
    try:
        path = safe_path(name)
    except (ForbiddenError, TuwenError):
        return
    segments = path.split("/")
    assert ".." not in segments
    assert "" not in segments
    assert "\\" not in path
    path.encode("utf-8")
    assert safe_path(path) == path
    is_hidden(path)


@given(st.text())
def test_a_safe_name_is_one_name(name):
    kept = safe_name(name, "part-1")
    assert "/" not in kept
    assert "\\" not in kept
    assert kept.strip(".")
    assert len(kept.encode()) <= 255


@given(st.lists(st.binary(min_size=1, max_size=40)))
def test_any_bytes_give_names(raw):
    assert len(decode_names(raw)) == len(raw)


@given(st.data())
def test_any_damage_to_an_archive_ends_in_a_status(tmp_path_factory, data):
    good = bytearray(zipped({"a.txt": TEXT, "目录/b.txt": TEXT}, "gbk"))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(4, len(good) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "a.zip").write_bytes(bytes(good[: data.draw(st.integers(8, len(good)))]))
    assert look([folder])
