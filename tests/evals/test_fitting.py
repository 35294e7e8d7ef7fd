"""Numbers fitted on a toy corpus find the answers of documents that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from evals.dataset import PageRef, Query
from evals.fitting import Observation, cross_validate, evaluate, fit, observe
from retrieval.answerers.ranking import QUESTION_FEATURES, UNIT_FEATURES
from retrieval.base import Evidence, Vector
from tests.retrieval.pages import evidence_of, page_of
from tuwen.types import BlockKind

CITIES = ("临澜", "青屿", "云泽", "朔川", "岚港", "霁州")
FACTS = {"面积": "三百平方公里", "人口": "八十万人", "市长": "王小川"}


class _Bag:
    """An encoder whose vectors are character counts."""

    def encode_texts(self, texts: Sequence[str], role: str) -> list[Vector]:
        rows = np.zeros((len(texts), 512), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for char in text:
                row[ord(char) % 512] += 1
        return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def evidence() -> list[Evidence]:
    facts = "".join(f"{name}为{value}。" for name, value in FACTS.items())
    return [
        evidence_of(page_of((BlockKind.TITLE, f"{city}市"), f"本市风景优美。{facts}欢迎前来参观。"), document=city)
        for city in CITIES
    ]


@pytest.fixture(scope="module")
def observations() -> list[Observation]:
    pages, encoder = evidence(), _Bag()
    made = []
    for i, city in enumerate(CITIES):
        ranked = [pages[i]._replace(score=1.0), *(page._replace(score=0.5) for page in pages if page is not pages[i])]
        for name, value in FACTS.items():
            query = Query(id=f"{city}{name}", question=f"{city}市的{name}是多少？", answers=(value,))
            relevant = query.model_copy(update={"relevant": (PageRef(file=city, page=1),)})
            made.append(observe(relevant, ranked, {(city, 1)}, encoder))
        absent = Query(id=f"{city}-", question="马来穿山甲的别称是什么？", answers=("爪哇鲮鲤",), answerable=False)
        made.append(observe(absent, ranked, set(), encoder))
    return made


def test_observations_know_where_the_answer_stands(observations: list[Observation]) -> None:
    first = observations[0]
    assert [unit.text for unit, right in zip(first.ranking.units, first.right, strict=True) if right] == [
        "面积为三百平方公里。"
    ]
    assert first.bereft is not None
    assert not any("三百平方公里" in unit.text for unit in first.bereft.units)
    assert observations[3].bereft is None
    assert not observations[3].right.any()
    assert first.elsewhere is None


def test_observations_know_whether_other_pages_answer_too() -> None:
    query = Query(id="q", question="临澜市的面积是多少？", answers=("三百平方公里",))
    here, twin, other = evidence()[0], evidence()[1], evidence_of(page_of("本市风景优美。"), document="x")
    assert observe(query, [here], {("临澜", 1)}, _Bag(), elsewhere=[twin, other]).elsewhere is None
    without = observe(query, [here], {("临澜", 1)}, _Bag(), elsewhere=[other]).elsewhere
    assert without is not None
    assert [unit.text for unit in without.units] == ["本市风景优美。"]


def test_few_answers_carry_what_they_do_not_need(observations: list[Observation]) -> None:
    result = evaluate(observations, fit(observations, max_chars=40), 40)
    assert result.several <= 0.1
    assert result.characters < 12


def test_fitted_numbers_hold_on_other_documents(observations: list[Observation]) -> None:
    result = cross_validate(observations, max_chars=40, folds=3)
    one = 1 / (len(CITIES) * len(FACTS))  # a share of the answerable questions is refused by design
    assert result.contained >= 1 - one
    assert result.refused == 1.0
    assert result.falsely_refused <= one
    assert 0 < result.characters <= 40


def test_a_calibration_names_its_features(observations: list[Observation]) -> None:
    calibration = fit(observations, max_chars=40)
    assert calibration.ranking.features == UNIT_FEATURES
    assert calibration.refusal.features == QUESTION_FEATURES
    assert evaluate(observations, calibration, 40).contained >= 0.9
    assert type(calibration).model_validate_json(calibration.model_dump_json()) == calibration
