"""Highlights lie where the boxes say, and the print below stays readable."""

import io

import numpy as np
from PIL import Image

from tuwen.pictures import highlighted
from tuwen.types import Box


def page() -> bytes:
    pixels = np.full((400, 300, 3), 255, np.uint8)
    pixels[100:110, 60:240] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_marks_the_box_and_nothing_else() -> None:
    marked = np.asarray(highlighted(page(), [Box(0.2, 0.25, 0.8, 0.275)])).astype(int)
    yellow = (marked[..., 0] > 200) & (marked[..., 2] < 150)
    rows, columns = np.nonzero(yellow)
    assert 95 <= rows.min() < rows.max() <= 115
    assert 55 <= columns.min() < columns.max() <= 245
    assert marked[300, 150].min() > 240


def test_print_stays_dark() -> None:
    marked = np.asarray(highlighted(page(), [Box(0.1, 0.2, 0.9, 0.35)])).astype(int)
    assert marked[105, 150].max() < 60


def test_no_boxes_leave_the_page_as_it_is() -> None:
    with Image.open(io.BytesIO(page())) as plain:
        assert np.array_equal(np.asarray(highlighted(page(), [])), np.asarray(plain.convert("RGB")))
