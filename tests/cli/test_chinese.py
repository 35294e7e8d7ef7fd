"""What the code says in English has a Chinese form, and none that nothing says any more.

A failure lists the lines to paste into ``tuwen/cli/zh.py``.
"""

import ast
import errno
import json
import os
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperGroup

from retrieval.index.owner import index_owner
from tests.cli.sentences import Sentence, sentences, skeleton
from tuwen.cli import messages, zh
from tuwen.cli.app import app
from tuwen.cli.chinese import NESTED, PAIRS, chinese, parsed
from tuwen.cli.usage import tree
from tuwen.jobs import Stage
from tuwen.types import DocumentStatus, HitKind, RefusalReason, VerdictCode

FILE = "tuwen/cli/zh.py"


def fields(template: str) -> list[str]:
    return [field for _, field in parsed(template) if field is not None]


def to_paste(templates: Iterator[Sentence]) -> str:
    return "".join(
        f'\n    {json.dumps(text, ensure_ascii=False)}: "",  # {place}' for text, place in dict(templates).items()
    )


def test_every_sentence_has_a_chinese_form() -> None:
    known = {skeleton(english) for english in zh.SENTENCES}
    missing = to_paste(one for one in sentences() if skeleton(one.template) not in known)
    if missing:
        pytest.fail(f"add these to SENTENCES in {FILE}, with their Chinese:{missing}", pytrace=False)


def test_every_help_text_has_a_chinese_form() -> None:
    missing = to_paste(Sentence(text, place) for text, place in help_texts().items() if text not in zh.HELP)
    if missing:
        pytest.fail(f"add these to HELP in {FILE}, with their Chinese:{missing}", pytrace=False)


def test_no_pair_is_left_over() -> None:
    said = {skeleton(one.template) for one in sentences()}
    unsaid = [english for english in zh.SENTENCES if skeleton(english) not in said]
    unsaid += [english for english in zh.HELP if english not in help_texts()]
    if unsaid:
        listed = "".join(f"\n    {english!r}" for english in unsaid)
        pytest.fail(f"nothing says these any more; remove them from {FILE}:{listed}", pytrace=False)


def help_texts() -> dict[str, str]:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    texts = {command.help or "": command.name or ""}
    for one in tree(command):
        for text in (one.help, *(getattr(parameter, "help", None) for parameter in one.params)):
            if text is not None:
                texts[text] = f"tuwen {one.name}"
    return texts


def test_words_that_fill_a_field_are_translated_with_it() -> None:
    """Where a field may hold words of ours, its name in the pair says so; else they would stay English."""
    pairs = {skeleton(english): english for english in zh.SENTENCES}
    for template, place in sentences():
        english = pairs.get(skeleton(template), template)
        for guessed, name in zip(fields(template), fields(english), strict=True):
            assert guessed != NESTED or name.startswith(NESTED), f"{place}: name {{{name}}} {{{NESTED}}} in {FILE}"


def test_each_english_sentence_stands_once() -> None:
    """A dict keeps the last of two equal keys without a word."""
    for node in ast.walk(ast.parse(Path(zh.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Dict):
            keys = Counter(ast.literal_eval(key) for key in node.keys if key is not None)
            assert not [key for key, count in keys.items() if count > 1]
    assert len(PAIRS) == len(zh.SENTENCES) + len(zh.HELP) + len(zh.FOREIGN)


@pytest.mark.parametrize("english", PAIRS)
def test_a_pair_carries_the_same_fields(english: str) -> None:
    left_out = Counter(fields(english)) - Counter(set(fields(PAIRS[english])))
    assert not set(fields(PAIRS[english])) - set(fields(english))
    assert not left_out or english in zh.FOREIGN
    assert any(char.isalpha() for char in skeleton(english)), "nothing but fields: it would match any sentence"
    assert PAIRS[english].strip(), "no Chinese yet"


VALUES = st.text(string.ascii_letters + string.digits + "年假/-_", min_size=1, max_size=12)


@pytest.mark.parametrize("english", [english for english in PAIRS if "{" in english])
@given(data=st.data())
def test_a_sentence_with_fields_comes_out_in_chinese(english: str, data: st.DataObject) -> None:
    values = {field: data.draw(VALUES) for field in fields(english)}
    said = {field: chinese(value) if field.startswith(NESTED) else value for field, value in values.items()}
    assert chinese(english.format(**values)) == PAIRS[english].format(**said)


@given(st.text())
def test_what_nobody_translated_is_shown_as_it_is(text: str) -> None:
    assert chinese(f"«{text}»") == f"«{text}»"


def test_fields_that_are_no_words_of_ours_stay_as_they_are() -> None:
    """A document may be called like one of our sentences."""
    assert chinese("There is no collection Permission denied") == "没有名为“Permission denied”的文档集。"


def test_words_inside_a_sentence_are_translated() -> None:
    assert chinese("Stage read of page 3 did not finish within 120 s.") == "第 3 页的识别阶段在 120 秒内没有完成。"
    denied = f"TUWEN_HOME /root/x cannot be made: {os.strerror(errno.EACCES)}."
    assert chinese(denied) == "无法创建数据目录 /root/x（TUWEN_HOME）：没有权限。"


def test_several_lines_are_several_sentences() -> None:
    assert chinese("The question is empty.\n?\nrequired") == "问题是空的，请输入问题。\n?\n必填"


def test_the_owner_of_the_index_is_named_in_chinese(tmp_path: Path) -> None:
    from retrieval.index.owner import OwnerLock

    lock = OwnerLock(tmp_path)
    owner = index_owner(tmp_path)
    lock.release()
    assert owner is not None
    assert chinese(owner).startswith(f"进程 {os.getpid()}（")


@pytest.mark.parametrize(
    "key",
    [
        *(f"status_{status}" for status in DocumentStatus),
        *(f"stage_{stage}" for stage in Stage),
        *(f"kind_{kind}" for kind in HitKind),
        *(f"verdict_{code}" for code in VerdictCode),
        *(f"refused_{reason}" for reason in RefusalReason),
    ],
)
def test_every_code_has_words(key: str) -> None:
    assert messages.say(key)


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_words_inside_a_sentence(stage: Stage) -> None:
    assert chinese(stage) != stage
