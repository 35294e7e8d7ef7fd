"""Office files through LibreOffice: what they print, their passwords, and that they can reach nothing."""

import io
import shutil
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pymupdf
import pytest

from ingest import media
from ingest.office import convert, soffice
from ingest.office.encryption import is_encrypted
from ingest.sniffing import sniff
from tests.ingest.drawing import picture, png
from tests.ingest.listening import listening
from tuwen.errors import ConverterMissingError, CorruptFileError, ParserTimeoutError

needs_libreoffice = pytest.mark.skipif(soffice.version() == "none", reason="LibreOffice is not installed")
DATA = Path(__file__).parent / "data"


def printed(file: Path, spool: Path, password: str | None = None, timeout: float = 120) -> list[str]:
    """The text of each page that a file is converted to."""
    with convert.converted(file, sniff(file), password, timeout, spool) as pdf, pymupdf.open(pdf) as document:
        return [page.get_text() for page in document]


def document(path: Path) -> Path:
    made = docx.Document()
    made.add_heading("年度工作计划", 1)
    made.add_paragraph("二〇二六年第一季度完成迁移，预算为三百二十万元。")
    made.save(path)
    return path


def sheets(path: Path, columns: int) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in range(3):
        sheet.append([f"第{row}行第{column}列" for column in range(columns)])
    book.create_sheet("第二张")["A1"] = "另一张表"
    book.save(path)
    return path


def slides(path: Path) -> Path:
    made = pptx.Presentation()
    for title in ("产品路线图", "里程碑"):
        made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = title
    made.save(path)
    return path


def test_what_an_office_file_is_shows_in_its_content(tmp_path):
    for make, kind in ((document, media.DOCX), (lambda path: sheets(path, 2), media.XLSX), (slides, media.PPTX)):
        assert sniff(make(tmp_path / "renamed.zip")) == kind
    for name in ("locked.docx", "locked.xlsx"):
        assert sniff(DATA / name) == {"locked.docx": media.DOCX, "locked.xlsx": media.XLSX}[name]
        assert is_encrypted(DATA / name)
    assert not is_encrypted(document(tmp_path / "a.docx"))


@needs_libreoffice
def test_text_slides_and_sheets_print_whole(tmp_path):
    spool = tmp_path / "spool"
    (page,) = printed(document(tmp_path / "a.docx"), spool)
    assert "预算为三百二十万元" in page
    assert [page.strip() for page in printed(slides(tmp_path / "a.pptx"), spool)] == ["产品路线图", "里程碑"]
    wide, other = printed(sheets(tmp_path / "a.xlsx", 40), spool)
    assert "第2行第39列" in wide
    assert "另一张表" in other
    assert list(spool.iterdir()) == []


@needs_libreoffice
def test_changes_that_are_tracked_count_as_made(tmp_path):
    made = docx.Document()
    paragraph = made.add_paragraph("预算为")
    deleted = (
        '<w:del xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:id="1" w:author="甲">'
        "<w:r><w:delText>九百</w:delText></w:r></w:del>"
    )
    paragraph._p.append(docx.oxml.parse_xml(deleted))
    paragraph.add_run("三百万元")
    made.save(tmp_path / "a.docx")
    (page,) = printed(tmp_path / "a.docx", tmp_path / "spool")
    assert "预算为三百万元" in page


@needs_libreoffice
def test_passwords(tmp_path):
    from tuwen.errors import PasswordRequiredError, WrongPasswordError

    for name in ("locked.docx", "locked.odt"):
        with pytest.raises(PasswordRequiredError):
            printed(DATA / name, tmp_path)
        with pytest.raises(WrongPasswordError):
            printed(DATA / name, tmp_path, "wrong")
        assert "三百二十万元" in printed(DATA / name, tmp_path, "甲乙123")[0]


@needs_libreoffice
def test_a_lock_that_a_killed_run_left_beside_the_file_is_no_obstacle(tmp_path):
    path = Path(shutil.copy(DATA / "locked.odt", tmp_path / "a.odt"))
    (tmp_path / ".~lock.a.odt#").write_text(",root,host,24.11.2026 17:00,file:///tmp;")
    assert "三百二十万元" in printed(path, tmp_path / "spool", "甲乙123")[0]


@needs_libreoffice
def test_what_libreoffice_cannot_open_is_corrupt(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w:document")
    with pytest.raises(CorruptFileError, match="cannot open"):
        printed(tmp_path / "a.docx", tmp_path / "spool")


@needs_libreoffice
def test_it_is_stopped_when_its_time_is_up(tmp_path):
    with pytest.raises(ParserTimeoutError, match="convert_timeout_s"):
        printed(document(tmp_path / "a.docx"), tmp_path / "spool", timeout=0.05)
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_package_is_named_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConverterMissingError, match=r"apt-get install .* libreoffice-writer-nogui"):
        printed(document(tmp_path / "a.docx"), tmp_path)
    with pytest.raises(ConverterMissingError, match=r"\.xlsx .* libreoffice-calc-nogui"):
        printed(sheets(tmp_path / "a.xlsx", 2), tmp_path)


def linking_docx(path: Path, url: str) -> Path:
    """A document whose picture, and a field of which, are elsewhere."""
    made = docx.Document()
    made.add_paragraph("正文在此")
    made.add_picture(io.BytesIO(png(picture(("图",), dpi=30))))
    relations = made.part.rels
    rid = next(key for key, relation in relations.items() if "image" in relation.reltype)
    relations[rid]._is_external, relations[rid]._target = True, f"{url}/linked.png"
    text = made.element.xml.replace(f'r:embed="{rid}"', f'r:link="{rid}"')
    made.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    body = parts["word/document.xml"].decode().replace(f'r:embed="{rid}"', f'r:link="{rid}"')
    assert f'r:link="{rid}"' in text
    field = (
        f'<w:p><w:fldSimple w:instr=" INCLUDETEXT &quot;{url}/t.txt&quot; "><w:r><w:t>x</w:t></w:r></w:fldSimple></w:p>'
    )
    parts["word/document.xml"] = body.replace("<w:sectPr", field + "<w:sectPr", 1).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def linking_odt(path: Path, url: str) -> Path:
    """A document with a section, a picture and a frame that are elsewhere."""
    names = "urn:oasis:names:tc:opendocument:xmlns"
    content = f"""<?xml version="1.0" encoding="UTF-8"?>
    <office:document-content xmlns:office="{names}:office:1.0" xmlns:text="{names}:text:1.0" office:version="1.3"
      xmlns:draw="{names}:drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"><office:body><office:text>
    <text:p>正文在此</text:p>
    <text:section text:name="s"><text:section-source xlink:href="{url}/s.txt"/></text:section>
    <text:p><draw:frame draw:name="f"><draw:image xlink:href="{url}/i.png" xlink:type="simple"/></draw:frame></text:p>
    <text:p><draw:frame draw:name="g"><draw:floating-frame xlink:href="{url}/f.html" xlink:type="simple"/></draw:frame>
    </text:p></office:text></office:body></office:document-content>"""
    manifest = f"""<?xml version="1.0"?><manifest:manifest xmlns:manifest="{names}:manifest:1.0">
    <manifest:file-entry manifest:full-path="/" manifest:media-type="{media.ODT}"/>
    <manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>"""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", media.ODT)
        archive.writestr("content.xml", content.replace("\n    ", " "))
        archive.writestr("META-INF/manifest.xml", manifest)
    return path


def linking_xlsx(path: Path, url: str) -> Path:
    """A sheet that asks a web service and another file."""
    book = openpyxl.Workbook()
    book.active["A1"] = "正文在此"
    book.active["A2"] = f'=_xlfn.WEBSERVICE("{url}/w")'
    book.active["A3"] = f"='{url}/[b.xlsx]Sheet1'!A1"
    book.save(path)
    return path


@needs_libreoffice
@pytest.mark.parametrize("make", [linking_docx, linking_odt, linking_xlsx])
def test_no_document_makes_anyone_call(tmp_path, make):
    with listening() as (url, calls):
        pages = printed(make(tmp_path / f"a{make.__name__[-4:]}", url), tmp_path / "spool")
    assert "正文在此" in pages[0]
    assert calls == []


@needs_libreoffice
def test_they_would_call_if_nothing_held_them_back(tmp_path, monkeypatch):
    profile = tmp_path / "profile"
    shutil.copytree(convert.PROFILE, profile)
    settings = profile / "user" / "registrymodifications.xcu"
    kept = [line for line in settings.read_text().splitlines() if "Inet" not in line and "Block" not in line]
    settings.write_text("\n".join(kept))
    monkeypatch.setattr(convert, "PROFILE", profile)
    file = tmp_path / "a.docx"
    with listening() as (url, calls):
        linking_docx(file, url)
        assert "正文在此" in printed(file, tmp_path / "spool")[0]
        assert calls == []  # held by the kernel alone
        monkeypatch.setattr(convert, "confinement", lambda: lambda: None)
        printed(file, tmp_path / "spool")
        assert calls


@needs_libreoffice
def test_no_document_reads_files_of_this_machine(tmp_path):
    (tmp_path / "s.txt").write_text("SECRET")
    (tmp_path / "f.html").write_text("<p>SECRET</p>")
    (tmp_path / "linked.png").write_bytes(png(picture(("机密",), dpi=30)))
    pages = printed(linking_odt(tmp_path / "a.odt", tmp_path.as_uri()), tmp_path / "spool")
    assert "正文在此" in pages[0]
    assert "SECRET" not in "".join(pages)
    file = linking_docx(tmp_path / "a.docx", tmp_path.as_uri())
    with convert.converted(file, media.DOCX, None, 120, tmp_path / "spool") as pdf, pymupdf.open(pdf) as result:
        assert "正文在此" in result[0].get_text()
        assert result[0].get_images() == []
