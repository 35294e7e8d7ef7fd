"""Chinese lexical analysis: which spellings meet, and what a question counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.lexical import analyze, normalize, query_weights, term_id, words
from retrieval.numerals import parse_numeral


def common(a: str, b: str) -> set[str]:
    return set(analyze(a)) & set(analyze(b))


@pytest.mark.parametrize(
    ("query", "passage", "term"),
    [
        ("10000", "共10,000人", "10000"),
        ("1万人", "共10,000人", "10000"),
        ("1.5亿元", "150000000元", "150000000"),
        ("3万亿", "3000000000000", "3000000000000"),
        ("二十三", "第23条", "23"),
        ("三万五千", "35,000元", "35000"),
        ("百分之五十", "占50%", "50%"),
        ("2024年3月5日", "二〇二四年三月五日", "2024-03-05"),
        ("2024-03-05", "2024 年 3 月 5 日", "2024-03-05"),
        ("2024/3/5", "2024.3.5发布", "2024-03-05"),
        ("3月5日", "2024年3月5日", "03-05"),
        ("2024年3月", "2024年3月5日", "2024-03"),
        ("GB/T7714-2015", "依据GB/T 7714-2015著录", "gb/t7714-2015"),
        ("7714", "GB/T 7714-2015", "7714"),
        ("V2.0", "v2.0版", "v2.0"),
        ("max_tokens", "参数max_tokens的值", "max_tokens"),
        ("tokens", "参数max_tokens的值", "tokens"),
        ("04401234", "编号:04401234", "04401234"),
        ("ＡＢＣ１２３", "abc123", "abc123"),
        ("專屬經濟區", "专属经济区", "专属经济区"),
        ("中华人民\n共和国", "中华人民共和国", "中华人民共和国"),
        ("C++", "用C++写", "c++"),
        ("Москва", "г. Москва", "москва"),
    ],
)
def test_spellings_meet(query, passage, term):
    assert term in common(query, passage)
    assert term in query_weights(query)


def test_terms_are_characters_bigrams_and_longer_words():
    assert sorted(analyze("播映权买下")) == sorted(["播", "映", "权", "买", "播映", "映权", "权买", "买下", "播映权"])


def test_terms_repeat_as_often_as_they_occur():
    assert analyze("年假,年假,年假").count("年假") == 3


def test_question_words_do_not_count():
    weights = query_weights("香港的播映权被谁买下？")
    assert {"香港", "播映权", "买下"} <= set(weights)
    assert not {"谁", "谁买", "被谁", "的", "被"} & set(weights)
    assert weights["香港"] > weights["港的"] > 0


@pytest.mark.parametrize("question", ["什么是什么？", "谁", "怎么样"])
def test_a_question_of_stop_words_alone_still_finds_something(question):
    assert analyze(question)
    assert query_weights(question)


@pytest.mark.parametrize("text", ["", " \n\t", "。，！？", "……"])
def test_no_words_no_terms(text):
    assert analyze(text) == []
    assert query_weights(text) == {}


@given(st.text(max_size=80))
@settings(deadline=None, max_examples=200)
def test_any_text_is_analysed_and_stays_the_same_when_normalised_again(text):
    terms = analyze(text)
    assert all(terms)
    assert all(0 < weight <= 1 for weight in query_weights(text).values())
    assert all(0 <= term_id(term) < 2**32 for term in terms)
    assert analyze(text) == terms


@given(st.text("香港的播映权被谁买下年假ABC12 ,.", max_size=40))
@settings(deadline=None)
def test_every_query_term_can_be_found_in_the_same_text(text):
    assert set(query_weights(text)) <= set(analyze(text))


def test_lone_surrogates_do_no_harm():
    assert analyze("年\ud800假") == analyze("年�假")


def test_words_leave_nothing_out():
    text = normalize("香港無線電視已於2006年買下在香港的播映權。")
    assert "".join(words(text)) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("十", 10), ("十二", 12), ("二十", 20), ("一百零三", 103), ("两千", 2000), ("三亿二千万", 320_000_000),
     ("二〇二四", 2024), ("一万零五", 10_005), ("甲乙", None)],
)  # fmt: skip
def test_numerals(text, value):
    assert parse_numeral(text) == value


def test_ids_are_the_same_in_every_process():
    code = "from retrieval.lexical import term_id; print(term_id('年假'))"
    seeds = ("0", "1")
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in seeds
    }  # fmt: skip
    assert outputs == {f"{term_id('年假')}\n"}


def test_it_is_silent_and_writes_no_file(tmp_path):
    code = "from retrieval.lexical import analyze; analyze('播映权')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_hundreds_of_passages_a_second():
    passage = "国际海洋法中为解决国家之间的因海域争端而提出的一个区域概念,于2024年3月5日发布。" * 8
    analyze(passage)
    began = time.process_time()
    for _ in range(100):
        analyze(passage)
    assert (time.process_time() - began) / 100 < 0.01
