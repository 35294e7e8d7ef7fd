"""Conformance of page readers: what every adapter of the ``PageReader`` seam owes its callers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.base import PageReader
from ingest.readers import OcrReader, PlainReader, TextLayerReader, build_reader
from ingest.scan import read_scan
from ingest.upright import skew, tilt_box, turn_box
from tests.ingest.drawing import LINES, photographed, picture_pdf, save, text_pdf, write
from tuwen.settings import IngestSettings
from tuwen.types import Box, Source


def fold(text):
    return "".join(text.split()).translate(str.maketrans("，：（）", ",:()"))


@pytest.fixture(params=[TextLayerReader, OcrReader, PlainReader], ids=["text_layer", "ocr", "plain"])
def reader(request, settings):
    return request.param(settings)


@pytest.fixture
def read(reader, tmp_path, opened):
    def read_(document):
        with opened(save(document, tmp_path / "a.pdf")).page(1) as page:
            return reader.read(page)

    return read_


def two_columns():
    document = text_pdf([])
    left = [f"左栏第{i}行讲述设备的安装步骤" for i in range(8)]
    right = [f"右栏第{i}行讲述设备的维护周期" for i in range(8)]
    write(document[0], left, at=(60, 100), size=12, step=22)
    write(document[0], right, at=(320, 100), size=12, step=22)
    return document, left + right


def words_text(reading):
    return fold("".join(word.text for word in reading.words))


def test_what_runs_is_what_is_tested_here(settings):
    assert isinstance(build_reader(settings), PlainReader)


def test_is_a_page_reader(reader):
    assert isinstance(reader, PageReader)
    assert reader.fingerprint


def test_words_are_in_reading_order(read):
    document, lines = two_columns()
    assert words_text(read(document)) == fold("".join(lines))


def test_boxes_are_fractions_of_the_page(read):
    reading = read(text_pdf(LINES))
    for item in (*reading.words, *reading.blocks):
        assert 0 <= item.box.x0 < item.box.x1 <= 1
        assert 0 <= item.box.y0 < item.box.y1 <= 1


def test_blocks_own_all_words_and_spell_them(read):
    reading = read(two_columns()[0])
    assert [block.order for block in reading.blocks] == list(range(len(reading.blocks)))
    end = 0
    for block in reading.blocks:
        assert block.words.start == end
        end = block.words.end
        words = reading.words[block.words.start : end]
        assert "".join(block.text.split()) == "".join(word.text for word in words)
        around = Box.union(word.box for word in words)
        assert around.overlap(block.box) > 0.9
    assert end == len(reading.words)


def test_reading_twice_gives_the_same(reader, tmp_path, opened):
    with opened(save(text_pdf(LINES), tmp_path / "a.pdf")).page(1) as page:
        assert reader.read(page) == reader.read(page)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_page_is_read_upright(read, rotation):
    straight, rotated = read(text_pdf(LINES)), read(text_pdf(LINES, rotation=rotation))
    assert words_text(rotated) == fold("".join(LINES))
    for a, b in zip(straight.words, rotated.words, strict=True):
        assert a.box.center == pytest.approx(b.box.center, abs=0.02)


def test_empty_page_gives_nothing(read):
    reading = read(text_pdf([]))
    assert (reading.words, reading.blocks) == ((), ())


def test_source_is_named(read, reader):
    sources = {block.source for block in read(text_pdf(LINES)).blocks}
    assert sources == {Source.OCR if isinstance(reader, OcrReader) else Source.TEXT_LAYER}


def test_readers_agree_on_where_words_are(tmp_path, opened, settings):
    with opened(save(text_pdf(LINES), tmp_path / "a.pdf")).page(1) as page:
        true, seen = TextLayerReader(settings).read(page), OcrReader(settings).read(page)
    assert [fold(word.text) for word in true.words] == [fold(word.text) for word in seen.words]
    for a, b in zip(true.words, seen.words, strict=True):
        assert a.box.overlap(b.box) > 0.6


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_scan_on_its_side_is_read_in_order_with_boxes_as_displayed(tmp_path, opened, settings, degrees):
    document, lines = two_columns()
    side = photographed(document[0]).rotate(degrees, expand=True)
    size = (595, 842) if degrees == 180 else (842, 595)
    with opened(save(picture_pdf(side, size=size), tmp_path / "a.pdf")).page(1) as page:
        reading = OcrReader(settings).read(page)
    assert words_text(reading) == fold("".join(lines))
    first, last = reading.words[0].box.center, reading.words[-1].box.center
    x, y = 66 / 595, 96 / 842  # the first character on the upright page
    expected = {90: (y, 1 - x), 180: (1 - x, 1 - y), 270: (1 - y, x)}[degrees]
    assert first == pytest.approx(expected, abs=0.03)
    assert first != pytest.approx(last, abs=0.2)


def test_fingerprint_of_ocr_follows_its_settings():
    settings = IngestSettings()
    other = settings.model_copy(update={"ocr": settings.ocr.model_copy(update={"dpi": 300})})
    assert OcrReader(settings).fingerprint != OcrReader(other).fingerprint
    assert OcrReader(settings).fingerprint == OcrReader(IngestSettings()).fingerprint


@pytest.mark.parametrize("degrees", [-4, -1, 3])
def test_tilted_scan_is_laid_out_level_with_boxes_as_displayed(tmp_path, opened, settings, degrees):
    document, lines = two_columns()
    tilted = photographed(document[0]).rotate(degrees, fillcolor="white")  # counter-clockwise
    with opened(save(picture_pdf(tilted), tmp_path / "a.pdf")).page(1) as page:
        assert skew(page, read_scan(page, settings).lines) == pytest.approx(-degrees, abs=0.4)
        reading = OcrReader(settings).read(page)
        image = page.render(150, 10**8)
    assert words_text(reading) == fold("".join(lines))
    height, width = image.shape[:2]
    for word in reading.words:
        x, y = word.box.center
        x0, x1 = int((x - 0.01) * width), int((x + 0.01) * width)
        y0, y1 = int((y - 0.008) * height), int((y + 0.008) * height)
        assert image[y0:y1, x0:x1].min() < 128  # ink is there
    for block in reading.blocks:
        own = [word.box for word in reading.words[block.words.start : block.words.end]]
        assert Box.union(own).overlap(block.box) > 0.99


@given(st.floats(-10, 10), st.tuples(*[st.floats(0.1, 0.4)] * 2), st.tuples(*[st.floats(0.5, 0.9)] * 2))
def test_tilting_back_returns_the_box(degrees, low, high):
    box, size = Box(*low, *high), (595.0, 842.0)
    assert tilt_box(tilt_box(box, degrees, size), -degrees, size) == pytest.approx(box, abs=1e-9)


@given(st.sampled_from([90, 180, 270]), st.tuples(*[st.floats(0, 0.4)] * 2), st.tuples(*[st.floats(0.5, 1)] * 2))
def test_turning_back_returns_the_box(degrees, low, high):
    box = Box(*low, *high)
    assert turn_box(turn_box(box, degrees), 360 - degrees) == pytest.approx(box, abs=2e-5)
