"""计量设备台账: one wide table on a page stored with ``/Rotate 90``."""

from __future__ import annotations

from evals.samples.common import A4, NAVY, SHORT, SLATE, Sample
from evals.samples.flow import Flow, Frame, Table, TableStyle
from evals.samples.pdf import write_pdf
from evals.samples.sheet import Sheet, Style, rgb
from tuwen.types import BlockKind

FILE = "计量设备台账.pdf"
_LOOK = TableStyle(
    Style("sans", 8),
    Style("sans-bold", 8, NAVY),
    head_fill=rgb("#e8eef5"),
    stripe=rgb("#f7f9fb"),
    leading=1.55,
    padding=5,
    grid=True,
)
_ROWS = """\
1|JL-0012|活塞式压力计|0.1—60 MPa|0.01 级|恒岳仪器|2016-05|校准实验室|邵一鸣|12|2026-02-18|2027-02-17|合格
2|JL-0027|标准铂电阻温度计|−196—660℃|二等|霜序计量|2017-09|校准实验室|邵一鸣|24|2025-06-04|2027-06-03|合格
3|JL-0031|高低温试验箱|−70—150℃|±0.5℃|北麓环试|2018-03|可靠性室|贺云舟|12|2026-03-11|2027-03-10|合格
4|JL-0044|数字多用表|8 位半|0.0008%|衡测电子|2018-11|电测室|林砚秋|12|2026-01-22|2027-01-21|合格
5|JL-0058|振动校准台|5—10000 Hz|1.0%|恒岳仪器|2019-04|振动室|孟希言|12|2025-12-09|2026-12-08|合格
6|JL-0063|露点仪|−80—20℃|±0.2℃|霜序计量|2019-07|校准实验室|秦若谷|12|2026-04-02|2027-04-01|限用
7|JL-0071|电子天平|0—220 g|0.1 mg|衡测电子|2020-01|化学室|秦若谷|12|2026-01-15|2027-01-14|合格
8|JL-0085|气体稀释配气仪|1:1—1:500|1.5%|清浦流控|2020-08|气体室|谢疏桐|12|2026-02-26|2027-02-25|合格
9|JL-0092|频谱分析仪|9 kHz—26 GHz|±0.6 dB|衡测电子|2021-03|电磁兼容室|温书白|24|2025-03-20|2027-03-19|合格
10|JL-0106|盐雾试验箱|35—50℃|±1℃|北麓环试|2021-10|可靠性室|贺云舟|12|2025-10-30|2026-10-29|送检中
11|JL-0113|绝对压力控制器|1—700 kPa|0.005%|恒岳仪器|2022-02|校准实验室|乔亦安|12|2026-03-05|2027-03-04|合格
12|JL-0120|氢气泄漏标准漏孔|1E-8 Pa·m³/s|5%|清浦流控|2023-06|气体室|谢疏桐|12|2026-05-12|2027-05-11|合格
13|JL-0128|三坐标测量机|700×1000×600|1.8 μm|方朗精测|2023-11|几何量室|严以宁|12|2025-11-27|2026-11-26|合格
14|JL-0135|自动校准机器人|0—10 MPa|0.02%|自研|2025-05|二期工厂|邵一鸣|6|2026-05-20|2026-11-19|合格
15|JL-0141|路面摩擦系数试验台|0.1—1.2|2.0%|方朗精测|2025-08|车载试验室|严以宁|12|2026-06-09|2027-06-08|停用
"""
_HEAD = "序号|编号|设备名称|测量范围|准确度|制造商|购置年月|存放地点|责任人|周期（月）|检定日期|有效期至|状态"


def build() -> Sample:
    """Draw the register."""
    width, height = A4[1], A4[0]
    flow = Flow(lambda _: Sheet(width, height), lambda _: [Frame(36, 44, width - 36, height - 40)])
    flow.para(
        "霁川传感计量设备台账（2026年上半年）",
        Style("sans-bold", 17, NAVY),
        kind=BlockKind.TITLE,
        align="center",
        after=2,
    )
    flow.para(
        "编制：校准实验室　邵一鸣　　审核：质量部　柳闻溪　　更新日期：2026年6月30日",
        Style("sans", 9, SLATE),
        align="center",
        after=6,
    )
    flow.table(
        Table(
            [0.8, 1.4, 2.6, 2.5, 1.4, 1.6, 1.4, 1.9, 1.3, 1.2, 1.8, 1.8, 1.2],
            _HEAD.split("|"),
            [row.split("|") for row in _ROWS.splitlines()],
            "cclcccccccccc",
        ),
        _LOOK,
        after=8,
    )
    notes = [
        "露点仪 JL-0063 仅限 −60℃ 以上使用，限用原因是低温段示值超差 0.4℃。",
        "路面摩擦系数试验台 JL-0141 因液压站渗油停用，预计2026年9月恢复。",
        "有效期届满前 30 日由责任人提出送检申请；逾期设备一律贴红色停用标签。",
    ]
    flow.items(notes, Style("serif", 10), markers=["注1", "注2", "注3"], hang=2.6, leading=1.55)
    data = write_pdf(flow.sheets, f"{SHORT}计量设备台账", "质量部", rotate=90)
    return Sample(FILE, data, flow.sheets, ("born-digital", "rotated"))
