"""A table question is answered by cells, each quoted as printed with its own boxes; else by the whole row."""

from __future__ import annotations

import pytest

from retrieval.answerers.cells import candidates, pick_cells
from retrieval.answerers.question import analyze_question
from retrieval.answerers.selection import Said, claims
from retrieval.answerers.units import Unit, units_of
from retrieval.base import Draft
from retrieval.grounding import verify
from tests.retrieval.pages import evidence_of, page_of, words_in
from tuwen.types import BlockKind

TRAVEL = """职级 交通工具 一类城市住宿 二类城市住宿 其他城市住宿
部门负责人 高铁二等座 600元/晚 500元/晚 400元/晚
其他员工 高铁二等座 450元/晚 380元/晚 300元/晚"""
LEAVE = """假别 天数 提前申请 证明材料
婚假 13天 10个工作日 结婚证
病假 按医嘱 当日 诊断证明"""
DEVICES = """序号 编号 设备名称 责任人 有效期至 价格（万元）
1 JL-0012 活塞式压力计 邵一鸣 2027-02-17 3.6
2 JL-0135 自动校准机器人 严以宁 2026-11-19 42"""
REVENUE = """业务 2025年收入 2024年收入 同比增长 毛利率 毛利率比上年增减
车载传感 27,860 20,930 33.1% 40.9% 增加3.8个百分点"""


def row(table: str, label: str) -> Unit:
    found = units_of([evidence_of(page_of((BlockKind.TABLE, table)))])
    return next(unit for unit in found if label in unit.text)


@pytest.mark.parametrize(
    ("table", "label", "question", "answer"),
    [
        (TRAVEL, "其他员工", "普通员工住一类城市，每晚住宿标准是多少？", "其他员工 · 一类城市住宿：450元/晚"),
        (TRAVEL, "其他员工", "其他员工出差坐什么交通工具？", "其他员工 · 交通工具：高铁二等座"),
        (
            TRAVEL,
            "其他员工",
            "其他员工的住宿标准是多少？",
            "其他员工 · 一类城市住宿：450元/晚；二类城市住宿：380元/晚；其他城市住宿：300元/晚",
        ),
        (LEAVE, "婚假", "婚假有几天？", "婚假 · 天数：13天"),
        (LEAVE, "婚假", "婚假要提前多久申请？", "婚假 · 提前申请：10个工作日"),
        (DEVICES, "JL-0135", "JL-0135 的有效期到哪天？", "JL-0135 · 有效期至：2026-11-19"),
        (DEVICES, "JL-0135", "自動校準機器人由誰負責？", "自动校准机器人 · 责任人：严以宁"),
        (DEVICES, "JL-0135", "严以宁管哪台设备？", "严以宁 · 设备名称：自动校准机器人"),
        (DEVICES, "JL-0135", "自动校准机器人的价格是多少万元？", "自动校准机器人 · 价格（万元）：42"),
        (REVENUE, "车载传感", "车载传感业务的毛利率是多少？", "车载传感 · 毛利率：40.9%"),
        (
            REVENUE,
            "车载传感",
            "车载传感业务2025年的收入和同比增长各是多少？",
            "车载传感 · 2025年收入：27,860；同比增长：33.1%",
        ),
    ],
)
def test_the_cell_that_answers(table: str, label: str, question: str, answer: str) -> None:
    picked = pick_cells(analyze_question(question), row(table, label))
    assert picked is not None
    assert picked.text == answer


@pytest.mark.parametrize(
    ("table", "label", "question"),
    [
        (TRAVEL, "其他员工", "其他员工的差旅标准有哪些？"),
        (DEVICES, "JL-0135", "活塞式压力计怎么校准？"),
        (LEAVE, "病假", "病假有多少天？"),
        (REVENUE, "车载传感", "车载传感业务怎么样？"),
        ("城市 标准\n北京 500元\n成都 400元", "北京", "北京的标准是多少？"),
    ],
)
def test_the_row_answers_where_no_column_is_told(table: str, label: str, question: str) -> None:
    assert pick_cells(analyze_question(question), row(table, label)) is None


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("活塞式压力计的价格是多少？", True),
        ("活塞式压力计买来花了多少钱？", True),  # nothing is named, so nothing can be missing
        ("活塞式压力计的使用寿命是多少年？", False),
        ("活塞式压力计的重量是多少公斤？", False),
        ("活塞式压力计怎么维修？", True),  # anything in the row may say it
    ],
)
def test_rows_of_a_table_without_a_column_for_what_is_asked_do_not_answer(question: str, kept: bool) -> None:
    evidence = [evidence_of(page_of("设备每年检定一次。", (BlockKind.TABLE, DEVICES)))]
    texts = [unit.text for unit in candidates(question, evidence)]
    assert "设备每年检定一次。" in texts
    assert any("活塞式压力计" in text for text in texts) is kept


def test_sentences_have_no_cells() -> None:
    (unit,) = units_of([evidence_of(page_of("年假有十天。"))])
    assert pick_cells(analyze_question("年假有几天？"), unit) is None


def test_the_first_row_of_a_table_that_is_continued_names_no_columns() -> None:
    table = "12 轴温监测 贺云舟 980\n13 水质分析仪 秦若谷 1,120"
    unit = row(table, "轴温监测")
    assert unit.reading == "12；轴温监测；贺云舟；980"
    picked = pick_cells(analyze_question("水质分析仪由谁负责？"), row(table, "水质分析仪"))
    assert picked is None or picked.text == "水质分析仪 · 秦若谷"


def test_every_cell_is_cited_with_its_own_boxes() -> None:
    twice = TRAVEL + "\n实习生 高铁二等座 450元/晚 380元/晚 300元/晚"
    evidence = [evidence_of(page_of("出差住宿标准如下。", (BlockKind.TABLE, twice)))]
    unit = next(unit for unit in units_of(evidence) if unit.text.startswith("实习生"))
    picked = pick_cells(analyze_question("实习生住二类城市每晚多少元？"), unit)
    assert picked is not None
    made = claims([Said(unit, picked.text, tuple(picked.quoted))], evidence)
    grounded = verify(Draft(made, 1.0), evidence)
    assert grounded.text == "实习生 · 二类城市住宿：380元/晚[1][2][3]"
    assert [citation.quote for citation in grounded.citations] == ["380元/晚", "实习生", "二类城市住宿"]
    record = evidence[0].record
    assert [words_in(record, citation.boxes) for citation in grounded.citations] == [
        "380元/晚",
        "实习生",
        "二类城市住宿",
    ]
    last_line = max(word.box.y0 for word in record.words)
    assert [citation.boxes[0].y0 == last_line for citation in grounded.citations] == [True, True, False]
