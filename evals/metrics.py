"""The metrics of DESIGN section 7, each with its definition and source; pure functions over strings and ids.

All values are 0..1, higher is better, unless a docstring says otherwise.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein


def fold(text: str) -> str:
    """NFKC, white space removed: the form in which texts are compared here."""
    return "".join(unicodedata.normalize("NFKC", text).split())


@cache
def _converter() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


def simplify(text: str) -> str:
    """Traditional to Simplified Chinese, character by character and phrase by phrase (OpenCC ``t2s``)."""
    return str(_converter().convert(text))


def character_accuracy(reference: str, reading: str) -> float:
    """OCR character accuracy, 1 − CER, not below 0.

    CER = Levenshtein distance ÷ number of reference characters (Rice, Jenkins & Nartker, *The Fifth Annual Test
    of OCR Accuracy*, ISRI 1996: "character accuracy"), after :func:`fold`. An empty reference asks for an empty
    reading.
    """
    gold, read = fold(reference), fold(reading)
    if not gold:
        return float(not read)
    return max(0.0, 1 - Levenshtein.distance(gold, read) / len(gold))


def character_f1(reference: str, reading: str) -> float:
    """Reading-order-free F1 of characters as a multiset, after :func:`fold`.

    The bag-of-words rate of OCR evaluation (Pletschacher, Clausner & Antonacopoulos, *Europeana Newspapers OCR
    workflow evaluation*, HIP 2015) on characters, since Chinese has no word marks. Both empty: 1.
    """
    gold, read = Counter(fold(reference)), Counter(fold(reading))
    total = gold.total() + read.total()
    return 2 * (gold & read).total() / total if total else 1.0


def contains(reference: str, text: str) -> bool:
    """Whether the folded reference stands in the folded text."""
    return fold(reference) in fold(text)


def recall_at(k: int, ranked: Sequence[Hashable], relevant: set[Any]) -> float:
    """Share of the relevant items among the first ``k``.

    Manning, Raghavan & Schütze, *Introduction to Information Retrieval*, 2008, §8.4; trec_eval ``recall_k``.
    With one relevant page this is the hit rate.
    """
    return len(set(ranked[:k]) & relevant) / len(relevant)


def hit_at(k: int, ranked: Sequence[Hashable], relevant: set[Any]) -> float:
    """1 when any relevant item is among the first ``k`` (trec_eval ``success_k``)."""
    return float(any(item in relevant for item in ranked[:k]))


def reciprocal_rank(ranked: Sequence[Hashable], relevant: set[Any], k: int = 10) -> float:
    """1 ÷ rank of the first relevant item, 0 beyond ``k``; its mean is MRR@k (Voorhees, TREC-8 QA, 1999)."""
    return next((1 / rank for rank, item in enumerate(ranked[:k], 1) if item in relevant), 0.0)


def ndcg(ranked: Sequence[Hashable], relevant: set[Any], k: int = 10) -> float:
    """Normalised discounted cumulative gain at ``k``, binary gain, log2(rank + 1) discount.

    Järvelin & Kekäläinen, TOIS 2002, in the form of trec_eval ``ndcg_cut_k``: the ideal ranking puts
    min(k, number of relevant items) first.
    """
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], 1) if item in relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return gain / ideal


_CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_IDEOGRAPH = re.compile("[\u4e00-\u9fa5]")
_TOKEN = re.compile(r"\w+(?:[.,'’]\w+)*|[^\w\s]")


def cmrc_tokens(text: str) -> list[str]:
    """Units of CMRC 2018: listed punctuation dropped, an ideograph each, other script by words.

    ``mixed_segmentation(rm_punc=True)`` of the official script ``cmrc2018_evaluate.py`` (Cui et al., *A
    Span-Extraction Dataset for Chinese Machine Reading Comprehension*, EMNLP 2019). One difference: runs of other
    script are cut by a regular expression (words, numbers with inner points, single marks) and not by NLTK.
    """
    tokens, run = [], ""
    for char in text.lower().strip():
        if char in _CMRC_PUNCTUATION:
            continue
        if _IDEOGRAPH.match(char):
            tokens += [*_TOKEN.findall(run), char]
            run = ""
        else:
            run += char
    return tokens + _TOKEN.findall(run)


def cmrc_f1(answers: Sequence[str], prediction: str) -> float:
    """Answer F1 of CMRC 2018: overlap is the longest common *substring* of tokens; best over ``answers``.

    ``calc_f1_score`` of the official script. (SQuAD's F1 counts a bag of tokens instead.)
    """
    read = cmrc_tokens(prediction)
    return max((_substring_f1(cmrc_tokens(answer), read) for answer in answers), default=0.0)


def _substring_f1(gold: list[str], read: list[str]) -> float:
    match = SequenceMatcher(None, gold, read, autojunk=False).find_longest_match()
    return 2 * match.size / (len(gold) + len(read)) if match.size else 0.0


def cmrc_em(answers: Sequence[str], prediction: str) -> float:
    """Exact match of CMRC 2018: equal to any answer in lower case without the listed punctuation.

    ``calc_em_score`` of the official script.
    """
    read = _strip_punctuation(prediction)
    return float(any(_strip_punctuation(answer) == read for answer in answers))


def _strip_punctuation(text: str) -> str:
    return "".join(char for char in text.lower().strip() if char not in _CMRC_PUNCTUATION)


def containment(answers: Sequence[str], prediction: str, simplified: bool = False) -> float:
    """Whether any gold answer stands in the prediction, after :func:`fold` (and :func:`simplify`, both sides).

    The "answer recall" of open-domain QA (Mallen et al., ACL 2023: accuracy by substring).
    """
    if simplified:
        answers, prediction = [simplify(answer) for answer in answers], simplify(prediction)
    return float(any(contains(answer, prediction) for answer in answers if fold(answer)))


class CitationScore(NamedTuple):
    """How well an answer's citations point at the relevant pages."""

    precision: float
    """Share of the cited places that are relevant pages."""
    recall: float
    """1 when a relevant page is cited: the pages of a question are alternatives, so one is enough."""


def citations(cited: Sequence[Hashable], relevant: set[Any]) -> CitationScore:
    """Citation precision and recall of one answer against the pages marked relevant.

    After Liu, Zhang & Liang, *Evaluating Verifiability in Generative Search Engines*, Findings of EMNLP 2023, with
    page relevance in the place of a human's judgement of support. An answer without citations scores 0 on both.
    """
    right = sum(place in relevant for place in cited)
    return CitationScore(right / len(cited) if cited else 0.0, float(right > 0))


class RefusalScore(NamedTuple):
    """How well a system knows what it does not know (SQuAD 2.0's "no answer", Rajpurkar, Jia & Liang 2018)."""

    accuracy: float
    """Share of unanswerable questions that were refused."""
    false_refusals: float
    """Share of answerable questions that were refused; lower is better."""


def refusals(answerable: Sequence[bool], refused: Sequence[bool]) -> RefusalScore:
    """Refusal accuracy over a set; a part without questions is nan."""
    rows = list(zip(answerable, refused, strict=True))
    return RefusalScore(mean([float(r) for a, r in rows if not a]), mean([float(r) for a, r in rows if a]))


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; nan for none."""
    return math.fsum(values) / len(values) if values else math.nan


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear-interpolated percentile (NumPy's default); nan for none."""
    return float(np.percentile(values, percent)) if values else math.nan


class Interval(NamedTuple):
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap(values: Sequence[float], resamples: int = 1000, seed: int = 0) -> Interval:
    """Mean with the percentile bootstrap interval over items (Efron & Tibshirani 1993, ch. 13); seeded."""
    if not values:
        return Interval(math.nan, math.nan, math.nan, 0)
    data = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    means = np.array([data[rng.integers(0, len(data), len(data))].mean() for _ in range(resamples)])
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(mean(values), float(low), float(high), len(values))
