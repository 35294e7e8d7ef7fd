"""产品发布: a slide deck."""

from __future__ import annotations

from collections.abc import Callable

from evals.samples import charts
from evals.samples.common import CORAL, MIST, NAVY, SAND, SHORT, SLATE, TEAL, WHITE, Sample
from evals.samples.pdf import write_pdf
from evals.samples.sheet import Color, DrawnBlock, Sheet, Style, rgb
from evals.samples.typeset import break_lines, parse
from tuwen.types import BlockKind

FILE = "H3边缘网关发布会.pdf"
_WIDTH, _HEIGHT = 960.0, 540.0
_LEFT = 64.0
_BODY = Style("sans", 22, rgb("#22303f"))
_LABEL = Style("sans", 15, rgb("#3a4653"))


def build() -> Sample:
    """Draw the deck."""
    makers: list[Callable[[Sheet], None]] = [_cover, _problem, _device, _architecture, _speed, _cases, _price, _close]
    sheets = []
    for number, maker in enumerate(makers, 1):
        sheet = Sheet(_WIDTH, _HEIGHT)
        maker(sheet)
        if number > 1:
            _foot(sheet, number)
        sheets.append(sheet)
    return Sample(FILE, write_pdf(sheets, "霁川 H3 边缘网关发布会", "市场部"), sheets, ("born-digital", "slides"))


def _foot(sheet: Sheet, number: int) -> None:
    block = sheet.block(BlockKind.FOOTER)
    style = Style("sans", 12, SLATE if number < 8 else rgb("#b9c8dc"))
    sheet.text(_LEFT, _HEIGHT - 24, f"{SHORT} · H3 发布会 · 2026年4月16日", style, block)
    sheet.text(_WIDTH - _LEFT, _HEIGHT - 24, str(number), style, block, align=1, before=" ")


def _title(sheet: Sheet, text: str) -> None:
    sheet.rect(0, 0, 18, _HEIGHT, fill=TEAL)
    sheet.text(_LEFT, 92, text, Style("sans-bold", 38, NAVY), sheet.block(BlockKind.TITLE))


def _bullets(
    sheet: Sheet, x: float, y: float, width: float, texts: list[str], style: Style = _BODY, step: float = 20
) -> float:
    block = sheet.block(BlockKind.LIST)
    for text in texts:
        sheet.circle(x + 6, y - style.size * 0.34, 5, fill=SAND)
        before = "\n"
        for line in break_lines(parse(text, style), width - 26, align="left"):
            sheet.glyphs(
                [g._replace(x=g.x + x + 26) for g in line.glyphs], y, block, before if before == "\n" else line.before
            )
            before, y = "", y + style.size * 1.5
        y += step
    return y


def _cover(sheet: Sheet) -> None:
    sheet.rect(0, 0, _WIDTH, _HEIGHT, fill=NAVY)
    for number in range(14):
        sheet.line(560 + number * 40, 0, 360 + number * 40, _HEIGHT, rgb("#24487a"), 2)
    sheet.rect(_LEFT, 316, _LEFT + 90, 322, fill=SAND)
    title = sheet.block(BlockKind.TITLE)
    sheet.text(_LEFT, 210, "霁川 H3 边缘网关", Style("sans-bold", 64, WHITE), title)
    sheet.text(_LEFT, 280, "让现场自己说话", Style("sans", 36, rgb("#dfe7f1")), title)
    block = sheet.block(BlockKind.TEXT)
    sheet.text(_LEFT, 372, "产品负责人　温书白", Style("sans", 22, WHITE), block)
    sheet.text(_LEFT, 408, "2026年4月16日　临澜会展中心 B 厅", Style("sans", 22, WHITE), block)


def _problem(sheet: Sheet) -> None:
    _title(sheet, "现场数据的三个老问题")
    cards = [
        ("73%", "的测点数据从未被查看", "数据传得上来，却没有人看", CORAL),
        ("4.6 小时", "平均故障发现时间", "云端分析排队，告警总是迟到", SAND),
        ("18 种", "一个厂区里的通信协议", "接一台新设备，改一次程序", TEAL),
    ]
    for number, (value, name, note, color) in enumerate(cards):
        x = _LEFT + number * 284
        sheet.rect(x, 150, x + 260, 430, fill=MIST, radius=10)
        sheet.rect(x, 150, x + 260, 160, fill=color)
        block = sheet.block(BlockKind.TEXT)
        sheet.text(x + 130, 258, value, Style("sans-bold", 50, color), block, align=0.5)
        sheet.text(x + 130, 316, name, Style("sans-bold", 20, NAVY), block, align=0.5)
        sheet.text(x + 130, 366, note, Style("sans", 16, SLATE), block, align=0.5)
    source = sheet.block(BlockKind.TEXT)
    sheet.text(_LEFT, 474, "数据来源：霁川传感对 64 家客户的回访，2025年9月至11月", Style("sans", 15, SLATE), source)


def _device(sheet: Sheet) -> None:
    _title(sheet, "H3 是什么")
    _bullets(
        sheet,
        _LEFT,
        166,
        470,
        [
            "四核处理器，算力 6 TOPS，整机功耗 9 瓦",
            "支持 Modbus、OPC UA、MQTT 等 18 种协议，免编程接入",
            "断网可缓存 30 天数据，恢复后自动补传",
            "工作温度 −40℃ 至 75℃，防护等级 IP65",
            "内置加密芯片，固件签名启动",
        ],
    )
    block = sheet.block(BlockKind.FIGURE)
    sheet.rect(600, 160, 890, 400, fill=rgb("#2b3a4a"), radius=14)
    sheet.rect(616, 176, 874, 300, fill=rgb("#3b4d60"), radius=8)
    sheet.text(745, 252, "霁川 H3", Style("sans-bold", 40, WHITE), block, align=0.5)
    for number, name in enumerate(["电源", "运行", "网络", "告警"]):
        x = 650 + number * 63
        sheet.circle(x, 330, 8, fill=(TEAL, TEAL, SAND, CORAL)[number])
        sheet.text(x, 366, name, Style("sans", 15, WHITE), block, align=0.5)
    caption = sheet.block(BlockKind.CAPTION)
    sheet.text(745, 432, "外形尺寸 160 × 110 × 45 毫米，重 620 克", _LABEL, caption, align=0.5)


def _architecture(sheet: Sheet) -> None:
    _title(sheet, "系统架构：三层，一根线")
    block = sheet.block(BlockKind.FIGURE)
    layers = [
        ("现场层", ["压力传感器", "温度变送器", "振动传感器", "第三方仪表"], TEAL),
        ("边缘层", ["协议解析", "本地分析", "H3 网关", "断网缓存"], NAVY),
        ("平台层", ["川流平台", "告警中心", "报表", "开放接口"], SAND),
    ]
    for number in range(len(layers)):
        y = 402 - number * 114
        sheet.rect(_LEFT, y - 42, _WIDTH - _LEFT, y + 42, fill=MIST, radius=8)
    for number, (name, parts, color) in reversed(list(enumerate(layers))):
        y = 402 - number * 114
        sheet.rect(_LEFT, y - 42, _LEFT + 120, y + 42, fill=color, radius=8)
        sheet.text(_LEFT + 60, y + 8, name, Style("sans-bold", 22, WHITE), block, align=0.5)
        for k, part in enumerate(parts):
            x = _LEFT + 150 + k * 170
            sheet.rect(x, y - 26, x + 150, y + 26, fill=WHITE, stroke=color, width=1.4, radius=6)
            sheet.text(x + 75, y + 7, part, Style("sans", 19, NAVY), block, align=0.5, before=" ")
        if number:
            _arrow(sheet, 530, y + 70, y + 45, color)
    caption = sheet.block(BlockKind.CAPTION)
    sheet.text(_WIDTH / 2, 474, "图 1　现场数据先在边缘层处理，只有结果和异常片段上传", _LABEL, caption, align=0.5)


def _arrow(sheet: Sheet, x: float, y0: float, y1: float, color: Color) -> None:
    sheet.line(x, y0, x, y1 + 8, color, 3)
    sheet.path([(x - 7, y1 + 10), (x + 7, y1 + 10), (x, y1)], closed=True, fill=color)


def _speed(sheet: Sheet) -> None:
    _title(sheet, "告警快了多少")
    block = sheet.block(BlockKind.FIGURE)
    plot = charts.Plot(sheet, (_LEFT, 130, 600, 450), charts.Axis(0, 1000, 250, "毫秒"), _LABEL, block)
    charts.bars(plot, ["云端分析", "H2 网关", "H3 网关"], [charts.Series("告警延迟", [860, 240, 45], TEAL)])
    caption = sheet.block(BlockKind.CAPTION)
    sheet.text(332, 474, "图 2　从异常发生到发出告警的中位延迟", _LABEL, caption, align=0.5)
    _bullets(sheet, 640, 200, 270, ["告警延迟降到 45 毫秒", "上行流量减少 92%", "误报率由 7.5% 降到 1.2%"])


def _cases(sheet: Sheet) -> None:
    _title(sheet, "先行客户")
    rows = [
        ("客户", "场景", "规模", "效果"),
        ("青屿水务", "管网漏损监测", "1,240 个测点", "漏损率由 14% 降到 9%"),
        ("远岫化工", "反应釜温压监测", "36 台 H3", "非计划停车减少 5 次"),
        ("禾岸冷链", "仓储温湿度", "8 座冷库", "年省电费 210 万元"),
    ]
    block = sheet.block(BlockKind.TABLE)
    xs = [_LEFT, 240, 470, 660]
    for number, row in enumerate(rows):
        y = 160 + number * 72
        if number == 0:
            sheet.rect(_LEFT - 10, y - 40, _WIDTH - _LEFT, y + 20, fill=TEAL)
        elif number % 2 == 0:
            sheet.rect(_LEFT - 10, y - 46, _WIDTH - _LEFT, y + 26, fill=MIST)
        for k, cell in enumerate(row):
            style = Style("sans-bold", 22, WHITE) if number == 0 else _BODY
            sheet.text(xs[k], y, cell, style, block, before="\n" if k == 0 else " ")
        block.rows.append(list(row))
    quote = sheet.block(BlockKind.TEXT)
    sheet.text(
        _LEFT,
        462,
        "“装上 H3 的第三天，它就抓到了一台泵的轴承裂纹。”——远岫化工设备部 唐知夏",
        Style("sans", 19, SLATE),
        quote,
    )


def _price(sheet: Sheet) -> None:
    _title(sheet, "版本与价格")
    plans = [
        ("标准版", "3,680 元", ["8 路接入", "本地缓存 30 天", "质保 2 年"], TEAL),
        ("专业版", "5,980 元", ["32 路接入", "本地分析模型", "质保 3 年"], NAVY),
        ("防爆版", "8,900 元", ["32 路接入", "Ex ib IIC T4", "质保 3 年"], CORAL),
    ]
    for number, (name, price, points, color) in enumerate(plans):
        x = _LEFT + number * 284
        sheet.rect(x, 136, x + 260, 430, fill=WHITE, stroke=color, width=2, radius=10)
        sheet.rect(x, 136, x + 260, 196, fill=color, radius=10)
        block = sheet.block(BlockKind.TEXT)
        sheet.text(x + 130, 176, name, Style("sans-bold", 26, WHITE), block, align=0.5)
        sheet.text(x + 130, 256, price, Style("sans-bold", 36, color), block, align=0.5)
        for k, point in enumerate(points):
            sheet.text(x + 130, 312 + k * 38, point, Style("sans", 20, NAVY), block, align=0.5)
    note = sheet.block(BlockKind.TEXT)
    sheet.text(
        _LEFT,
        474,
        "以上为单台含税价；2026年6月30日前下单享九折，满 50 台另赠川流平台一年使用权。",
        Style("sans", 17, SLATE),
        note,
    )


def _close(sheet: Sheet) -> None:
    sheet.rect(0, 0, _WIDTH, _HEIGHT, fill=NAVY)
    title = sheet.block(BlockKind.TITLE)
    sheet.text(_LEFT, 150, "上市安排", Style("sans-bold", 44, WHITE), title)
    white = Style("sans", 24, WHITE)
    _bullets(
        sheet,
        _LEFT,
        226,
        800,
        [
            "4月16日起接受预订，5月20日首批发货",
            "首批供货 6,000 台，每家客户限购 300 台",
            "6月起在临澜、青屿、槟屿三地举办培训，每场 40 人",
            "预订与咨询：市场部 江予安，内线 6205",
        ],
        white,
        18,
    )
    end: DrawnBlock = sheet.block(BlockKind.TEXT)
    sheet.text(_WIDTH - _LEFT, 470, "谢谢", Style("sans-bold", 36, SAND), end, align=1)
