"""The OCR engine on pictures whose text and geometry are known."""

import logging
from difflib import SequenceMatcher

import numpy as np
import pytest
from PIL import Image

from ingest.images import flatten
from ingest.ocr import OcrEngine
from ingest.scan import read_parts, read_scan
from tests.ingest.drawing import LINES, columns, picture, picture_pdf, pixels, save, text_pdf
from tuwen.types import is_cjk


@pytest.fixture(scope="module")
def engine():
    return OcrEngine()


def fold(text):
    """What a reader cannot tell apart: white space, and the width of punctuation."""
    return "".join(text.split()).translate(str.maketrans("，：（）", ",:()"))


def text_of(line):
    return "".join(word.text for word in line.words)


def page_text(lines):
    return fold("".join(text_of(line) for line in sorted(lines, key=lambda line: line.quad[:, 1].mean())))


def similarity(a, b):
    return SequenceMatcher(None, fold(a), fold(b), autojunk=False).ratio()


def words_of(line):
    return [word.text for word in line.words]


def extent(quad, shape):
    xs, ys = quad[:, 0] / shape[1], quad[:, 1] / shape[0]
    return xs.min(), ys.min(), xs.max(), ys.max()


def test_printed_lines_are_read_exactly(engine):
    lines = engine.read(pixels(picture()))
    assert [fold(text_of(line)) for line in lines] == [fold(line) for line in LINES]
    assert all(line.confidence > 0.9 and line.turned == 0 for line in lines)


def test_word_is_one_chinese_character_or_one_run_of_other_script(engine):
    _, second, _, last = engine.read(pixels(picture()))
    assert words_of(second)[:6] == ["设", "备", "编", "号", "JL-0063", "于"]
    assert [fold(word) for word in words_of(last)] == ["The", "gateway", "stores", "data", "for", "72", "hours."]
    assert [word.space for word in last.words] == [False] + [True] * 6


@pytest.mark.parametrize("dpi", [100, 200])
def test_word_boxes_lie_on_their_characters(engine, dpi):
    image = pixels(picture(dpi=dpi))
    read = engine.read(image)
    with text_pdf(LINES) as document:
        raw = document[0].get_text("rawdict")["blocks"]
    spans = [span for block in raw for line in block["lines"] for span in line["spans"]]
    true = {}
    for span in spans:
        for char in span["chars"]:
            if is_cjk(char["c"]) and char["c"].isalnum():
                x0, y0, x1, y1 = char["bbox"]
                true.setdefault(char["c"], []).append((x0 / 595, y0 / 842, x1 / 595, y1 / 842))
    checked = 0
    for line in read:
        for word in line.words:
            if word.text in true and len(true[word.text]) == 1:
                got, (expected,) = extent(word.quad, image.shape), true[word.text]
                assert got[0] == pytest.approx(expected[0], abs=0.3 * 16 / 595)
                assert got[2] == pytest.approx(expected[2], abs=0.3 * 16 / 595)
                middle = (expected[1] + expected[3]) / 2
                assert got[1] < middle < got[3]
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_picture_on_its_side_or_head_is_read_with_boxes_where_the_words_are(engine, turn):
    upright = pixels(picture())
    image = np.ascontiguousarray(np.rot90(upright, turn // 90))  # counter-clockwise
    lines = engine.read(image)
    assert {line.turned for line in lines} == {turn}
    assert sorted(fold(text_of(line)) for line in lines) == sorted(fold(line) for line in LINES)
    for line in lines:
        x0, y0, x1, y1 = extent(line.quad, image.shape)
        height, width = image.shape[:2]
        patch = image[int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)]
        assert (patch < 128).mean() > 0.05  # ink is there


def test_chinese_in_columns_is_upright(engine, tmp_path, opened, settings):
    text = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"
    image = columns(text)
    lines = engine.read(pixels(image))
    assert {line.turned for line in lines} == {270}
    right_to_left = sorted(lines, key=lambda line: -line.quad[:, 0].mean())
    assert similarity("".join(map(text_of, right_to_left)), text) > 0.95
    image.save(tmp_path / "columns.png", dpi=(150, 150))
    image.rotate(90, expand=True).save(tmp_path / "side.png", dpi=(150, 150))
    picture().rotate(-90, expand=True).save(tmp_path / "prose.png", dpi=(150, 150))
    turns = {}
    for name in ("columns", "prose"):
        with opened(tmp_path / f"{name}.png").page(1) as page:
            turns[name] = read_scan(page, settings).turn
    assert turns == {"columns": 0, "prose": 270}


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (40, 2), (2, 400), (64, 64), (800, 1100)])
def test_nothing_is_read_where_nothing_is(engine, size):
    for color in ("white", "black"):
        assert engine.read(np.asarray(Image.new("RGB", size, color))) == ()


def test_noise_is_not_text(engine):
    noise = np.random.default_rng(3).integers(0, 255, (400, 400, 3), np.uint8)
    assert all(line.confidence < 0.8 for line in engine.read(noise))


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255)])
def test_text_on_a_transparent_background(engine, ink):
    printed = picture(("合同编号",), dpi=100, size=(300, 200))
    mask = printed.convert("L").point(lambda value: 255 - value)
    image = Image.new("RGBA", printed.size, (*ink, 0))
    image.putalpha(mask)
    assert page_text(engine.read(flatten(image))) == "合同编号"


def test_one_line_cut_close_is_read(engine):
    image = pixels(picture(("付款期限为三十日",), dpi=150, size=(300, 200)))
    ys, xs = np.nonzero(image.mean(axis=2) < 128)
    cut = image[ys.min() - 2 : ys.max() + 3, xs.min() - 2 : xs.max() + 3]
    assert page_text(engine.read(cut)) == "付款期限为三十日"


def test_long_strip_is_read_to_its_end(engine):
    lines = [f"第{i}条消息：会议改到{i}点" for i in range(10, 70)]
    image = pixels(picture(lines, dpi=72, size=(380, 60 * 60), step=55))
    assert image.shape[0] > 9 * image.shape[1]
    read = engine.read(image)
    assert similarity(page_text(read), "".join(lines)) > 0.98


def test_small_print_beside_a_headline(engine):
    with text_pdf(["第一章 总则"]) as document:
        from tests.ingest.drawing import write

        write(document[0], ["本条款自双方签字盖章之日起生效"], at=(72, 300), size=7)
        pixmap = document[0].get_pixmap(dpi=200)
    image = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, 3)
    assert page_text(engine.read(image)) == "第一章总则本条款自双方签字盖章之日起生效"


def test_reading_is_deterministic(engine):
    image = pixels(picture(dpi=120))
    first, second = engine.read(image), engine.read(image)
    assert [words_of(line) for line in first] == [words_of(line) for line in second]
    assert all(np.array_equal(a.quad, b.quad) for a, b in zip(first, second, strict=True))
    assert [line.confidence for line in first] == [line.confidence for line in second]


def test_engine_says_nothing(engine, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        engine.read(pixels(picture(dpi=100)))
        OcrEngine()
    assert capfd.readouterr() == ("", "")


def test_only_asked_for_parts_are_read(tmp_path, opened, settings):
    path = save(picture_pdf(picture()), tmp_path / "a.pdf")
    with opened(path).page(1) as page:
        whole = read_scan(page, settings).lines
        second = whole[1].box
        (alone,) = read_parts(page, settings, [second])
    assert fold(alone.text) == fold(LINES[1])
    assert alone.box.overlap(second) > 0.8
    assert second.overlap(alone.box) > 0.8


def test_font_size_is_about_right(tmp_path, opened, settings):
    with opened(save(picture_pdf(picture(dpi=200)), tmp_path / "a.pdf")).page(1) as page:
        for line in read_scan(page, settings).lines:
            assert line.size == pytest.approx(16, rel=0.2)
