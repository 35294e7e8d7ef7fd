"""Fitted numbers of the extractive answerer; ``python -m evals.fit_answers`` writes them."""

from __future__ import annotations

from importlib import resources
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from tuwen.types import Model

FILE = "extractive.json"
"""Beside this module."""


class LinearModel(Model):
    """A weighted sum of standardised features."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float = 0.0

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        if len({len(self.features), len(self.mean), len(self.scale), len(self.weights)}) != 1:
            raise ValueError("features, mean, scale and weights must be equally long")
        return self

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores of feature rows of shape (n, k), shape (n,)."""
        standard = (rows - np.array(self.mean)) / np.array(self.scale)
        scores: NDArray[np.float64] = standard @ np.array(self.weights) + self.bias
        return scores


class Calibration(Model):
    """Everything that was fitted."""

    ranking: LinearModel
    """Of units; a softmax over a question's units gives the probability that each holds the answer."""
    refusal: LinearModel
    """Of questions; the logistic of it is the probability that the evidence does not answer."""
    trimming: LinearModel
    """Of runs of clauses; the logistic of it is the probability that a run holds the answer if its sentence does."""
    trim_per_char: float
    """A run of clauses may lose this much chance of holding the answer for each character that it saves."""
    further_per_char: float
    """A further unit is added while its chance to hold the answer, per character that it costs, is at least this."""

    @classmethod
    def load(cls) -> Calibration:
        """The numbers that this version ships."""
        return cls.model_validate_json(resources.files(__package__).joinpath(FILE).read_text("utf-8"))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities from scores, shape (n,)."""
    powers = np.exp(scores - scores.max())
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares
