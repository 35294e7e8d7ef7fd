"""Metrics against values worked out by hand, and against independent implementations."""

import math

import jiwer
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from evals import metrics

TEXT = st.text("年假有十天，12a b", min_size=1, max_size=30)
RANKED = st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True)
RELEVANT = st.sets(st.integers(0, 30), min_size=1, max_size=8)


def test_fold_makes_width_and_space_irrelevant() -> None:
    assert metrics.fold("Ａ１ 年\n假　十天") == "A1年假十天"


@pytest.mark.parametrize(
    ("reference", "reading", "accuracy", "f1"),
    [
        ("年假十天", "年假十天", 1.0, 1.0),
        ("年假十天", "年假 十 天", 1.0, 1.0),
        ("年假十天", "年假七天", 0.75, 0.75),
        ("年假十天", "天十假年", 0.0, 1.0),  # order matters to the first only
        ("年假十天", "", 0.0, 0.0),
        ("年假", "年假年假年假", 0.0, 0.5),  # never below 0; F1 = 2·2 ÷ (2 + 6)
        ("", "", 1.0, 1.0),
        ("", "年", 0.0, 0.0),
    ],
)
def test_characters_by_hand(reference: str, reading: str, accuracy: float, f1: float) -> None:
    assert metrics.character_accuracy(reference, reading) == pytest.approx(accuracy)
    assert metrics.character_f1(reference, reading) == pytest.approx(f1)


@given(TEXT.filter(metrics.fold), TEXT)
def test_character_accuracy_is_one_minus_the_cer_of_jiwer(reference: str, reading: str) -> None:
    cer = jiwer.cer(metrics.fold(reference), metrics.fold(reading))
    assert metrics.character_accuracy(reference, reading) == pytest.approx(max(0.0, 1 - cer))


def test_ranking_by_hand() -> None:
    ranked, relevant = ["c", "a", "x", "b"], {"a", "b"}
    assert metrics.recall_at(1, ranked, relevant) == 0
    assert metrics.recall_at(2, ranked, relevant) == 0.5
    assert metrics.hit_at(2, ranked, relevant) == 1
    assert metrics.reciprocal_rank(ranked, relevant) == 0.5
    # gains 1/log2(3) + 1/log2(5) over ideal 1/log2(2) + 1/log2(3)
    assert metrics.ndcg(ranked, relevant) == pytest.approx((0.63093 + 0.43068) / 1.63093, abs=1e-4)
    assert metrics.reciprocal_rank(["x"] * 10 + ["a"], relevant) == 0


@given(RANKED, RELEVANT)
def test_ranking_agrees_with_trec_eval(ranked: list[int], relevant: set[int]) -> None:
    judged = {"q": {str(item): 1 for item in relevant}}
    run = {"q": {str(item): float(len(ranked) - place) for place, item in enumerate(ranked)}}
    measures = {"recall_1,5,10", "success_5", "ndcg_cut_10", "recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(run)["q"]
    for k in (1, 5, 10):
        assert metrics.recall_at(k, ranked, relevant) == pytest.approx(theirs[f"recall_{k}"])
    assert metrics.hit_at(5, ranked, relevant) == theirs["success_5"]
    assert metrics.ndcg(ranked, relevant) == pytest.approx(theirs["ndcg_cut_10"])
    assert metrics.reciprocal_rank(ranked, relevant, k=len(ranked)) == pytest.approx(theirs["recip_rank"])


def test_cmrc_cuts_ideographs_singly_and_other_script_by_words() -> None:
    assert metrics.cmrc_tokens("2007年6月，《格斗天王》 Ｐart II。") == [
        "2007", "年", "6", "月", "格", "斗", "天", "王", "ｐart", "ii",
    ]  # fmt: skip


def test_cmrc_f1_is_over_the_longest_common_substring() -> None:
    # Substring 年六月 (3 of 5 and 3 of 4): a bag of characters would find 4 common ones.
    assert metrics.cmrc_f1(["二零年六月"], "零七年六月") == pytest.approx(2 * 3 / 10)
    assert metrics.cmrc_f1(["孙协志", "由孙协志主演"], "由孙协志主演。") == 1
    assert metrics.cmrc_f1(["孙协志"], "") == 0


def test_cmrc_em_ignores_the_listed_punctuation_only() -> None:
    assert metrics.cmrc_em(["“第一批” 5月20日"], "第一批 5月20日。") == 1
    assert metrics.cmrc_em(["5月20日"], "5月20日,") == 0  # the ASCII comma is not on the list


def test_containment_can_fold_to_simplified() -> None:
    assert metrics.containment(["經濟海域"], "答案是经济海域。") == 0
    assert metrics.containment(["經濟海域"], "答案是经济海域。", simplified=True) == 1
    assert metrics.containment(["３ 天", "五天"], "共3天") == 1
    assert metrics.containment([""], "什么都有") == 0


def test_citations_count_places_and_ask_for_one_relevant() -> None:
    assert metrics.citations(["p1", "p2", "p1"], {"p1"}) == (pytest.approx(2 / 3), 1)
    assert metrics.citations(["p3"], {"p1", "p2"}) == (0, 0)
    assert metrics.citations([], {"p1"}) == (0, 0)


def test_refusals_are_counted_apart() -> None:
    score = metrics.refusals([True, True, True, True, False, False], [True, False, False, False, True, False])
    assert score.accuracy == 0.5
    assert score.false_refusals == 0.25
    assert math.isnan(metrics.refusals([True], [False]).accuracy)


def test_bootstrap_interval_brackets_the_mean_and_repeats() -> None:
    values = [1.0] * 80 + [0.0] * 20
    interval = metrics.bootstrap(values)
    assert interval == metrics.bootstrap(values)
    assert interval.mean == pytest.approx(0.8)
    # normal approximation: 0.8 ± 1.96 · sqrt(0.16/100) = 0.72 … 0.88
    assert interval.low == pytest.approx(0.72, abs=0.02)
    assert interval.high == pytest.approx(0.88, abs=0.02)
    assert math.isnan(metrics.bootstrap([]).mean)


def test_percentiles() -> None:
    assert metrics.percentile([10, 20, 30, 40, 50], 50) == 30
    assert metrics.percentile([10, 20, 30, 40, 50], 95) == pytest.approx(48)
