"""Two documents that say the same sentence with another number or date."""

from __future__ import annotations

import re

from rapidfuzz.distance import Levenshtein

from retrieval.answerers.answer_types import values
from retrieval.answerers.question import Kind, Question
from retrieval.answerers.ranking import UNIT_FEATURES, Ranking
from retrieval.lexical import normalize
from tuwen.types import fold_space

_SAME_SENTENCE = 0.85
_SAME_CONTEXT = 0.9


def find_conflict(ranking: Ranking, best: int) -> int | None:
    """The unit that contradicts the best one, or None.

    Deliberately narrow: the question asks for a number or a date, the unit is in another document, fits the
    question about as well, reads the same but for such values, and its values differ.
    """
    question = ranking.question
    document = _document(ranking, best)
    context = ranking.features[:, UNIT_FEATURES.index("context")]
    for i in range(len(ranking.units)):
        alike = _document(ranking, i) != document and context[i] >= _SAME_CONTEXT * context[best]
        if alike and contradict(question, ranking.units[best].reading, ranking.units[i].reading):
            return i
    return None


def contradict(question: Question, one: str, other: str) -> bool:
    """Whether two texts are the same sentence with different values of the kind that is asked for."""
    if question.kind not in {Kind.NUMBER, Kind.DATE}:
        return False
    texts = [fold_space(normalize(text)) for text in (one, other)]
    found = [values(question.kind, text) for text in texts]
    frames = [_frame(text, items) for text, items in zip(texts, found, strict=True)]
    same = Levenshtein.normalized_similarity(*frames) >= _SAME_SENTENCE and _digits(frames[0]) == _digits(frames[1])
    asked = [[value for value in items if question.unit in value] for items in found]
    return same and all(asked) and asked[0] != asked[1]


def _frame(text: str, items: list[str]) -> str:
    for item in items:
        text = text.replace(item, "#", 1)
    return text


def _digits(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def _document(ranking: Ranking, i: int) -> str:
    return ranking.evidence[ranking.units[i].evidence].document_id
