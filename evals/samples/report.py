"""年度报告: tables, one of them over two pages, and vector charts with captions."""

from __future__ import annotations

from evals.samples import charts
from evals.samples import report_text as words
from evals.samples.common import (
    A4,
    COMPANY,
    CORAL,
    MIST,
    NAVY,
    SAND,
    SLATE,
    TEAL,
    WHITE,
    Sample,
    folio,
    running_head,
)
from evals.samples.flow import Flow, Frame, TableStyle
from evals.samples.pdf import write_pdf
from evals.samples.sheet import DrawnBlock, Sheet, Style, rgb
from tuwen.types import BlockKind

FILE = "2025年年度报告.pdf"
_MARGIN = 60.0
_BODY = Style("serif", 10.5)
_H1 = Style("sans-bold", 18, TEAL)
_H2 = Style("sans-bold", 12, NAVY)
_CAPTION = Style("sans", 9, SLATE)
_LABEL = Style("sans", 8.2, rgb("#3a4653"))
_TABLE = TableStyle(
    Style("sans", 8.8),
    Style("sans-bold", 8.8, NAVY),
    head_fill=rgb("#dff0f1"),
    stripe=rgb("#f6fafa"),
    rule=rgb("#8fb5b9"),
)


def build() -> Sample:
    """Draw the report."""
    flow = Flow(_new_sheet, lambda _: [Frame(_MARGIN, 80, A4[0] - _MARGIN, A4[1] - 64)])
    _cover(flow.sheet)
    for section in (_contents, _letter, _figures, _segments, _research, _governance, _outlook):
        section(flow)
    for number, sheet in enumerate(flow.sheets[1:], 2):
        folio(sheet, f"— {number} —")
    data = write_pdf(flow.sheets, f"{COMPANY}2025年年度报告", "董事会办公室")
    return Sample(FILE, data, flow.sheets, ("born-digital",))


def _new_sheet(number: int) -> Sheet:
    sheet = Sheet(*A4)
    if number > 1:
        running_head(sheet, COMPANY, "2025年年度报告", _MARGIN)
    return sheet


def _cover(sheet: Sheet) -> None:
    width, height = A4
    sheet.rect(0, 0, width, height * 0.58, fill=TEAL)
    heights = (0.10, 0.14, 0.19, 0.23, 0.31)
    for number, share in enumerate(heights):
        x = 300 + number * 52
        sheet.rect(x, height * (0.58 - share), x + 34, height * 0.58, fill=rgb("#3a9aa5") if number < 4 else SAND)
    title = sheet.block(BlockKind.TITLE)
    sheet.text(60, 150, "2025", Style("sans-bold", 84, WHITE, 2), title)
    sheet.text(62, 206, "年度报告", Style("sans-bold", 40, WHITE, 4), title)
    block = sheet.block(BlockKind.TEXT)
    sheet.text(62, 580, COMPANY, Style("sans-bold", 17, NAVY), block)
    small = Style("sans", 11, SLATE)
    for number, line in enumerate(
        [
            "股票简称：霁川传感　　证券代码：000000（示例）",
            "董事长：沈知远　　总经理：陆听澜　　财务负责人：顾言舟",
            "本报告经第四届董事会第十二次会议于2026年3月27日审议通过",
            "注册地址：临澜市高新区知行路18号",
        ]
    ):
        sheet.text(62, 612 + 24 * number, line, small, block)


def _title(flow: Flow, text: str) -> None:
    flow.new_page()
    flow.para(text, _H1, kind=BlockKind.TITLE, align="left", leading=1.4, after=4)
    flow.sheet.rect(flow.frame.x0, flow.y, flow.frame.x1, flow.y + 1.6, fill=TEAL)
    flow.y += 14


def _sub(flow: Flow, text: str, keep: float = 60) -> None:
    flow.para(text, _H2, kind=BlockKind.TITLE, align="left", leading=1.5, before=10, after=3, keep=keep)


def _text(flow: Flow, *paragraphs: str) -> None:
    for text in paragraphs:
        flow.para(text, _BODY, indent=2, after=4)


def _caption(flow: Flow, text: str, keep: float = 0.0, after: float = 10) -> None:
    flow.para(text, _CAPTION, kind=BlockKind.CAPTION, align="center", before=4, after=after, keep=keep)


def _contents(flow: Flow) -> None:
    _title(flow, "目录")
    block = flow.sheet.block(BlockKind.LIST)
    for title, page in words.CONTENTS:
        base = flow.y + 14
        flow.sheet.text(flow.frame.x0, base, title, Style("sans", 12), block)
        flow.sheet.text(flow.frame.x1, base, str(page), Style("sans-bold", 12, TEAL), block, align=1, before=" ")
        flow.sheet.line(flow.frame.x0, base + 9, flow.frame.x1, base + 9, rgb("#d6dee6"), 0.6)
        flow.y += 34
    flow.y += 16
    top = flow.y
    flow.sheet.rect(flow.frame.x0, top, flow.frame.x1, top + 96, fill=MIST, radius=5)
    note = flow.sheet.block(BlockKind.TEXT)
    flow.sheet.text(flow.frame.x0 + 16, top + 26, "重要提示", Style("sans-bold", 11, NAVY), note)
    lines = [
        "本报告所载公司、人物、数据均为虚构，仅用于演示文档理解系统。",
        "除特别说明外，金额单位均为人民币万元；部分合计数与各项相加之和",
        "如有尾差，系四舍五入所致。",
    ]
    for number, line in enumerate(lines):
        flow.sheet.text(flow.frame.x0 + 16, top + 48 + 17 * number, line, Style("serif", 10), note)


def _letter(flow: Flow) -> None:
    _title(flow, "一、致股东")
    _text(flow, *words.LETTER)
    flow.para("董事长　沈知远", Style("serif-bold", 11), align="right", before=10)
    flow.para("2026年3月27日", _BODY, align="right", after=30)
    flow.figure(96, _highlights, keep=0)


def _highlights(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    tiles = [
        ("158,640", "营业收入（万元）", TEAL),
        ("18,930", "净利润（万元）", NAVY),
        ("13.5%", "研发投入占比", SAND),
        ("1,486", "员工人数（人）", CORAL),
    ]
    width = (x1 - x0 - 3 * 12) / 4
    for number, (value, name, color) in enumerate(tiles):
        left = x0 + number * (width + 12)
        sheet.rect(left, y0, left + width, y1, fill=MIST)
        sheet.rect(left, y0, left + width, y0 + 4, fill=color)
        sheet.text(left + width / 2, y0 + 46, value, Style("sans-bold", 21, color), block, align=0.5)
        sheet.text(left + width / 2, y0 + 74, name, Style("sans", 9, SLATE), block, align=0.5)


def _figures(flow: Flow) -> None:
    _title(flow, "二、主要财务数据")
    _text(flow, words.OVERVIEW)
    _caption(flow, "表 1　近三年主要会计数据和财务指标（单位：万元）", keep=80, after=3)
    flow.table(words.INDICATORS, _TABLE, after=8)
    flow.figure(190, _revenue_chart)
    _caption(flow, "图 1　2021—2025年营业收入与净利润（单位：万元）")
    _caption(flow, "表 2　2025年分季度数据（单位：万元）", keep=80, after=3)
    flow.table(words.QUARTERS, _TABLE, after=8)


def _revenue_chart(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(0, 180000, 30000, "万元"), _LABEL, block)
    series = [
        charts.Series("营业收入", [y.revenue for y in words.YEARS], TEAL),
        charts.Series("净利润", [y.profit for y in words.YEARS], SAND),
    ]
    charts.bars(plot, [y.year for y in words.YEARS], series)


def _margin_chart(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(30, 55, 5, "毛利率（%）"), _LABEL, block)
    series = [
        charts.Series("综合毛利率", [y.margin for y in words.YEARS], NAVY),
        charts.Series("软件与服务", [46.2, 47.5, 48.1, 50.3, 52.6], CORAL),
    ]
    charts.lines(plot, [y.year for y in words.YEARS], series)


def _segments(flow: Flow) -> None:
    _title(flow, "三、经营情况讨论与分析")
    _sub(flow, "（一）分业务情况")
    _text(flow, words.SEGMENT_TEXT[0])
    _caption(flow, "表 3　2025年主营业务分业务情况（单位：万元）", keep=80, after=3)
    flow.table(words.SEGMENTS, _TABLE, after=6)
    _text(flow, *words.SEGMENT_TEXT[1:3])
    flow.figure(170, _margin_chart)
    _caption(flow, "图 2　2021—2025年毛利率变化")
    _sub(flow, "（二）分地区情况", keep=190)
    _text(flow, words.SEGMENT_TEXT[3])
    flow.figure(150, _region_chart)
    _caption(flow, "图 3　2025年营业收入地区构成")
    _sub(flow, "（三）产销与交付", keep=190)
    _text(flow, *words.DELIVERY)
    _caption(flow, "表 4　2025年主要产品产销情况（单位：万只、万台）", keep=80, after=3)
    flow.table(words.PRODUCTION, _TABLE, after=6)


def _region_chart(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    parts = [
        charts.Series(n, [v], c)
        for n, v, c in (
            ("华东", 61_870, TEAL),
            ("华南", 38_074, NAVY),
            ("华北", 26_969, SAND),
            ("西部", 17_450, CORAL),
            ("海外", 14_277, SLATE),
        )
    ]
    charts.donut(sheet, (x0 + (x1 - x0) * 0.36, (y0 + y1) / 2), (y1 - y0) * 0.46, parts, _LABEL._replace(size=9), block)


def _research(flow: Flow) -> None:
    _title(flow, "四、研发与创新")
    _text(flow, *words.RESEARCH)
    _sub(flow, "（一）人员与专利", keep=120)
    _text(flow, words.STAFF)
    flow.figure(170, _patent_chart)
    _caption(flow, "图 4　各年新增授权专利数量（单位：件）")
    _sub(flow, "（二）在研项目", keep=150)
    _text(flow, "报告期内主要在研项目共 26 项，列于表 5，其中量产或小批量阶段 7 项，已结题 3 项。")
    _caption(flow, "表 5　2025年主要在研项目", keep=80, after=3)
    flow.table(words.PROJECTS, _TABLE, after=10)


def _patent_chart(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(0, 80, 20, "件"), _LABEL, block)
    charts.bars(
        plot,
        [y.year for y in words.YEARS],
        [
            charts.Series("发明专利", [18, 23, 31, 42, 57], NAVY),
            charts.Series("实用新型", [26, 29, 27, 33, 38], rgb("#8fb5b9")),
        ],
    )


def _governance(flow: Flow) -> None:
    _title(flow, "五、股东与治理")
    _text(
        flow,
        words.OWNERSHIP,
    )
    _caption(flow, "表 6　前十名股东持股情况", keep=80, after=3)
    flow.table(words.SHAREHOLDERS, _TABLE, after=10)
    _sub(flow, "风险因素")
    for title, text in words.RISKS:
        flow.para(f"**{title}**　{text}", _BODY, indent=2, after=4)


def _outlook(flow: Flow) -> None:
    _title(flow, "六、可持续发展与展望")
    _sub(flow, "（一）环境与社会")
    _text(flow, *words.SUSTAINABILITY)
    flow.figure(160, _energy_chart)
    _caption(flow, "图 5　单位产值综合能耗（单位：千克标准煤／万元）")
    _sub(flow, "（二）2026年经营计划")
    _text(flow, words.GUIDANCE[0])
    flow.items(words.GUIDANCE[1:], _BODY, markers=[f"{n}." for n in range(1, len(words.GUIDANCE))], hang=1.6, after=6)


def _energy_chart(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(0, 40, 10, "千克标准煤／万元"), _LABEL, block)
    charts.lines(plot, [y.year for y in words.YEARS], [charts.Series("综合能耗", [34.8, 32.1, 29.7, 26.4, 23.5], TEAL)])
