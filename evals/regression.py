"""Linear models fitted by Newton's method, with a ridge penalty on standardised features.

Choice: conditional logit (McFadden 1974). Yes or no: logistic regression.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.answerers.calibration import LinearModel, softmax

Vector = NDArray[np.floating]
_RIDGE = 1.0
_STEPS = 50


def fit_choice(features: tuple[str, ...], cases: Sequence[tuple[Vector, NDArray[np.bool_]]]) -> LinearModel:
    """A model whose softmax over a case's rows gives the chance that each is a right one.

    Args:
        features: names of the columns.
        cases: rows of shape (n, k), and which of them are right (at least one).
    """
    mean, scale = _moments(np.vstack([rows for rows, _ in cases]))
    weights = np.zeros(len(features))
    for _ in range(_STEPS):
        gradient, hessian = _RIDGE * weights, _RIDGE * np.eye(len(weights))
        for raw, right in cases:
            rows = (raw - mean) / scale
            scores = rows @ weights
            shares, wanted = softmax(scores), softmax(np.where(right, scores, -np.inf))
            expected = shares @ rows
            gradient += expected - wanted @ rows
            hessian += (rows * shares[:, None]).T @ rows - np.outer(expected, expected)
        weights = weights - _bounded(np.linalg.solve(hessian, gradient))
    return _model(features, mean, scale, weights)


def fit_logistic(features: tuple[str, ...], rows: Vector, target: Vector, importance: Vector) -> LinearModel:
    """A model whose logistic is the chance of ``target`` (0 or 1 a row); rows count as ``importance`` says."""
    mean, scale = _moments(rows)
    rows = np.column_stack([(rows - mean) / scale, np.ones(len(rows))])
    weights, ridge = np.zeros(rows.shape[1]), np.diag([_RIDGE] * len(features) + [1e-6])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(rows @ weights)))
        gradient = rows.T @ (importance * (chance - target)) + ridge @ weights
        hessian = (rows * (importance * chance * (1 - chance))[:, None]).T @ rows + ridge
        weights = weights - _bounded(np.linalg.solve(hessian, gradient))
    return _model(features, mean, scale, weights[:-1], float(weights[-1]))


def _bounded(step: Vector) -> Vector:
    return step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))


def _moments(rows: Vector) -> tuple[Vector, Vector]:
    if not len(rows):
        return np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    scale = rows.std(0)
    return rows.mean(0), np.where(scale > 1e-9, scale, 1.0)


def _model(features: tuple[str, ...], mean: Vector, scale: Vector, weights: Vector, bias: float = 0.0) -> LinearModel:
    def rounded(values: Vector) -> tuple[float, ...]:
        return tuple(round(float(value), 5) for value in values)

    return LinearModel(
        features=features, mean=rounded(mean), scale=rounded(scale), weights=rounded(weights), bias=round(bias, 5)
    )
