from collections.abc import Sequence

import pymupdf
import pytest

from ingest.base import TextLine
from ingest.text_layer import clean, read_lines
from tests.ingest.layout_pages import HEIGHT, SAMPLES, WIDTH, blank_page, opened, write
from tuwen.types import Source


def texts(lines: Sequence[TextLine]) -> list[str]:
    return [line.text for line in lines]


def test_one_word_for_each_chinese_character_and_each_run_of_other_script() -> None:
    with blank_page() as page:
        write(page, 100, 200, "合同总价")
        write(page, 100, 300, "Model H3-2025, 12.5%")
        chinese, latin = read_lines(opened(page))
    assert [word.text for word in chinese.words] == ["合", "同", "总", "价"]
    assert [word.text for word in latin.words] == ["Model", "H3-2025,", "12.5%"]
    assert latin.text == "Model H3-2025, 12.5%"
    assert chinese.source is Source.TEXT_LAYER
    assert chinese.size == 10
    assert chinese.confidence is None


def test_boxes_are_fractions_of_the_page_from_its_top_left() -> None:
    with blank_page() as page:
        write(page, 100, 200, "合同")
        (found,) = read_lines(opened(page))
    first, second = (word.box for word in found.words)
    assert first.x0 * WIDTH == pytest.approx(100, abs=1)
    assert second.x0 * WIDTH == pytest.approx(110, abs=1)
    assert first.y0 * HEIGHT < 200 - 5 < first.y1 * HEIGHT
    assert first.y1 * HEIGHT == pytest.approx(200, abs=4)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_boxes_are_those_of_the_displayed_page(rotation: int) -> None:
    with blank_page(rotation) as page:
        point = pymupdf.Point(100, 200) * page.derotation_matrix
        page.insert_text(point, "合同", fontname="china-s", fontsize=10, rotate=rotation)
        shown = opened(page)
        (found,) = read_lines(shown)
        box = found.words[0].box
        assert box.x0 * shown.width == pytest.approx(100, abs=1)
        assert box.y1 * shown.height == pytest.approx(200, abs=4)
        assert found.text == "合同"
        ink = (255 - shown.render(72, 10_000_000).min(axis=2)).nonzero()
        assert box.x0 * shown.width - 2 <= ink[1].min() <= ink[1].max() <= found.box.x1 * shown.width + 2


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_turned_text_is_read_in_its_own_direction(rotate: int) -> None:
    with blank_page() as page:
        write(page, 300, 400, "自下而上 Page 12", rotate=rotate)
        (found,) = read_lines(opened(page))
    assert "".join(word.text for word in found.words) == "自下而上Page12"


def test_a_glyph_printed_twice_to_look_bold_is_one_word_and_real_doubles_stay() -> None:
    with blank_page() as page:
        for offset in (0, 0.3, 0.6):
            write(page, 100 + offset, 200, "加粗标题", 14)
        write(page, 100, 300, "llama 11.55 committee", 9)
        write(page, 100, 320, "天天向上", 9)
        found = texts(read_lines(opened(page)))
    assert found == ["加粗标题", "llama 11.55 committee", "天天向上"]


def test_text_outside_the_page_is_left_out() -> None:
    with blank_page() as page:
        write(page, 100, 200, "看得见")
        write(page, -200, 300, "outside left")
        write(page, 100, HEIGHT + 60, "below the page")
        assert texts(read_lines(opened(page))) == ["看得见"]


def test_text_cut_off_by_the_crop_box_is_left_out_and_boxes_count_from_it() -> None:
    with blank_page() as page:
        write(page, 100, 200, "上面")
        write(page, 100, 600, "下面")
        page.set_cropbox(pymupdf.Rect(50, 400, 450, 800))
        (found,) = read_lines(opened(page))
    assert found.text == "下面"
    assert found.box.x0 == pytest.approx(50 / 400, abs=0.01)
    assert found.box.y1 == pytest.approx(200 / 400, abs=0.02)


def test_a_gap_is_a_space_between_latin_words_but_not_beside_chinese() -> None:
    with blank_page() as page:
        write(page, 100, 200, "plain")
        write(page, 100 + pymupdf.get_text_length("plain", "helv", 10) + 3, 200, "words")
        write(page, 100, 300, "使用")
        write(page, 122.5, 300, "LaTeX")
        write(page, 122.5 + pymupdf.get_text_length("LaTeX", "helv", 10) + 2.5, 300, "排版")
        found = texts(read_lines(opened(page)))
    assert found == ["plain words", "使用LaTeX排版"]


def test_columns_on_one_height_are_lines_of_their_own() -> None:
    with blank_page() as page:
        write(page, 100, 200, "左栏文字")
        write(page, 320, 200, "右栏文字")
        assert sorted(texts(read_lines(opened(page)))) == ["右栏文字", "左栏文字"]


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("⼀", "一"),  # Kangxi radicals, as fonts map them wrongly
        ("⽤", "用"),
        ("⻚", "页"),  # CJK Radicals Supplement, which NFKC leaves alone
        ("⻓", "长"),
        ("１", "１"),  # full width stays: no normalisation of what is printed
        ("㎡", "㎡"),
        ("，", "，"),
        ("\u3000", " "),
        ("\u00a0", " "),
        ("\u00ad", ""),
        ("\u200b", ""),
        ("\x07", ""),
        ("\ud800", ""),
    ],
)
def test_characters_stay_as_printed_except_what_prints_nothing_and_radicals(char: str, expected: str) -> None:
    assert clean(char) == expected


def test_every_radical_stands_for_an_ordinary_character() -> None:
    radicals = [chr(code) for code in range(0x2F00, 0x2FD6)]
    assert all(0x4E00 <= ord(clean(radical)) <= 0x9FFF for radical in radicals)


def test_ligatures_are_read_as_letters() -> None:
    font = pymupdf.Font("cjk")
    assert font.has_glyph(ord("ﬁ"))
    with blank_page() as page:
        writer = pymupdf.TextWriter(page.rect)
        writer.append((100, 200), "de\ufb01ne", font=font, fontsize=10)
        writer.write_text(page)
        (found,) = read_lines(opened(page))
    assert found.text == "define"


def test_heiti_counts_as_bold() -> None:
    with pymupdf.open(SAMPLES / "员工手册.pdf") as document:
        lines = read_lines(opened(document[2]))
    heading = next(line for line in lines if line.text.startswith("1.1"))
    body = next(line for line in lines if len(line.words) > 30)
    assert (heading.bold, body.bold) == (True, False)
