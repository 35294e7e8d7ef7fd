"""Small real documents, drawn on the spot."""

from collections.abc import Sequence
from pathlib import Path

import pymupdf

A4 = pymupdf.paper_rect("a4")
TEXT_AREA = pymupdf.Rect(60, 60, A4.width - 60, A4.height - 60)


def draw_pdf(path: Path, pages: Sequence[str]) -> Path:
    """A PDF with one HTML text a page, in PyMuPDF's own CJK font."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pymupdf.open() as document:
        for html in pages:
            page = document.new_page(width=A4.width, height=A4.height)
            page.insert_htmlbox(TEXT_AREA, html)
        document.save(path, garbage=3, deflate=True, no_new_id=True)
    return path


def report(number: int, pages: int = 3) -> list[str]:
    """Pages about one subject, different for every ``number``."""
    return [
        f"<h1>第{page}章　项目{number}的第{page}期</h1><p>项目{number}第{page}期于202{page}年{number % 12 + 1}月开工，"
        f"预算为{number * 100 + page}万元，负责人是工程师{chr(0x4E00 + number * 37 + page)}。</p>"
        for page in range(1, pages + 1)
    ]
