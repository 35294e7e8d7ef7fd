"""Pictures that must be corrected before they are read: what comes off, what stays, and where it lies."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from ingest.ocr import OcrLine, OcrWord
from ingest.readers import OcrReader
from ingest.scan import SealText, read_scan, turned_back
from ingest.seals import Seal, find_seals
from ingest.unmixing import red_mask, redness, slanting, without_red
from ingest.upright import with_seals
from tests.ingest.drawing import LINES, photographed, picture, picture_pdf, pixels, save, text_pdf, write
from tests.ingest.layout_pages import SAMPLES
from tuwen.types import Block, BlockKind, Box, Word, WordSpan, fold_space

PAGE = tuple(f"{line}{i}" for i in range(4) for line in LINES)
RED = (210, 35, 42)


def fold(text):
    return fold_space(text).translate(str.maketrans("，：（）", ",:()"))


@pytest.fixture
def read(tmp_path, opened, settings):
    def read_(image):
        with opened(save(picture_pdf(image), tmp_path / "a.pdf")).page(1) as page:
            return OcrReader(settings).read(page)

    return read_


def stamped(image, *, at=(620, 480), radius=150):
    """A seal without letters, printed over the text."""
    ink = np.full((image.height, image.width, 3), 255, np.uint8)
    cv2.circle(ink, at, radius, RED, 9)
    cv2.circle(ink, at, radius // 4, RED, -1)
    return ImageChops.multiply(image, Image.fromarray(ink))


def watermarked(image, color, text="内部资料 请勿外传", size=46):
    with text_pdf([]) as document:
        for row in range(120, 842, 170):
            write(document[0], [text], at=(60, row), size=size, color=color)
        tiles = photographed(document[0]).rotate(30, fillcolor="white", resample=Image.Resampling.BICUBIC)
    return ImageChops.multiply(image, tiles.resize(image.size))


def test_text_below_a_seal_is_read_and_the_seal_is_a_block(read):
    reading = read(stamped(picture(PAGE)))
    *text, seal = reading.blocks
    assert fold("".join(block.text for block in text)) == fold("".join(PAGE))
    assert (seal.kind, seal.text, seal.words) == (BlockKind.SEAL, "", WordSpan(len(reading.words), len(reading.words)))
    assert seal.box.center == pytest.approx((620 / 1240, 480 / 1754), abs=0.004)
    assert seal.box.width == pytest.approx(309 / 1240, abs=0.01)


def test_seals_of_a_contract_are_read_where_they_are(opened, settings):
    with opened(SAMPLES / "采购合同（扫描件）.pdf").page(3) as page:
        reading = OcrReader(settings).read(page)
    seals = [block for block in reading.blocks if block.kind is BlockKind.SEAL]
    assert ["合同专用章" in seal.text for seal in seals] == [True, True]
    assert "传感科技股份有限公司" in seals[0].text
    assert "电子材料有限公司" in seals[1].text
    assert reading.blocks[-1].kind is BlockKind.FOOTER
    for seal in seals:
        own = reading.words[seal.words.start : seal.words.end]
        assert "".join(word.text for word in own) == fold_space(seal.text)
        assert all(seal.box.contains_point(*word.box.center) for word in own)
        company = next(word for word in own if word.text == "司")
        x, y = company.box.center
        assert x > seal.box.center[0] + seal.box.width * 0.2  # lower right, where the name ends
        assert y > seal.box.center[1]


@pytest.mark.parametrize("color", [(0.78, 0.78, 0.78), (1, 0.65, 0.65)], ids=["grey", "red"])
def test_watermark_comes_off_and_the_text_below_it_stays(read, color):
    reading = read(watermarked(picture(PAGE), color))
    text = fold("".join(block.text for block in reading.blocks))
    assert "外传" not in text
    assert text == fold("".join(PAGE))


def test_pale_and_red_lines_stay_when_a_watermark_comes_off(read):
    with text_pdf(PAGE) as document:
        write(document[0], ["浅灰色的旁注文字"], at=(300, 60), color=(0.75, 0.75, 0.75))
        write(document[0], ["红字标注的要求"], at=(72, 60), color=(0.9, 0.1, 0.1))
        page = photographed(document[0])
    for color in ((0.8, 0.8, 0.8), (1, 0.65, 0.65)):
        text = fold("".join(block.text for block in read(watermarked(page, color)).blocks))
        assert "浅灰色的旁注文字" in text
        assert "红字标注的要求" in text
        assert "外传" not in text


def test_slanting_label_is_no_watermark(read):
    with text_pdf(PAGE[:8]) as document:
        page = photographed(document[0])
    label = picture(("斜着印的标签",), size=(300, 100), at=(20, 50), dpi=150).rotate(25, expand=True, fillcolor="white")
    page.paste(label, (300, 1100))
    assert "斜着印的标签" in fold("".join(block.text for block in read(page).blocks))


def test_what_is_no_seal_is_left_alone():
    page = np.full((1754, 1240, 3), 255, np.uint8)
    cv2.rectangle(page, (200, 200), (1000, 260), RED, -1)  # a red bar
    cv2.circle(page, (300, 600), 20, RED, 5)  # too small
    cv2.ellipse(page, (800, 700), (120, 120), 0, 0, 150, RED, 8)  # an arc
    cv2.line(page, (100, 1000), (1100, 1000), RED, 6)
    assert find_seals(redness(page)) == []
    cv2.circle(page, (500, 1300), 150, RED, 9)
    (seal,) = find_seals(redness(page))
    assert (seal.x, seal.y, seal.rx) == pytest.approx((500, 1300, 155), abs=4)


def test_tinted_paper_is_not_red_ink():
    page = pixels(picture(PAGE, dpi=60))
    pink = (page * np.array([1.0, 0.85, 0.85])).astype(np.uint8)
    assert red_mask(redness(pink)).mean() < 0.01
    assert find_seals(redness(pink)) == []


def test_black_ink_below_red_ink_is_left():
    page = np.full((100, 100, 3), 250, np.uint8)
    page[40:60] = 20
    page[:, 40:60] = (page[:, 40:60] * (np.array(RED) / 255)).astype(np.uint8)
    bleached = without_red(page, red_mask(redness(page)))
    assert bleached[45:55].max() < 60
    assert bleached[:30].min() > 215
    assert np.ptp(bleached[:30].astype(int), axis=2).max() <= 15


def quad(x, y, width, height, degrees):
    rotation = cv2.getRotationMatrix2D((x, y), -degrees, 1)
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)
    return (corners @ rotation[:, :2].T + rotation[:, 2]).astype(np.float32)


@given(st.floats(-30, 30), st.floats(15, 75), st.integers(2, 5))
def test_slanting_lines_are_told_from_the_tilt_of_the_page(tilt, slant, count):
    lines = [quad(100, 60 * i, 900, 30, tilt) for i in range(12)]
    marks = [quad(200, 150 * i, 500, 90, tilt + slant) for i in range(count)]
    assert slanting(lines) == []
    assert slanting([*lines, marks[0]]) == []
    assert [id(mark) for mark in slanting([*lines, *marks])] == [id(mark) for mark in marks]


@given(st.sampled_from([0, 90, 270]), st.integers(40, 90), st.integers(40, 90), st.integers(5, 30), st.integers(5, 30))
def test_what_is_read_on_the_turned_picture_comes_back_to_its_place(turn, height, width, x, y):
    image = np.zeros((height, width), np.uint8)
    image[y : y + 6, x : x + 3] = 255
    upright = np.rot90(image, -(turn // 90))
    rows, columns = np.nonzero(upright)
    x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    found = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    line = OcrLine((OcrWord("字", found, space=False),), found, 1.0, 0, 6.0)
    back = turned_back(line, turn, image.shape)
    assert back.turned == turn
    for corners in (back.quad, back.words[0].quad):
        assert corners.min(axis=0).tolist() == [x, y]
        assert corners.max(axis=0).tolist() == [x + 3, y + 6]


@given(st.floats(0.01, 0.99), st.floats(0, 1))
def test_the_rim_of_a_seal_is_unrolled_clockwise_from_the_bottom(along, down):
    from ingest.seals import _unrolled

    seal = Seal(300, 400, 100, 80)
    x, y = _unrolled(np.array([along, down], np.float32), seal)
    dx, dy = (x - seal.x) / seal.rx, (y - seal.y) / seal.ry
    assert 0.6 < math.hypot(dx, dy) < 0.96
    clockwise = (math.atan2(-dx, dy) / (2 * math.pi)) % 1
    assert clockwise == pytest.approx(along, abs=1e-3)


def test_seals_stand_after_the_text_and_before_the_footer():
    words = tuple(Word(text=c, box=Box(0.1, 0.1, 0.2, 0.2), line=i) for i, c in enumerate("正文页"))
    blocks = (
        Block(kind=BlockKind.TEXT, order=0, box=Box(0, 0, 1, 0.5), text="正文", words=WordSpan(0, 2)),
        Block(kind=BlockKind.FOOTER, order=1, box=Box(0, 0.9, 1, 1), text="页", words=WordSpan(2, 3)),
    )
    merged, made = with_seals(words, blocks, [SealText(Box(0.4, 0.4, 0.6, 0.6), ())])
    assert merged == words
    assert [block.kind for block in made] == [BlockKind.TEXT, BlockKind.SEAL, BlockKind.FOOTER]
    assert [block.order for block in made] == [0, 1, 2]
    assert made[1].words == WordSpan(2, 2)
    assert with_seals(words, blocks, ()) == (words, blocks)


def test_a_clean_scan_is_read_as_it_is(tmp_path, opened, settings, monkeypatch):
    """Corrections cost nothing where nothing is to be corrected: lines are looked for once."""
    from ingest.ocr import OcrEngine

    calls = []
    find = OcrEngine.find
    monkeypatch.setattr(OcrEngine, "find", lambda self, image: calls.append(1) or find(self, image))
    with opened(save(picture_pdf(picture()), tmp_path / "a.pdf")).page(1) as page:
        scan = read_scan(page, settings)
    assert (len(calls), scan.turn, scan.seals) == (1, 0, ())
