"""Every type opens as upright pages; what cannot be opened says why."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingest.formats import open_document
from ingest.images import flatten
from ingest.typeset import draw, typeset, wrap
from tests.ingest.drawing import LINES, picture, picture_pdf, pixels, save, text_pdf
from tuwen.errors import (
    CorruptFileError,
    LimitExceededError,
    PageFailedError,
    PasswordRequiredError,
    UnsupportedTypeError,
    WrongPasswordError,
)
from tuwen.settings import IngestSettings


def text_of(document, number=1):
    with document.page(number) as page:
        return page.pdf_page.get_text()


def ink_box(image):
    """Extent (x0, y0, x1, y1) of what is darker than the paper, as fractions."""
    ys, xs = np.nonzero(image.mean(axis=2) < 128)
    height, width = image.shape[:2]
    return xs.min() / width, ys.min() / height, xs.max() / width, ys.max() / height


# PDF


def test_pdf_pages_in_points(tmp_path, opened):
    document = opened(save(text_pdf(["一"], ["二"]), tmp_path / "a.pdf"))
    assert document.pages == 2
    with document.page(2) as page:
        assert (page.number, page.width, page.height) == (2, 595, 842)
        assert page.pdf_page.get_text().strip() == "二"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotated_pages_are_in_displayed_coordinates(tmp_path, opened, rotation):
    document = opened(save(text_pdf(LINES, rotation=rotation), tmp_path / "a.pdf"))
    with document.page(1) as page:
        assert (page.width, page.height) == (595, 842)
        assert page.pdf_page.rotation == 0
        image = page.render(72, 10**7)
        assert image.shape == (842, 595, 3)
        word = page.pdf_page.get_text("words")[0]
        x0, y0, _, _ = ink_box(image)
        assert word[0] / page.width == pytest.approx(x0, abs=0.01)
        assert word[1] / page.height == pytest.approx(y0, abs=0.02)
        assert (x0, y0) == (pytest.approx(72 / 595, abs=0.01), pytest.approx(96 / 842, abs=0.01))


def test_render_stays_below_the_pixel_limit(tmp_path, opened):
    document = opened(save(text_pdf(LINES, size=(3000, 5000)), tmp_path / "a.pdf"))
    with document.page(1) as page:
        image = page.render(300, 1_000_000)
        assert image.shape[0] * image.shape[1] == pytest.approx(1_000_000, rel=0.01)
        assert image.shape[0] / image.shape[1] == pytest.approx(5 / 3, rel=0.01)


def test_page_of_a_few_points_gives_pixels(tmp_path, opened):
    document = opened(save(text_pdf([], size=(1, 3)), tmp_path / "a.pdf"))
    with document.page(1) as page:
        assert min(page.render(20, 10**6).shape[:2]) >= 1


def test_page_that_is_not_there(tmp_path, opened):
    document = opened(save(text_pdf(["一"]), tmp_path / "a.pdf"))
    for number in (0, 2):
        with pytest.raises(PageFailedError, match=f"no page {number}"), document.page(number):
            pass


def test_passwords(tmp_path, opened):
    path = save(
        text_pdf(["密"]),
        tmp_path / "a.pdf",
        encryption=pymupdf.PDF_ENCRYPT_AES_256,
        user_pw="用户",
        owner_pw="owner",
    )
    with pytest.raises(PasswordRequiredError):
        opened(path)
    with pytest.raises(WrongPasswordError):
        opened(path, "other")
    assert text_of(opened(path, "用户")).strip() == "密"
    assert text_of(opened(path, "owner")).strip() == "密"


def test_pdf_that_only_restricts_printing_needs_no_password(tmp_path, opened):
    path = save(text_pdf(["公开"]), tmp_path / "a.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner")
    assert text_of(opened(path)).strip() == "公开"


def test_damaged_pdf(tmp_path, opened, capfd):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n" + b"1 0 obj <<" * 50)
    with pytest.raises(CorruptFileError):
        opened(tmp_path / "a.pdf")
    assert capfd.readouterr() == ("", "")  # MuPDF complains about nothing on its own


def test_truncated_pdf_is_repaired(tmp_path, opened):
    data = text_pdf(LINES).tobytes()
    (tmp_path / "a.pdf").write_bytes(data[:-300])
    assert LINES[0] in text_of(opened(tmp_path / "a.pdf"))


def test_limits_are_checked_before_the_work(tmp_path, opened, limited):
    path = save(text_pdf(["一"], ["二"], ["三"]), tmp_path / "a.pdf")
    with pytest.raises(LimitExceededError, match="max_pages"):
        opened(path, using=limited(max_pages=2))
    with pytest.raises(LimitExceededError, match="max_file_bytes"):
        opened(path, using=limited(max_file_bytes=100))


def test_picture_bomb_inside_a_pdf_fails_its_page_only(tmp_path, opened, limited):
    with picture_pdf(Image.new("1", (900, 900)), picture(("小",), dpi=20)) as document:
        document.save(tmp_path / "a.pdf")
    document = opened(tmp_path / "a.pdf", using=limited(max_image_pixels=500_000))
    with pytest.raises(LimitExceededError, match="Page 1"), document.page(1):
        pass
    with document.page(2) as page:
        assert page.render(72, 10**6).any()


def test_unknown_media_type(tmp_path, settings):
    path = save(text_pdf(["一"]), tmp_path / "a.pdf")
    with pytest.raises(UnsupportedTypeError), open_document(path, "application/zip", None, settings):
        pass


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_page_shows_the_same_page_turned_clockwise(tmp_path, opened, degrees):
    for path in (save(text_pdf(LINES), tmp_path / "a.pdf"), tmp_path / "a.png"):
        if path.suffix == ".png":
            picture().save(path)
        with opened(path).page(1) as page, page.turned(degrees) as turned:
            expected = np.rot90(page.render(72, 10**7), -degrees // 90)
            got = turned.render(72, 10**7)
            assert got.shape == expected.shape
            assert np.abs(got.astype(int) - expected).mean() < 4


# pictures


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_pictures_are_one_page(tmp_path, opened, kind):
    image = picture(dpi=100)
    image.save(tmp_path / "a", kind)
    document = opened(tmp_path / "a")
    assert document.pages == 1
    with document.page(1) as page:
        assert page.width / page.height == pytest.approx(image.width / image.height, rel=0.01)
        assert np.abs(page.render(600, 10**8).astype(int) - pixels(image)).mean() < 3


def test_a_photo_of_a_phone_is_one_page(opened):
    document = opened(Path(__file__).parent / "data" / "page.heic")
    assert document.pages == 1
    with document.page(1) as page:
        assert np.abs(page.render(600, 10**8).astype(int) - pixels(picture(dpi=72))).mean() < 3


def test_resolution_of_a_scan_gives_its_size(tmp_path, opened):
    picture(dpi=150).save(tmp_path / "a.png", dpi=(150, 150))
    with opened(tmp_path / "a.png").page(1) as page:
        assert page.width == pytest.approx(595, abs=1)
        assert page.render(300, 10**8).shape[1] == pytest.approx(595 * 150 / 72, abs=2)  # never enlarged


def test_photo_without_resolution_is_about_a_sheet_of_paper(tmp_path, opened):
    Image.new("RGB", (4000, 3000), "white").save(tmp_path / "a.jpg", dpi=(72, 72))
    with opened(tmp_path / "a.jpg").page(1) as page:
        assert page.width == pytest.approx(842, abs=1)
        assert page.render(100, 10**8).shape == (877, 1169, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, opened, orientation):
    upright = picture(dpi=50)
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    with opened(tmp_path / "a.jpg").page(1) as page:
        image = page.render(600, 10**8)
        assert image.shape == pixels(upright).shape
        assert np.abs(image.astype(int) - pixels(upright)).mean() < 6


def test_tiff_frames_are_pages(tmp_path, opened):
    frames = [picture((text,), dpi=60, size=size) for text, size in (("一", (595, 842)), ("二", (842, 595)))]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:], dpi=(200, 200))
    document = opened(tmp_path / "a.tif")
    assert document.pages == 2
    for number in (2, 1, 2):
        with document.page(number) as page:
            assert (page.width > page.height) == (number == 2)
            assert np.array_equal(page.render(600, 10**8), pixels(frames[number - 1]))


def test_animated_gif_is_its_first_frame(tmp_path, opened):
    frames = [Image.new("RGB", (60, 40), color) for color in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    document = opened(tmp_path / "a.gif")
    assert document.pages == 1
    with document.page(1) as page:
        assert page.render(100, 10**6)[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("ink", "paper"), [((0, 0, 0), 255), ((255, 255, 255), 0), ((250, 220, 40), 0)])
def test_transparent_picture_gets_the_background_that_its_ink_stands_out_on(ink, paper):
    image = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    image.paste((*ink, 255), (5, 5, 15, 15))
    flat = flatten(image)
    assert flat[0, 0].tolist() == [paper] * 3
    assert flat[10, 10].tolist() == list(ink)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "F", "LA", "YCbCr"])
def test_every_pixel_mode_becomes_rgb(mode):
    grey = Image.linear_gradient("L")
    if mode == "I;16":
        image = Image.fromarray((np.asarray(grey).astype(np.uint16)) * 257)
    else:
        image = grey.convert("RGB").convert("L").convert(mode) if mode in ("1", "F", "LA") else grey.convert("RGB")
        image = image.convert(mode)
    flat = flatten(image)
    assert flat.shape == (256, 256, 3)
    assert flat.dtype == np.uint8
    assert flat[0].mean() < 40
    assert flat[-1].mean() > 215


def test_picture_bomb_is_refused_unread(tmp_path, opened, limited):
    Image.new("1", (30_000, 20_000)).save(tmp_path / "a.png")
    with pytest.raises(LimitExceededError, match="max_image_pixels"):
        opened(tmp_path / "a.png")


def test_large_picture_is_reduced_to_the_page_limit(tmp_path, opened, limited):
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (2000, 1000), "white").save(tmp_path / name, dpi=(200, 200))
        with opened(tmp_path / name, using=limited(max_page_pixels=200_000)).page(1) as page:
            image = page.render(600, 10**8)
            assert image.shape[0] * image.shape[1] <= 200_000
            assert page.width == pytest.approx(720, rel=0.01)  # the size in points is that of the file


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF"])
def test_cut_off_picture(tmp_path, opened, kind):
    stream = io.BytesIO()
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8))
    noise.save(stream, kind)
    (tmp_path / "a").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 3])
    with pytest.raises(CorruptFileError):
        opened(tmp_path / "a")


# EPUB


def epub(path, paragraphs):
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata/><manifest>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/></spine></package>',
        )
        archive.writestr(
            "a.xhtml", f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>章节</h1>{body}</body></html>'
        )
    return path


def test_epub_pages_keep_their_text(tmp_path, opened):
    paragraphs = [f"第{i}段，讲的是图文系统如何保存证据。" * 8 for i in range(30)]
    document = opened(epub(tmp_path / "a.epub", paragraphs))
    assert document.pages > 2
    text = "".join("".join(text_of(document, n).split()) for n in range(1, document.pages + 1))
    assert text == "章节" + "".join(paragraphs)
    with document.page(1) as page:
        assert ink_box(page.render(100, 10**7))[2] > 0.5


def test_damaged_epub(tmp_path, opened):
    with zipfile.ZipFile(tmp_path / "a.epub", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
    with pytest.raises(CorruptFileError):
        opened(tmp_path / "a.epub")


# text, Markdown, CSV


def folded(text):
    return "".join(text.split())


def drawn(text, media_type="text/plain"):
    parts = []
    for page in typeset(text, media_type, 1000):
        with draw(page) as document:
            parts.append(document[0].get_text())
    return "".join(parts)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_text_file_in_any_encoding(tmp_path, opened, encoding):
    text = "第一行：图文 tuwen\n\n　　第二段有缩进。\n" * 40
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    document = opened(tmp_path / "a.txt")
    assert document.pages > 1
    assert folded("".join(text_of(document, n) for n in range(1, document.pages + 1))) == folded(text)


def test_characters_that_the_font_lacks_keep_their_codes():
    text = "前😀后 𠮷野家 ⿰ 完"
    assert drawn(text).strip() == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Cn", "Co", "M")), max_size=200))
def test_text_layer_gives_back_every_character(text):
    assert folded(drawn(text)) == folded(text)


@given(st.text("图文，。word another 1234567890-x ", max_size=300), st.floats(30, 400))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    lines = wrap(text, width, 10)
    assert folded("".join(lines)) == folded(text)
    font = pymupdf.Font("cjk")
    for line in lines:
        hanging = line.rstrip("，。. ")
        assert font.text_length(hanging, 10) <= width + 10.1


def test_wrapping_keeps_words_whole_and_marks_behind():
    assert wrap("alpha beta gamma", 60, 10) == ["alpha beta", "gamma"]
    assert wrap("一二三四。五", 40, 10) == ["一二三四。", "五"]


def test_form_feed_starts_a_page(tmp_path, opened):
    (tmp_path / "a.txt").write_text("第一页\f第二页", "utf-8")
    document = opened(tmp_path / "a.txt")
    assert [text_of(document, n).strip() for n in (1, 2)] == ["第一页", "第二页"]


def test_white_space_alone_is_one_empty_page(tmp_path, opened):
    (tmp_path / "a.txt").write_text("\n \n")
    document = opened(tmp_path / "a.txt")
    assert document.pages == 1
    assert text_of(document).strip() == ""


def test_endless_text_stops_at_the_page_limit(tmp_path, opened, limited):
    (tmp_path / "a.txt").write_text("行\n" * 1000, "utf-8")
    with pytest.raises(LimitExceededError, match="max_pages"):
        opened(tmp_path / "a.txt", using=limited(max_pages=3))


MARKDOWN = """# 年度报告

正文 **要点** 与 [链接](https://example.com)
换行

## 指标

- 甲
- 乙
  1. 子
  2. 丑

```
code  x
```

| 项目 | 金额 |
|---|---|
| 收入 | 30 |
| 支出 | 12 |
"""


def test_markdown_loses_its_marks_and_gains_sizes():
    (page,) = typeset(MARKDOWN, "text/markdown", 10)
    sizes = {run.text: run.size for run in page.runs}
    assert list(sizes) == [
        "年度报告", "正文 要点 与 链接", "换行", "指标", "• 甲", "• 乙", "1. 子", "2. 丑", "code  x",
        "项目", "金额", "收入", "30", "支出", "12",
    ]  # fmt: skip
    assert sizes["年度报告"] > sizes["指标"] > sizes["换行"] == sizes["收入"]
    assert page.rules


@pytest.mark.parametrize(("encoding", "separator"), [("gb18030", ","), ("utf-8", ";"), ("utf-16", "\t")])
def test_csv_is_a_table_with_rules(tmp_path, opened, encoding, separator):
    rows = [["姓名", "部门", "备注"], *([f"员工{i}", "研发", "驻外" * i] for i in range(1, 5))]
    (tmp_path / "a.csv").write_bytes("\n".join(separator.join(row) for row in rows).encode(encoding))
    with opened(tmp_path / "a.csv").page(1) as page:
        (table,) = page.pdf_page.find_tables().tables
        assert [[folded(cell) for cell in row] for row in table.extract()] == rows


def test_csv_with_quotes_ragged_rows_and_line_breaks():
    text = 'a,b\n"一,二","三\n四"\n五\n'
    (page,) = typeset(text, "text/csv", 5)
    assert [run.text for run in page.runs] == ["a", "b", "一,二", "三", "四", "五"]


def test_wide_csv_gets_a_wider_page_and_a_long_cell_goes_on():
    wide = ",".join(f"第{i}列的名称" for i in range(40))
    (page,) = typeset(wide, "text/csv", 5)
    assert page.width > 1000
    assert max(run.x for run in page.runs) < page.width
    pages = typeset("键,值\n甲," + "很长的单元格" * 800, "text/csv", 50)
    assert len(pages) > 1
    assert folded("".join(run.text for page in pages for run in page.runs)).endswith("很长的单元格")


def test_binary_is_no_text_file(tmp_path, settings):
    (tmp_path / "a.txt").write_bytes(bytes(range(256)))
    with (
        pytest.raises(CorruptFileError, match="no text"),
        open_document(tmp_path / "a.txt", "text/plain", None, settings),
    ):
        pass


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_cropped_and_rotated_page_shows_what_a_viewer_shows(tmp_path: Path, rotation: int) -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=595, height=842)
        page.insert_text((120, 160), "left top", fontsize=14)
        page.set_cropbox(pymupdf.Rect(100, 100, 450, 460))
        page.set_rotation(rotation)
        document.save(tmp_path / "crop.pdf")
    with pymupdf.open(tmp_path / "crop.pdf") as document:
        shown = document[0].get_pixmap(dpi=72)
        size, expected = document[0].rect, np.frombuffer(shown.samples, np.uint8)
    with open_document(tmp_path / "crop.pdf", "application/pdf", None, IngestSettings()) as opened:
        for _ in range(2):  # reading a page leaves the document as it was
            with opened.page(1) as page:
                assert (page.width, page.height) == (size.width, size.height)
                assert np.abs(page.render(72, 10**7).ravel().astype(int) - expected).mean() < 0.5
                assert "left" in page.pdf_page.get_text()
