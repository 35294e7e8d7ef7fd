"""Small real files, drawn with the libraries that read them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pymupdf
from PIL import Image

LINES = (
    "第三季度营业收入同比增长百分之十二",
    "设备编号 JL-0063 于 2026年8月15日 检修",
    "联系人：温书白，电话 010-6655 转 208",
    "The gateway stores data for 72 hours.",
)
FONT_SIZE = 16
LEFT, TOP, STEP = 72, 110, 40


def font():
    return pymupdf.Font("cjk")


def write(page, lines: Sequence[str], at=(LEFT, TOP), size=FONT_SIZE, step=STEP, **options) -> None:
    writer = pymupdf.TextWriter(page.rect)
    for i, line in enumerate(lines):
        writer.append((at[0], at[1] + i * step), line, font=font(), fontsize=size)
    writer.write_text(page, **options)


def text_pdf(*pages: Sequence[str], rotation: int = 0, size=(595, 842), **options) -> pymupdf.Document:
    """A PDF with a text layer; a rotated one is stored on its side and shows its text upright."""
    document = pymupdf.open()
    for lines in pages:
        write(document.new_page(width=size[0], height=size[1]), lines, **options)
    return document if rotation == 0 else stored_rotated(document, rotation)


def stored_rotated(upright: pymupdf.Document, rotation: int) -> pymupdf.Document:
    """The same pages with their content turned and a /Rotate that turns it back."""
    document = pymupdf.open()
    for source in upright:
        width, height = source.rect.width, source.rect.height
        page = document.new_page(width=width, height=height)
        if rotation % 180:
            page.set_mediabox(pymupdf.Rect(0, 0, height, width))
        page.show_pdf_page(page.rect, upright, source.number, rotate=rotation)
        page.set_rotation(rotation)
    return document


def picture(lines: Sequence[str] = LINES, dpi: int = 150, size=(595, 842), **options) -> Image.Image:
    """A page as a scanner would give it."""
    with text_pdf(lines, size=size, **options) as document:
        return photographed(document[0], dpi)


def photographed(page: pymupdf.Page, dpi: int = 150) -> Image.Image:
    pixmap = page.get_pixmap(dpi=dpi)
    return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)


def picture_pdf(*images: Image.Image, size=(595, 842)) -> pymupdf.Document:
    """A PDF of pictures without a text layer."""
    document = pymupdf.open()
    for image in images:
        page = document.new_page(width=size[0], height=size[1])
        page.insert_image(page.rect, stream=png(image))
    return document


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def mislabelled(page, true: str) -> None:
    """Give the text that was written last another text layer than what it shows."""
    xref = page.get_contents()[-1]
    code = ("\ufeff" + true).encode("utf-16-be").hex().encode()
    stream = page.parent.xref_stream(xref)
    page.parent.update_stream(xref, b"/Span <</ActualText <" + code + b">>> BDC\n" + stream + b"\nEMC\n")


def columns(text: str, rows: int = 20, size: int = 18) -> Image.Image:
    """Chinese set in columns, right to left."""
    document = pymupdf.open()
    page = document.new_page()
    writer = pymupdf.TextWriter(page.rect)
    for i, char in enumerate(text):
        column, row = divmod(i, rows)
        writer.append((500 - column * 40, 80 + row * size * 1.2), char, font=font(), fontsize=size)
    writer.write_text(page)
    return photographed(page)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def save(document: pymupdf.Document, path: Path, **options) -> Path:
    document.save(path, **options)
    document.close()
    return path
