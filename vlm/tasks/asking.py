"""What all tasks share: bounds of a request that follow from the model and the settings, and a run that is stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tuwen.errors import ModelUnavailableError
from vlm.base import CancelToken, Tiling, VisionModel, VisionRequest, VisionResult


class TaskOptions(NamedTuple):
    """How a model is used for one task."""

    tiling: Tiling | None = None
    """None: as the model is configured."""
    max_tokens: int = 1024


def fitted(model: VisionModel, request: VisionRequest) -> VisionRequest:
    """``request`` with no more tokens to write than there is room for; one that leaves no room stays as it is."""
    room = model.description.context_tokens - model.count_tokens(request)
    return request._replace(max_tokens=min(request.max_tokens, room)) if room >= 1 else request


def generate(model: VisionModel, requests: Sequence[VisionRequest], cancel: CancelToken | None) -> list[VisionResult]:
    """The results of requests that fit, unless the run is stopped.

    Raises:
        InvalidRequestError: a request cannot fit.
        ModelUnavailableError: the model cannot be had, or ``cancel`` ended the requests.
    """
    results = model.generate([fitted(model, request._replace(cancel=cancel)) for request in requests])
    if any(result.finish_reason == "cancelled" for result in results):
        raise ModelUnavailableError("The run was stopped while the model was writing; the next run goes on.")
    return results
