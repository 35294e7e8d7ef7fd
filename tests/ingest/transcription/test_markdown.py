"""What a model writes, as parts; whatever it writes."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.transcription.markdown import Part, characters, parse
from tuwen.types import BlockKind

MARKS = st.text("年假 五天\n#|-*_`~$\\()[]{}<>!1.:&;tablerd/\ue000 ", max_size=120)


def rows(part: Part) -> list[list[str]]:
    return [[segment.text for segment in row] for row in part.rows]


@given(MARKS)
def test_anything_is_parsed(markdown: str) -> None:
    for part in parse(markdown):
        for row in part.rows:
            for segment in row:
                assert segment.text == segment.text.strip(" ")
                for formula in segment.formulas:
                    assert 0 <= formula.start <= formula.end <= len(segment.text)


def test_kinds_and_texts() -> None:
    parts = parse(
        "# 第一章 **总则**\n\n本制度自2026年起施行。\n适用于全体员工。\n\n1. 年假五天\n2. 病假十天\n   - 须有证明\n\n"
        "| 项目 | 天数 |\n| --- | --- |\n| 年假 | 5 |\n| a\\|b |  |\n\n## 附则"
    )
    assert [(part.kind, part.level) for part in parts] == [
        (BlockKind.TITLE, 1),
        (BlockKind.TEXT, 0),
        (BlockKind.LIST, 0),
        (BlockKind.TABLE, 0),
        (BlockKind.TITLE, 2),
    ]
    assert rows(parts[0]) == [["第一章 总则"]]
    assert rows(parts[1]) == [["本制度自2026年起施行。"], ["适用于全体员工。"]]
    assert rows(parts[2]) == [["1. 年假五天"], ["2. 病假十天"], ["须有证明"]]
    assert rows(parts[3]) == [["项目", "天数"], ["年假", "5"], ["a|b", ""]]


def test_tables_in_html() -> None:
    (part,) = parse(
        "<table><tr><td colspan='2'>合计</td><td>1|2</td></tr>"
        "<tr><td>甲</td><td>乙<br>丙</td><td>&lt;3</td></tr></table>"
    )
    assert part.kind is BlockKind.TABLE
    assert rows(part) == [["合计", "", "1|2"], ["甲", "乙 丙", "<3"]]
    assert rows(parse("前文<table><tr><td>没有结束")[1]) == [["没有结束"]]


def test_formulas() -> None:
    text, display, other = parse(
        "其中 $x_1 \\leq \\alpha$ 为价格 $5 和 $6。\n\n$$\\frac{a}{b} = \\sqrt{2}$$\n\n\\[E=mc^2\\]"
    )
    ((segment,),) = text.rows
    assert segment.text == "其中 x1≤α 为价格 $5 和 $6。"
    assert [(segment.text[f.start : f.end], f.latex) for f in segment.formulas] == [("x1≤α", "x_1 \\leq \\alpha")]
    assert (display.kind, rows(display), display.rows[0][0].formulas[0].latex) == (
        BlockKind.FORMULA,
        [["ab=√2"]],
        "\\frac{a}{b} = \\sqrt{2}",
    )
    assert rows(other) == [["E=mc2"]]
    assert characters("\\mathrm{Var}(\\Delta t)\\,\\%") == "Var(Δt)%"


def test_printed_text_is_not_taken_for_marks() -> None:
    assert rows(parse("甲方\n---\n乙方")[0]) == [["甲方"]]
    assert rows(parse("见[附录一](第 5 页)")[0]) == [["见[附录一](第 5 页)"]]
    assert rows(parse("    缩进的正文")[0]) == [["缩进的正文"]]


def test_what_is_no_text_is_left_out() -> None:
    assert parse("![一张图](a.png)\n\n---\n") == []
    assert rows(parse("```markdown\n# 标题\n\n正文\n```")[0]) == [["标题"]]
    assert rows(parse("<div>正文</div>")[0]) == [["正文"]]
