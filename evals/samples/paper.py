"""A two-column paper with figures, formulas, tables and references; all invented."""

from __future__ import annotations

import math

from evals.samples import charts, formula
from evals.samples import paper_text as words
from evals.samples.common import A4, CORAL, MIST, NAVY, SAND, SLATE, TEAL, WHITE, Sample, folio, running_head
from evals.samples.flow import Flow, Frame, TableStyle
from evals.samples.pdf import write_pdf
from evals.samples.sheet import DrawnBlock, Sheet, Style, rgb
from tuwen.types import BlockKind

FILE = "自适应采样论文.pdf"
_MARGIN, _GUTTER = 50.0, 22.0
_BODY = Style("serif", 10)
_H1 = Style("sans-bold", 11.5)
_H2 = Style("sans-bold", 9.8)
_CAPTION = Style("sans", 8.2, SLATE)
_LABEL = Style("sans", 7.2, rgb("#3a4653"))
_TABLE = TableStyle(
    Style("sans", 7.8), Style("sans-bold", 7.8), head_fill=WHITE, rule=rgb("#444c55"), padding=3, leading=1.4
)
_FIRST_TOP = 276.0


def build() -> Sample:
    """Draw the paper."""
    flow = Flow(_new_sheet, _frames)
    _front(flow.sheet)
    _introduction(flow)
    _model(flow)
    _experiment(flow)
    _end(flow)
    for number, sheet in enumerate(flow.sheets, 112):
        folio(sheet, str(number))
    return Sample(FILE, write_pdf(flow.sheets, words.TITLE, words.AUTHORS), flow.sheets, ("born-digital", "two-column"))


def _frames(number: int) -> list[Frame]:
    top = _FIRST_TOP if number == 1 else 66
    middle, bottom = A4[0] / 2, A4[1] - 56
    return [
        Frame(_MARGIN, top, middle - _GUTTER / 2, bottom),
        Frame(middle + _GUTTER / 2, top, A4[0] - _MARGIN, bottom),
    ]


def _new_sheet(number: int) -> Sheet:
    sheet = Sheet(*A4)
    left = "林砚秋 等：面向低功耗传感节点的自适应采样与事件重构方法" if number > 1 else "第 8 卷　第 2 期　2026年4月"
    running_head(sheet, left, "传感与边缘学报（示例刊）", _MARGIN, 38)
    return sheet


def _front(sheet: Sheet) -> None:
    flow = Flow(lambda _: sheet, lambda _: [Frame(_MARGIN, 66, A4[0] - _MARGIN, _FIRST_TOP)])
    flow.para(words.TITLE, Style("sans-bold", 19), kind=BlockKind.TITLE, align="center", leading=1.4, after=4)
    flow.para(words.AUTHORS, Style("serif", 11.5), align="center", leading=1.6)
    flow.para(
        "（霁川传感科技股份有限公司 感知算法实验室，临澜）",
        Style("serif", 9, SLATE),
        align="center",
        leading=1.5,
        after=6,
    )
    flow.para(words.ABSTRACT, Style("serif", 9), leading=1.6, after=3)
    flow.para(words.KEYWORDS, Style("serif", 9), leading=1.6, after=6)
    flow.para(words.TITLE_EN, Style("serif-bold", 10.5), kind=BlockKind.TITLE, align="center", leading=1.4)
    flow.para("LIN Yanqiu, MENG Xiyan, WEN Shubai", Style("serif", 9), align="center", leading=1.5)
    sheet.line(_MARGIN, _FIRST_TOP - 8, A4[0] - _MARGIN, _FIRST_TOP - 8, SLATE, 0.5)


def _h1(flow: Flow, text: str) -> None:
    flow.para(text, _H1, kind=BlockKind.TITLE, align="left", leading=1.6, before=7, after=2, keep=30)


def _h2(flow: Flow, text: str) -> None:
    flow.para(text, _H2, kind=BlockKind.TITLE, align="left", leading=1.6, before=3, after=1, keep=28)


def _text(flow: Flow, *texts: str) -> None:
    for text in texts:
        flow.para(text, _BODY, indent=2, leading=1.66, after=2)


def _caption(flow: Flow, text: str, keep: float = 0.0, after: float = 7) -> None:
    flow.para(text, _CAPTION, kind=BlockKind.CAPTION, align="center", leading=1.5, before=3, after=after, keep=keep)


def _introduction(flow: Flow) -> None:
    _h1(flow, "0　引言")
    _text(flow, *words.INTRODUCTION)
    _h1(flow, "1　相关工作")
    _text(flow, *words.RELATED)


def _model(flow: Flow) -> None:
    _h1(flow, "2　系统模型")
    _text(flow, words.MODEL[0])
    flow.figure(150, _architecture, keep=40)
    _caption(flow, "图 1　节点与网关的协同结构")
    _text(flow, words.MODEL[1])
    formula.display(flow, ["E =", formula.Big("∑", "k=1", "K"), "(P_{s} f_k + P_{r}) T_k + n_{e} E_{tx}"], 1, _BODY)
    _text(flow, words.MODEL[2])
    _h1(flow, "3　自适应采样与事件重构")
    _h2(flow, "3.1　活跃度估计")
    _text(flow, words.METHOD[0])
    formula.display(flow, ["a_t = α a_{t−1} + (1 − α)", formula.Frac("|x_t − μ_t|", "σ_t + ε")], 2, _BODY)
    _text(flow, words.METHOD[1])
    _h2(flow, "3.2　采样率切换")
    _text(flow, words.METHOD[2])
    _h2(flow, "3.3　事件重构")
    _text(flow, words.METHOD[3])
    formula.display(
        flow, ["L =", formula.Frac("1", "N"), formula.Big("∑", "i=1", "N"), "(x_i − y_i)^2 + λ ‖D y‖_1"], 3, _BODY
    )
    _text(flow, words.METHOD[4])


def _architecture(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    width = x1 - x0
    left, right = (x0, x0 + width * 0.56), (x0 + width * 0.68, x1)
    for (a, b), name, color in ((left, "传感节点", TEAL), (right, "边缘网关", NAVY)):
        sheet.rect(a, y0 + 4, b, y1 - 4, fill=MIST, stroke=color, width=0.8, radius=5)
        sheet.text((a + b) / 2, y0 + 18, name, Style("sans-bold", 8.5, color), block, align=0.5)
        names = ["活跃度估计", "速率切换", "环形缓存"] if a == x0 else ["事件重构", "误差反馈", "阈值下发"]
        for number, part in enumerate(names):
            y = y0 + 32 + number * 36
            sheet.rect(a + 10, y, b - 10, y + 24, fill=WHITE, stroke=color, width=0.8, radius=3)
            sheet.text((a + b) / 2, y + 15, part, Style("sans", 8), block, align=0.5)
            if number:
                sheet.line((a + b) / 2, y - 12, (a + b) / 2, y - 1, color, 1)
                sheet.path(
                    [((a + b) / 2 - 3, y - 5), ((a + b) / 2 + 3, y - 5), ((a + b) / 2, y)], closed=True, fill=color
                )
    for y, back in ((y0 + 44, False), (y0 + 116, True)):
        a, b = (right[0], left[1]) if back else (left[1], right[0])
        sheet.line(a, y, b, y, CORAL, 1.2)
        tip = 5 if b > a else -5
        sheet.path([(b - tip, y - 3), (b - tip, y + 3), (b, y)], closed=True, fill=CORAL)


def _experiment(flow: Flow) -> None:
    _h1(flow, "4　实验")
    _h2(flow, "4.1　数据与设置")
    _text(flow, *words.EXPERIMENT)
    _h2(flow, "4.2　结果")
    _text(flow, words.RESULT_TEXT[0])
    _caption(flow, "表 1　不同方法的比较", keep=60, after=2)
    flow.table(words.RESULTS, _TABLE, after=7)
    flow.figure(150, _sweep, keep=30)
    _caption(flow, "图 2　阈值 θ 对召回率和平均电流的影响")
    _text(flow, words.RESULT_TEXT[1])
    flow.figure(130, _signal, keep=30)
    _caption(flow, "图 3　一次轴承冲击事件的原始信号与重构信号")
    _text(flow, words.RESULT_TEXT[2])
    flow.figure(140, _lifetime, keep=30)
    _caption(flow, "图 4　不同方法的电池寿命（单位：年）")
    _h2(flow, "4.3　消融实验")
    _text(flow, words.RESULT_TEXT[3])
    _caption(flow, "表 2　消融实验结果", keep=60, after=2)
    flow.table(words.ABLATION, _TABLE, after=7)
    _h2(flow, "4.4　现场部署")
    _text(flow, words.DEPLOYMENT[0])
    _caption(flow, "表 3　现场部署结果（2025年9月至12月）", keep=60, after=2)
    flow.table(words.PLANTS, _TABLE, after=7)
    flow.figure(130, _months, keep=30)
    _caption(flow, "图 5　部署期间各月的事件召回率")
    _text(flow, *words.DEPLOYMENT[1:])


def _sweep(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(60, 180, 30, "召回率 %／电流 μA"), _LABEL, block)
    series = [
        charts.Series("召回率", [99.0, 98.8, 98.3, 96.1, 92.4], TEAL),
        charts.Series("平均电流", [168, 127, 96, 82, 71], CORAL),
    ]
    charts.lines(plot, ["1.6", "2.0", "2.4", "2.8", "3.2"], series, "{:g}", last_below=True)


def _signal(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(-2, 2, 1, "加速度／g"), _LABEL, block)
    raw, rebuilt = charts.Series("原始", [], SLATE), charts.Series("重构", [], CORAL)
    plot.frame([raw, rebuilt])
    points = [
        (n / 240, math.exp(-(max(0.0, n - 70) / 46)) * math.sin((n - 70) * 0.42) * 1.7 if n >= 70 else 0.0)
        for n in range(241)
    ]
    width = plot.x1 - plot.x0
    sheet.path([(plot.x0 + t * width, plot.y(v + 0.06 * math.sin(37 * t))) for t, v in points], stroke=SLATE, width=0.7)
    sheet.path(
        [(plot.x0 + t * width, plot.y(v * 0.97)) for t, v in points[::2]], stroke=CORAL, width=0.9, dash=(3, 1.5)
    )
    plot.categories(["0 ms", "50 ms", "100 ms", "150 ms"])


def _lifetime(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(0, 8, 2, "年"), _LABEL, block)
    charts.bars(
        plot,
        ["固定采样", "变化触发", "压缩感知", "强化学习", "本文方法"],
        [charts.Series("寿命", [1.9, 4.7, 3.7, 5.6, 7.4], SAND)],
        "{:.1f}",
    )


def _months(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, block: DrawnBlock) -> None:
    plot = charts.Plot(sheet, (x0, y0, x1, y1), charts.Axis(94, 100, 2, "召回率 %"), _LABEL, block)
    charts.lines(plot, ["9月", "10月", "11月", "12月"], [charts.Series("三厂区平均", [97.2, 98.1, 98.4, 98.6], TEAL)])


def _end(flow: Flow) -> None:
    _h1(flow, "5　讨论")
    _text(flow, *words.DISCUSSION)
    _h1(flow, "6　结论")
    _text(flow, words.CONCLUSION)
    _h1(flow, "参考文献")
    flow.items(
        words.REFERENCES,
        Style("serif", 8.2),
        markers=[f"[{n}]" for n in range(1, len(words.REFERENCES) + 1)],
        hang=2.2,
        leading=1.5,
    )
