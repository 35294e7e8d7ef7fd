"""Results as people like to read them: tables on stdout, progress and errors on stderr."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tuwen.cli.messages import say, translated
from tuwen.doctor import Checkup, Finding
from tuwen.jobs import IngestEvent
from tuwen.types import (
    Answer,
    Document,
    DocumentStatus,
    IngestReport,
    PageRecord,
    PageWarning,
    Receipt,
    SearchResult,
    Skipped,
    Verdict,
)

_COLOURS = {
    DocumentStatus.READY: "green",
    DocumentStatus.READY_WITH_WARNINGS: "yellow",
    DocumentStatus.FAILED: "red",
}
_SNIPPET = 90
_LISTED_PAGES = 8


class IngestProgress:
    """A bar for each document in work, on stderr; finished ones leave a line."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: IngestEvent) -> None:
        """Show ``event``."""
        if event.document_id not in self._bars:
            self._bars[event.document_id] = self._progress.add_task(event.name)
        bar = self._bars[event.document_id]
        if event.status is DocumentStatus.PROCESSING:
            title = f"{say(f'stage_{event.stage}')} {event.name}"
            self._progress.update(bar, description=title, completed=event.done, total=event.total)
            return
        self._progress.remove_task(self._bars.pop(event.document_id))
        self._progress.console.print(_status(event.status), Text(event.name))


def print_report(report: IngestReport, seconds: float) -> None:
    """Outcome of an ingest."""
    console = Console()
    if report.documents:
        console.print(_documents_table(report.documents))
    print_skipped(report.skipped)
    pages = sum(d.pages or 0 for d in report.documents if d.status is not DocumentStatus.DUPLICATE)
    console.print(say("total", documents=len(report.documents), pages=pages, seconds=seconds))


def print_skipped(skipped: Sequence[Skipped]) -> None:
    """Paths that were not taken."""
    for item in skipped:
        Console().print(Text(say("skipped", path=item.path, reason=translated(item.message)), style="dim"))


def print_documents(documents: Sequence[Document], none: str = "no_documents") -> None:
    """A table of documents, or the message ``none``."""
    Console().print(_documents_table(documents) if documents else say(none))


def _documents_table(documents: Sequence[Document]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(say("id"), no_wrap=True, style="dim")
    table.add_column(say("name"), overflow="fold")
    table.add_column(say("pages"), justify="right")
    table.add_column(say("status"))
    table.add_column(say("notes"), overflow="fold")
    for document in documents:
        pages = str(document.pages or "")
        table.add_row(document.document_id[:8], Text(document.path), pages, _status(document.status), _notes(document))
    return table


def _status(status: DocumentStatus) -> Text:
    return Text(say(f"status_{status}"), style=_COLOURS.get(status, ""))


def _notes(document: Document) -> Text:
    if document.error:
        return Text(translated(document.error.message))
    if document.duplicate_of:
        return Text(say("duplicate", id=document.duplicate_of[:8]))
    return Text("\n".join(_warnings(document.warnings)))


def _warnings(warnings: Sequence[PageWarning]) -> Iterator[str]:
    """Each warning once, with the pages that it is about."""
    pages: dict[str, list[int]] = {}
    for warning in warnings:
        pages.setdefault(translated(warning.message), []).append(warning.page)
    for message, numbers in pages.items():
        yield say("warning", pages=_numbered(sorted(numbers)), message=message)


def _numbered(pages: Sequence[int]) -> str:
    more = "…" if len(pages) > _LISTED_PAGES else ""
    return say("list_mark").join(map(str, pages[:_LISTED_PAGES])) + more


def print_hits(result: SearchResult) -> None:
    """Search hits, best first."""
    if not result.hits:
        Console().print(say("found_nothing"))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column(say("id"), style="dim")
    table.add_column(say("document"), overflow="fold")
    table.add_column(say("page"), justify="right")
    table.add_column(say("score"), justify="right")
    table.add_column(say("kind"))
    table.add_column(say("match"), overflow="fold")
    for rank, hit in enumerate(result.hits, 1):
        snippet = _one_line(hit.text)
        short = Text(snippet[:_SNIPPET] + "…" if len(snippet) > _SNIPPET else snippet)
        if hit.verdict.codes:
            short.append(f"\n{_doubts(hit.verdict)}", style="yellow")
        name = Text(hit.document_name)
        kind = say(f"kind_{hit.kind}")
        table.add_row(str(rank), hit.document_id[:8], name, str(hit.page), f"{hit.score:.3f}", kind, short)
    Console().print(table)


def print_answer(answer: Answer) -> None:
    """An answer with its sources, and how to look at them."""
    console = Console()
    title = say("refused") if answer.refused else say("answer")
    text = say(f"refused_{answer.reason}") if answer.reason else answer.answer
    console.print(Panel(Text(text), title=title, border_style="yellow" if answer.refused else "green"))
    if answer.conflict:
        console.print(Text(say("conflict"), style="yellow"))
    for citation in answer.citations:
        console.print(
            Text.assemble(
                (f"[{citation.marker}] ", "bold"),
                f"{citation.document_name}  {say('on_page', page=citation.page)}  ",
                (f"“{_one_line(citation.quote)}”", "italic"),
                (f"  ✓ {say('verified')}" if citation.verified else "", "green"),
            )
        )
        if citation.verdict.codes:
            console.print(Text(f"    {_doubts(citation.verdict)}", style="yellow"))
    if answer.citations:
        first = answer.citations[0]
        place = [first.document_id[:8], str(first.page)]
        quote = shlex.quote(_one_line(first.quote))  # documents are data: nothing in them may reach a shell
        command = " ".join(["tuwen page", *place, "--image page.png --highlight", quote])
        console.print(Text(say("boxes_hint", command=command), style="dim"), soft_wrap=True)


def _doubts(verdict: Verdict) -> str:
    """Why a page should be looked at before its wording is relied on."""
    reasons = (say(f"verdict_{code}") for code in verdict.codes)
    return f"⚠ {say('suspect', reasons=say('and').join(reasons))}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def print_page(record: PageRecord) -> None:
    """A page as Markdown, with a warning when its reading is suspect."""
    if record.verdict.codes:
        Console(stderr=True).print(Text(_doubts(record.verdict), style="yellow"))
    console = Console()
    if console.is_terminal:
        console.print(Markdown(record.markdown))
    else:
        console.print(record.markdown, markup=False, highlight=False, soft_wrap=True)


def print_receipts(receipts: Sequence[Receipt]) -> None:
    """What left each store."""
    table = Table(box=None, pad_edge=False)
    table.add_column(say("id"), no_wrap=True, style="dim")
    for store in ("catalog", "blobs", "index", "artefacts"):
        table.add_column(say(f"store_{store}"), justify="right")
    for receipt in receipts:
        counts = (receipt.catalog, receipt.blobs, receipt.index, receipt.artefacts)
        table.add_row(receipt.document_id[:8], *map(str, counts))
    Console().print(say("deleted", count=len(receipts)))
    Console().print(table)


def print_checkup(checkup: Checkup) -> None:
    """What the doctor found, and whether it was mended."""
    console = Console()
    if checkup.findings:
        table = Table(box=None, pad_edge=False)
        table.add_column(say("status"))
        table.add_column(say("store"))
        table.add_column(say("id"), no_wrap=True, style="dim")
        table.add_column(say("count"), justify="right")
        table.add_column(say("notes"), overflow="fold")
        for finding in checkup.findings:
            table.add_row(*_finding(finding))
        console.print(table)
    console.print(say("examined", documents=checkup.documents, pages=checkup.pages), _verdict(checkup))


def _finding(finding: Finding) -> tuple[Text, Text, Text, str, Text]:
    state = Text(say("fixed"), style="green") if finding.fixed else Text(say("not_fixed"), style="yellow")
    store, document_id = Text(say(f"store_{finding.store}")), Text((finding.document_id or "")[:8])
    return state, store, document_id, str(finding.count), Text(translated(finding.message))


def _verdict(checkup: Checkup) -> Text:
    if not checkup.findings:
        return Text(say("all_well"), style="green")
    return Text(say("now_well"), style="green") if checkup.is_well else Text(say("not_well"), style="yellow")


def print_pairs(pairs: Mapping[str, str]) -> None:
    """A small two-column list."""
    table = Table.grid(padding=(0, 2))
    for key, value in pairs.items():
        table.add_row(Text(key, style="bold"), Text(value))
    Console().print(table)
