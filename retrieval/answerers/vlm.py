"""The answerer with a model: it writes, and code decides what of it stands.

Each sentence needs a stretch of the evidence that supports it (:mod:`retrieval.answerers.support`). The model is asked
once more when a sentence has none. What has none even then is dropped, or kept and marked; nothing left is a refusal.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import combinations, product
from typing import NamedTuple, Protocol

from retrieval.answerers.conflict import contradict
from retrieval.answerers.excerpts import excerpt
from retrieval.answerers.question import analyze_question
from retrieval.answerers.refusal import refusal_reason
from retrieval.answerers.replies import ReplyReader, Sentence, is_refusal
from retrieval.answerers.support import Support, Supporter, says
from retrieval.answerers.units import Unit
from retrieval.base import ALONE, RGB, Claim, Dialogue, Draft, Evidence, Quote
from tuwen.errors import ModelUnavailableError
from tuwen.settings import AnswerSettings
from vlm.base import CancelToken, Message, Source, TextStream, VisionRequest

UNVERIFIED = "（资料中没有找到依据）"
"""What is put behind a sentence that is kept without support."""


class Writer(Protocol):
    """How a model is asked; :class:`vlm.tasks.answer.AnswerWriter`."""

    def ask(
        self,
        question: str,
        sources: Sequence[Source],
        history: Sequence[Message] = (),
        picture: RGB | None = None,
        cancel: CancelToken | None = None,
    ) -> VisionRequest:
        """The question about numbered sources."""
        ...

    def ask_again(self, request: VisionRequest, said: str, unsupported: Sequence[str]) -> VisionRequest:
        """The same after an answer of which some sentences have no support."""
        ...

    def fits(self, request: VisionRequest) -> bool:
        """Whether there is room for the request and a whole answer."""
        ...

    def has_room(self, request: VisionRequest) -> bool:
        """Whether there is room for the request and a sentence."""
        ...

    def write(self, request: VisionRequest) -> TextStream:
        """The answer as it is written."""
        ...


class VisionAnswerer:
    """Answers from page images and text, in the model's words, each with the printed words that it rests on.

    Args:
        settings: how much evidence is shown, and what becomes of unsupported sentences.
        writer: asks the model.
    """

    def __init__(self, settings: AnswerSettings, writer: Writer) -> None:
        self._settings = settings
        self._writer = writer

    def answer(self, question: str, evidence: Sequence[Evidence], dialogue: Dialogue = ALONE, /) -> Draft:
        """The supported sentences of the model's answer; a refusal when there is none."""
        stream = self.stream(question, evidence, dialogue)
        while True:
            try:
                next(stream)
            except StopIteration as end:
                draft: Draft = end.value
                return draft

    def stream(
        self, question: str, evidence: Sequence[Evidence], dialogue: Dialogue = ALONE, /
    ) -> Generator[str, None, Draft]:
        """Each sentence once it is complete and supported; none is taken back. Then the draft."""
        if not evidence:
            return Draft((), 0.0, refusal_reason(()))
        request = self._request(question, evidence, dialogue)
        checking = _Checking(question, evidence)
        yield from self._written(request, checking)
        if checking.wants_repair:
            said = "\n".join(sentence.text for sentence in checking.heard)
            again = self._writer.ask_again(request, said, [sentence.text for sentence in checking.unsupported])
            if self._writer.has_room(again):
                checking.begin_again()
                yield from self._written(again, checking)
        if self._settings.unsupported == "mark":
            yield from checking.mark_unsupported()
        yield from checking.add_rival()
        return checking.draft()

    def _written(self, request: VisionRequest, checking: _Checking) -> Iterator[str]:
        reader = ReplyReader()
        with self._writer.write(request) as stream:
            for piece in stream:
                yield from checking.take(reader.feed(piece))
        finish = stream.result.finish_reason
        if finish == "cancelled":
            raise ModelUnavailableError("The answer was cancelled while the model was writing it.")
        yield from checking.take(reader.finish(whole=finish == "stop"))

    def _request(self, question: str, evidence: Sequence[Evidence], dialogue: Dialogue) -> VisionRequest:
        """The richest view of the evidence that fits; the poorest where none does: the model says how long it is."""
        loaded: dict[int, RGB] = {}
        for view in _views(len(evidence), self._settings):
            sources = [self._source(question, i, item, view, loaded) for i, item in enumerate(evidence[: view.pages])]
            request = self._writer.ask(question, sources, dialogue.history, dialogue.picture, dialogue.cancel)
            if self._writer.fits(request):
                break
        return request

    def _source(self, question: str, i: int, item: Evidence, view: _View, loaded: dict[int, RGB]) -> Source:
        if i < view.images and i not in loaded and item.picture:
            loaded[i] = item.picture()
        title = f"{item.document_name} 第 {item.record.page} 页"
        return Source(title, excerpt(question, item, view.chars), loaded.get(i) if i < view.images else None)


class _View(NamedTuple):
    """How much of the evidence is shown."""

    pages: int
    images: int
    chars: int
    """Of the text of each page."""


def _views(pages: int, settings: AnswerSettings) -> Iterator[_View]:
    """From rich to poor: first text goes, then pictures from the last page on, then whole pages."""
    full = settings.page_chars
    for images in range(min(pages, settings.max_images), 0, -1):
        yield from (_View(pages, images, chars) for chars in (full, full // 2, full // 4))
    yield from (_View(shown, min(1, settings.max_images), full // 4) for shown in range(pages, 0, -1))
    yield _View(1, 0, full // 4)


class _Checking:
    """The sentences of an answer as they come, and what is made of them."""

    def __init__(self, question: str, evidence: Sequence[Evidence]) -> None:
        self._question = question
        self._evidence = evidence
        self._supporter = Supporter(question, evidence)
        self._claims: list[Claim] = []
        self._units: list[Unit] = []
        self._seen: set[str] = set()
        self._refused = self._again = self._conflict = False
        self.heard: list[Sentence] = []
        self.unsupported: list[Sentence] = []

    @property
    def wants_repair(self) -> bool:
        """Whether asking again may help: something has no support, or nothing was said at all."""
        return bool(self.unsupported) or not (self._claims or self._refused)

    def begin_again(self) -> None:
        """A second answer follows; what it repeats is not said twice, what it leaves out is taken back."""
        self._again = True
        self._seen.clear()
        self.unsupported.clear()

    def take(self, sentences: Sequence[Sentence]) -> Iterator[str]:
        """Check sentences; the texts of those that stand."""
        for sentence in sentences:
            if sentence.text in self._seen:
                continue
            self._seen.add(sentence.text)
            self.heard.append(sentence)
            support = self._supporter.find(sentence)
            if support:
                yield from self._accept(sentence, support)
            elif is_refusal(sentence.text):
                self._refused = True
            elif not self._is_said(sentence.text):
                self.unsupported.append(sentence)

    def mark_unsupported(self) -> Iterator[str]:
        """Keep what has no support, and say so; the texts. An answer of nothing else is none."""
        for sentence in self.unsupported if self._claims else ():
            claim = Claim(sentence.text + UNVERIFIED, (), unverified=True)
            self._claims.append(claim)
            yield claim.text

    def add_rival(self) -> Iterator[str]:
        """Say what another document says otherwise, verbatim, if the model left it out."""
        self._conflict = any(self._contradict(*pair) for pair in combinations(self._units, 2))
        others = () if self._conflict else product(self._units, self._supporter.units)
        rival = next((other for one, other in others if self._contradict(one, other)), None)
        if rival:
            self._conflict = True
            page = self._evidence[rival.evidence]
            quote = Quote(rival.text, page.document_id, page.record.page, rival.words)
            self._claims.append(Claim(rival.text, (quote,)))
            yield rival.text

    def draft(self) -> Draft:
        """What stands, or a refusal."""
        stands = sum(len(claim.text) for claim in self._claims if not claim.unverified)
        falls = sum(len(sentence.text) for sentence in self.unsupported)
        if not stands:
            return Draft((), 0.0, refusal_reason(self._looked_at()))
        return Draft(tuple(self._claims), stands / (stands + falls), conflict=self._conflict)

    def _accept(self, sentence: Sentence, support: Support) -> Iterator[str]:
        if self._is_said(sentence.text):
            return
        self._claims.append(Claim(sentence.text.rstrip("，,、；;：: "), support.quotes))
        self._units.extend(support.units)
        yield self._claims[-1].text

    def _is_said(self, text: str) -> bool:
        """Whether a claim says the same word for word, or, in a second answer, in other words."""
        said = [claim.text for claim in self._claims]
        return text in said or (self._again and bool(said) and says(text, "\n".join(said)))

    def _looked_at(self) -> list[Evidence]:
        """The pages that the model named, or the best one."""
        named = {number for sentence in self.heard for number in sentence.sources}
        return [item for number, item in enumerate(self._evidence, 1) if number in named] or [*self._evidence[:1]]

    def _contradict(self, one: Unit, other: Unit) -> bool:
        documents = {self._evidence[unit.evidence].document_id for unit in (one, other)}
        return len(documents) > 1 and contradict(analyze_question(self._question), one.reading, other.reading)
