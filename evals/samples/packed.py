"""The third set: what must be unpacked, unlocked or converted before it can be read (``packed/``).

Its truth is not where words stand, since converters lay pages out, but which words stand on which page of which
document: ``truth.jsonl`` has ``{"path","page","contains","password"?}``, and ``skipped.jsonl`` what must be left out,
as ``{"path","code"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evals.samples import archives, office

BUILDERS: Mapping[str, Callable[[], bytes]] = {
    office.MEMO: office.memo,
    office.BUDGET: office.budget,
    office.ROADMAP: office.roadmap,
    archives.ARCHIVE: archives.archive,
    archives.LOCKED: archives.locked,
}
SKIPPED = ({"path": f"{archives.ARCHIVE}/../启动项.txt", "code": "forbidden"},)


def truth() -> Iterator[dict[str, Any]]:
    """One record a page."""
    yield _page(office.MEMO, 1, [office.MEMO_TITLE, *office.MEMO_PARAGRAPHS, *office.cells(office.MEMO_TABLE)])
    yield _page(office.BUDGET, 1, office.cells(office.BUDGET_ROWS))
    yield _page(office.BUDGET, 2, [office.BUDGET_NOTE])
    for number, (title, points) in enumerate(office.SLIDES, 1):
        yield _page(office.ROADMAP, number, [title, *points])
    yield _page(f"{archives.ARCHIVE}/{archives.NOTE_NAME}", 1, archives.NOTE)
    yield _page(f"{archives.ARCHIVE}/{archives.PLAN_NAME}", 1, archives.PLAN)
    yield {**_page(archives.LOCKED, 1, archives.AGREEMENT), "password": archives.PASSWORD}


def _page(path: str, page: int, contains: Sequence[str]) -> dict[str, Any]:
    return {"path": path, "page": page, "contains": list(contains)}
