"""Tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from evals.results import Change, Report, Summary, Value

_MOST_CHANGES = 40
_WIDTH = 180


def wide_console() -> Console:
    """Standard output, at least wide enough for the table: cut figures are worse than wrapped lines."""
    return Console(width=max(Console().width, _WIDTH))


def print_report(report: Report, earlier: Report | None, console: Console) -> None:
    """One table of all metrics, by tag; differences to ``earlier`` beside them."""
    tags = list(dict.fromkeys(tag for part in (report.ocr, report.retrieval, report.answers) for tag in part))
    table = Table(title=f"{report.dataset} · {report.documents} documents · ingest {report.ingest_s:.1f} s")
    table.add_column("metric", no_wrap=True)
    for tag in tags:
        table.add_column(tag, justify="right", no_wrap=True)
    for name, summary in (("ocr", report.ocr), ("retrieval", report.retrieval), ("answers", report.answers)):
        if summary:
            before: Summary = getattr(earlier, name) if earlier else {}
            _rows(table, name, summary, before, tags)
    console.print(table)
    for failure in report.failed_documents:
        console.print(f"[red]failed[/red] {failure}")


def _rows(table: Table, name: str, summary: Summary, before: Summary, tags: list[str]) -> None:
    table.add_section()
    for metric in summary["all"]:
        cells = []
        for tag in tags:
            now = summary.get(tag, {}).get(metric)
            cells.append(_cell(metric, now, before.get(tag, {}).get(metric), tag == "all") if now else "")
        if any(cells):
            table.add_row(f"{name} {metric}", *cells)


def _cell(metric: str, now: Value, before: Value | None, detailed: bool) -> str:
    if now.mean is None:
        return ""
    digits = 1 if metric.endswith(("ms_p50", "ms_p95", "length")) else 4
    text = f"{now.mean:.{digits}f}"
    if detailed and now.low is not None:
        text += f" [{now.low:.{digits}f}, {now.high:.{digits}f}]"
    if before is not None and before.mean is not None:
        text += f" ({now.mean - before.mean:+.{digits}f})"
    return text


def print_changes(found: list[Change], console: Console) -> None:
    """Questions whose outcome changed."""
    if not found:
        console.print("No question changed its outcome.")
        return
    table = Table(
        title=f"{len(found)} outcomes changed" + (f", first {_MOST_CHANGES}" if len(found) > _MOST_CHANGES else "")
    )
    for column in ("id", "what", "before", "after"):
        table.add_column(column)
    for change in found[:_MOST_CHANGES]:
        table.add_row(change.id, change.what, change.before, change.after)
    console.print(table)
