"""Answering: a question to evidence, evidence to a draft, and of the draft what is printed where it says."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from ingest.pipeline import load_image, read_image_text
from retrieval.answerers import stream_answer
from retrieval.base import Dialogue
from retrieval.grounding import verify
from retrieval.search import SearchQuery
from tuwen.errors import InvalidRequestError
from tuwen.lookup import Lookup
from tuwen.parts import Parts
from tuwen.types import Answer, Hit, RefusalReason, Timings
from vlm.base import CancelToken, Message

_REFUSALS = {
    RefusalReason.NO_EVIDENCE: "资料中没有找到能回答这个问题的内容。",
    RefusalReason.UNREADABLE_SOURCE: "最相关的页面无法可靠识别，因此不作回答。",
}


class Inquiry(NamedTuple):
    """A question, and what it comes with."""

    question: str
    collection: str = "default"
    top_k: int | None = None
    """Pages taken as evidence; the settings' number when None."""
    history: tuple[Message, ...] = ()
    """Earlier turns, oldest first."""
    image: Path | None = None
    """A picture that the question is about."""
    cancel: CancelToken | None = None


class Found(NamedTuple):
    """The pages that an answer is given from, before its first word."""

    hits: tuple[Hit, ...]


def answer(parts: Parts, lookup: Lookup, inquiry: Inquiry) -> Generator[Found | str, None, Answer]:
    """The evidence, each sentence as soon as it stands, then the whole answer.

    Closing the generator cancels the answer. Raises as :meth:`tuwen.engine.Tuwen.ask`.
    """
    question = inquiry.question
    if not question.strip():
        raise InvalidRequestError("The question is empty.")
    began = time.perf_counter()
    query = _query(parts, lookup, inquiry)
    pages = lookup.find(query)
    evidence = [lookup.evidence(page) for page in pages]
    retrieved = time.perf_counter()
    yield Found(tuple(lookup.hit(query.text, page) for page in pages))
    dialogue = Dialogue(inquiry.history, query.image, inquiry.cancel)
    draft = yield from stream_answer(parts.answerer, question, evidence, dialogue)
    grounded = verify(draft, evidence)
    timings = Timings(retrieve_ms=_ms(began, retrieved), answer_ms=_ms(retrieved, time.perf_counter()))
    if draft.reason or not grounded.citations:
        reason = draft.reason or RefusalReason.NO_EVIDENCE
        return Answer(question=question, answer=_REFUSALS[reason], refused=True, reason=reason, timings=timings)
    return Answer(
        question=question,
        answer=grounded.text,
        conflict=draft.conflict,
        citations=grounded.citations,
        timings=timings,
    )


def _query(parts: Parts, lookup: Lookup, inquiry: Inquiry) -> SearchQuery:
    """What is searched for: the question, what it follows up on, and the picture with the words in it."""
    asked = [part for turn in inquiry.history if turn.role == "user" for part in turn.parts if isinstance(part, str)]
    words = [*asked[-1:], inquiry.question]
    picture = load_image(inquiry.image, parts.settings.ingest) if inquiry.image else None
    if picture is not None:
        words.append(read_image_text(picture, parts.settings.ingest))
    top_k = inquiry.top_k or parts.settings.answer.top_k
    return SearchQuery("\n".join(words).strip(), picture, lookup.where(inquiry.collection), top_k)


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 1)
