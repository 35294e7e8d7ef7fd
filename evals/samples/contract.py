"""采购合同: a scanned contract (pictures only) with red seals."""

from __future__ import annotations

import numpy as np

from evals.samples import degrade
from evals.samples.common import A4, COMPANY, Sample
from evals.samples.contract_text import ARTICLES, ITEMS, SELLER, TITLE
from evals.samples.flow import Flow, Frame, TableStyle
from evals.samples.seals import draw_seal
from evals.samples.sheet import Sheet, Style, rgb
from tuwen.types import BlockKind

FILE = "采购合同（扫描件）.pdf"
_MARGIN = 72.0
_BODY = Style("serif", 11.5)
_TABLE = TableStyle(
    Style("serif", 9.5), Style("serif-bold", 9.5), head_fill=(1, 1, 1), rule=(0.2, 0.2, 0.2), grid=True, leading=1.5
)
_INK = rgb("#20408c")
_DPI = 150
_SKEWS = (0.55, -0.35, 0.7)


def build() -> Sample:
    """Draw, stamp and scan the contract."""
    flow = Flow(lambda _: Sheet(*A4), lambda _: [Frame(_MARGIN, 78, A4[0] - _MARGIN, A4[1] - 76)])
    _front(flow)
    for title, texts in ARTICLES:
        _article(flow, title, texts)
    stamps = _signatures(flow)
    for number, sheet in enumerate(flow.sheets, 1):
        block = sheet.block(BlockKind.FOOTER)
        sheet.text(
            A4[0] / 2, A4[1] - 40, f"第 {number} 页　共 {len(flow.sheets)} 页", Style("serif", 9), block, align=0.5
        )
    rng = np.random.default_rng(20260417)
    pictures, placements = [], []
    for number, sheet in enumerate(flow.sheets):
        picture = degrade.render(sheet, _DPI)
        if sheet is flow.sheets[-1]:
            ink = degrade.render(stamps, _DPI)
            picture = degrade.multiply(picture, ink, degrade.mottle(ink.shape[:2], rng, 9, 0.55))
            sheet.blocks[-1:-1] = stamps.blocks
        scanned, place = degrade.scan(picture, rng, _SKEWS[number % len(_SKEWS)])
        pictures.append(degrade.jpeg(scanned, 68, _DPI))
        placements.append(place)
    return Sample(FILE, degrade.image_pdf(pictures, *A4, TITLE), flow.sheets, ("scan",), placements)


def _front(flow: Flow) -> None:
    flow.para(TITLE, Style("serif-bold", 22, spacing=4), kind=BlockKind.TITLE, align="center", leading=1.6, after=6)
    flow.para("合同编号：JC-CG-2026-0417", _BODY, align="right", after=8)
    for line in (f"甲方（买方）：{COMPANY}", f"乙方（卖方）：{SELLER}", "签订地点：临澜市高新区知行路18号"):
        flow.para(line, _BODY, align="left")
    flow.y += 6


def _article(flow: Flow, title: str, texts: list[str]) -> None:
    flow.para(title, Style("serif-bold", 11.5), kind=BlockKind.TITLE, align="left", before=8, after=1, keep=40)
    for text in texts:
        if text == "@items":
            flow.table(ITEMS, _TABLE, after=8)
        else:
            flow.para(text, _BODY, indent=2, leading=1.85)


def _signatures(flow: Flow) -> Sheet:
    """The signature block; returns the stamps as a sheet of their own, to be printed over it."""
    flow.space(14)
    flow.need(210)
    sheet, top = flow.sheet, flow.y
    stamps = Sheet(*A4)
    parties = [
        (flow.frame.x0, "甲方（盖章）：", COMPANY, "陆听澜", "2026年4月17日"),
        (flow.frame.x0 + 236, "乙方（盖章）：", SELLER, "闻人澈", "2026年4月18日"),
    ]
    for x, role, name, signer, date in parties:
        block = sheet.block(BlockKind.TEXT)
        for number, line in enumerate([role, name, "授权代表（签字）：", f"日期：{date}"]):
            sheet.text(x, top + 16 + number * 44, line, _BODY, block)
            if number == 2:
                sheet.text(x + 104, top + 14 + number * 44, signer, Style("serif-bold", 17, _INK, 3), block, before="")
    draw_seal(stamps, (flow.frame.x0 + 142, top + 44), COMPANY, stamps.block(BlockKind.SEAL))
    draw_seal(stamps, (flow.frame.x0 + 362, top + 48), SELLER, stamps.block(BlockKind.SEAL))
    flow.y = top + 200
    return stamps
