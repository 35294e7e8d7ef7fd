"""停电通知: a phone picture of a notice pinned to a board."""

from __future__ import annotations

import numpy as np

from evals.samples import degrade
from evals.samples.common import A4, Sample
from evals.samples.flow import Flow, Frame, Table, TableStyle
from evals.samples.sheet import Sheet, Style, rgb
from tuwen.types import BlockKind

FILE = "停电检修通知.jpg"
_RED = rgb("#c0272d")
_BODY = Style("serif", 14.5)
_TABLE = TableStyle(
    Style("sans", 12.5),
    Style("sans-bold", 12.5),
    head_fill=rgb("#f0f0f0"),
    rule=(0.25, 0.25, 0.25),
    grid=True,
    leading=1.5,
    padding=6,
)
_SIZE = (1500, 2000)
_CORNERS = ((172, 150), (1352, 214), (1278, 1868), (118, 1786))


def build() -> Sample:
    """Draw the notice and photograph it."""
    flow = Flow(lambda _: Sheet(*A4), lambda _: [Frame(62, 62, A4[0] - 62, A4[1] - 50)])
    sheet = flow.sheet
    flow.para("霁川传感后勤保障部", Style("serif-bold", 25, _RED, 4), kind=BlockKind.TITLE, align="center", leading=1.5)
    sheet.rect(62, flow.y + 2, A4[0] - 62, flow.y + 4.5, fill=_RED)
    flow.y += 16
    flow.para("关于园区电力检修停电的通知", Style("sans-bold", 22), kind=BlockKind.TITLE, align="center", leading=1.6)
    flow.para("后勤〔2026〕31 号", Style("serif", 12), align="center", after=8)
    flow.para("各部门、全体员工：", _BODY, align="left", leading=1.8)
    flow.para(
        "因园区变电站年度检修，定于2026年8月15日（星期六）分区域停电。现将有关事项通知如下：",
        _BODY,
        indent=2,
        leading=1.8,
        after=6,
    )
    rows = [
        ["一号楼、食堂", "6:00—12:00", "电梯停运"],
        ["三号楼、实验室", "8:00—18:00", "恒温设备由发电车供电"],
        ["员工宿舍", "13:00—16:30", "热水同时停供"],
        ["二期工厂", "不停电", "由第二回路供电"],
    ]
    flow.table(Table([2.2, 2, 2.8], ["区域", "停电时间", "说明"], rows, "lcl"), _TABLE, after=8)
    items = [
        "8月14日下班前，请关闭电脑和仪器电源，取走冰箱内的试剂和食品。",
        "服务器机房由不间断电源供电，最长可支撑 4 小时，信息安全部须有专人值守。",
        "当日确需加班的，请于8月12日17:00前报后勤保障部登记。",
        "如遇大雨，检修顺延至8月22日，时间不变。",
    ]
    flow.items(items, _BODY, markers=["1.", "2.", "3.", "4."], hang=1.5, leading=1.75, after=6)
    flow.para("联系人：葛青川　　内线：6150", Style("sans-bold", 14), align="left", leading=1.8, after=8)
    flow.para("霁川传感后勤保障部", _BODY, align="right", leading=1.7)
    flow.para("2026年8月10日", _BODY, align="right", leading=1.7)
    picture, place = degrade.photo(degrade.render(sheet, 150), np.random.default_rng(20260810), _SIZE, _CORNERS)
    return Sample(FILE, degrade.phone_jpeg(picture, 80), [sheet], ("photo",), [place])
