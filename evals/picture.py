"""The picture of the README: a question, its answer, and the cited place on the page.

``python -m evals.picture --home demo-output/home QUESTION docs/images/answer.png`` what ``tuwen ask`` answers at this
moment; nothing in it is written by hand.
"""

from __future__ import annotations

import argparse
import html
import io
from pathlib import Path

import pymupdf
from PIL import Image

from tuwen.engine import Tuwen
from tuwen.pictures import highlighted
from tuwen.types import Answer, Box

_WIDTH, _HEIGHT = 1400, 760
_PANEL = 560
_GAP = 40
_INK, _PAPER, _DESK = "#1f2933", "#ffffff", "#eef2f5"
_STYLE = f"""
body {{ font-family: sans-serif; color: {_INK}; font-size: 17px; line-height: 1.55; }}
.question {{ font-size: 24px; font-weight: bold; }}
.answer {{ font-size: 20px; }}
.source {{ font-size: 14px; color: #52606d; }}
.label {{ font-size: 13px; color: #0f7a83; }}
"""


def draw(answer: Answer, page: Image.Image, focus: Box) -> Image.Image:
    """The answer on the left, the part of the marked page around ``focus`` on the right."""
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT), _DESK)
    canvas.paste(_panel(answer), (_GAP, _GAP))
    room = (_WIDTH - _PANEL - 3 * _GAP, _HEIGHT - 2 * _GAP)
    scale = room[0] / page.width
    large = page.resize((room[0], round(page.height * scale)), Image.Resampling.LANCZOS)
    middle = (focus.y0 + focus.y1) / 2 * large.height
    top = round(min(max(0, middle - room[1] * 0.45), max(0, large.height - room[1])))
    canvas.paste(large.crop((0, top, room[0], top + room[1])), (_PANEL + 2 * _GAP, _GAP))
    return canvas


def _panel(answer: Answer) -> Image.Image:
    sources = "".join(
        f"<p class=source>[{c.marker}] {html.escape(c.document_name)}，第 {c.page} 页"
        f"{'　已在原页核对' if c.verified else ''}</p>"
        for c in answer.citations
    )
    content = (
        f"<p class=label>提问</p><p class=question>{html.escape(answer.question)}</p>"
        f"<p class=label>回答</p><p class=answer>{html.escape(answer.answer)}</p>"
        f"<p class=label>出处</p>{sources}"
    )
    width, height = _PANEL, _HEIGHT - 2 * _GAP
    with pymupdf.open() as document:
        sheet = document.new_page(width=width, height=height)
        sheet.draw_rect(sheet.rect, color=None, fill=(1, 1, 1))
        sheet.insert_htmlbox(pymupdf.Rect(36, 28, width - 36, height - 28), content, css=_STYLE)
        pixmap = sheet.get_pixmap(matrix=pymupdf.Matrix(2, 2))
        panel = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)
    return panel.resize((width, height), Image.Resampling.LANCZOS)


def main() -> None:
    """Ask and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a data directory with the sample corpus in it")
    parser.add_argument("question")
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    with Tuwen.open(home=arguments.home) as engine:
        answer = engine.ask(arguments.question)
        first = answer.citations[0]
        picture = engine.page_image(first.document_id, first.page)
        boxes = [
            b for c in answer.citations if (c.document_id, c.page) == (first.document_id, first.page) for b in c.boxes
        ]
    buffer = io.BytesIO()
    draw(answer, highlighted(picture.jpeg, boxes), Box.union(first.boxes)).quantize(256).save(
        buffer, "PNG", optimize=True
    )
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    arguments.target.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
