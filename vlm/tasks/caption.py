"""Caption: what a page is about, and what its figures show. The model's words, never the document's."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tuwen.fingerprint import fingerprint
from vlm.base import RGB, CancelToken, VisionModel, VisionRequest, VisionResult
from vlm.tasks.asking import TaskOptions, generate
from vlm.tasks.fencing import FENCING_VERSION, defused
from vlm.tasks.loops import LOOPS_VERSION, LoopDetector
from vlm.tasks.prompts import prompt

PAGE_PROMPT, FIGURE_PROMPT = prompt("caption_page", 1), prompt("caption_figure", 1)
CAPTION_VERSION = 1
"""Raise it whenever the same answers of a model could become other captions."""

_LONGEST = 600
"""Characters of an answer that keeps to no format, of which the beginning is taken."""
_LABEL = re.compile(r"^[\s>*#\-\d.、]*(摘要|关键词|类型|标题|内容|数据)[*\s]*[：:][*\s]*(.*)$")
_NOTHING = frozenset(("", "无", "無", "没有", "无。", "N/A", "不详", "未知"))
_ROW = re.compile(r"^\s*\|.*\|\s*$")


class FigureView(NamedTuple):
    """A figure to be described."""

    image: RGB
    """Cut out, with some of its surroundings."""
    nearby: str = ""
    """What is printed around it."""


class Captions(NamedTuple):
    """Texts to be searched; None where the model had nothing to say."""

    page: str | None
    figures: tuple[str | None, ...]


def caption(
    model: VisionModel,
    page: RGB,
    figures: Sequence[FigureView],
    options: TaskOptions,
    cancel: CancelToken | None = None,
) -> Captions:
    """Describe a page in a sentence with keywords, and each figure by type, title, content and key figures.

    Raises:
        InvalidRequestError: an image cannot fit into the model's context.
        ModelUnavailableError: the model cannot be loaded or reached, or the run was stopped.
    """
    asked = [(PAGE_PROMPT.text, page)]
    asked += [(FIGURE_PROMPT.fill(nearby=_fenced(figure.nearby)), figure.image) for figure in figures]
    requests = [
        VisionRequest.ask(text, image, max_tokens=options.max_tokens)._replace(
            tiling=options.tiling, new_detector=LoopDetector
        )
        for text, image in asked
    ]
    of_page, *of_figures = generate(model, requests, cancel)
    return Captions(_text(of_page, page_caption), tuple(_text(result, figure_caption) for result in of_figures))


def caption_fingerprint(model: VisionModel, options: TaskOptions) -> str:
    """Changes whenever the same page could get other captions."""
    return fingerprint(
        version=CAPTION_VERSION,
        loops=LOOPS_VERSION,
        fencing=FENCING_VERSION,
        model=model.description.fingerprint,
        prompts=[PAGE_PROMPT.text, FIGURE_PROMPT.text],
        tiling=options.tiling,
        max_tokens=options.max_tokens,
    )


def page_caption(answer: str) -> str:
    """The sentence and the keywords of an answer, whatever format it is in."""
    fields, _, rest = _fields(answer)
    sentence, keywords = fields.get("摘要", "") or rest, fields.get("关键词", "")
    return f"{sentence} 关键词：{keywords}" if sentence and keywords else sentence or keywords


def figure_caption(answer: str) -> str:
    """Type, title, content, key figures and the small table of an answer, whatever format it is in."""
    fields, table, rest = _fields(answer)
    title = fields.get("标题", "")
    head = "".join((fields.get("类型", ""), f"《{title.strip('《》')}》" if title else ""))
    said = [
        part.rstrip("。；;")
        for part in (fields.get("内容", "") or ("" if fields else rest), fields.get("数据", ""))
        if part
    ]
    text = "：".join(part for part in (head, "；".join(said)) if part)
    return "\n".join([*([text + "。"] if said else [text] if text else []), *table])


def _fenced(printed: str) -> str:
    """Printed text as data: it cannot end the fence that the prompt puts around it."""
    return defused(printed).strip() or "无"


def _text(result: VisionResult, read: Callable[[str], str]) -> str | None:
    """What an answer says; nothing where the model only repeats itself."""
    return None if result.finish_reason == "loop" else read(result.text) or None


def _fields(answer: str) -> tuple[dict[str, str], list[str], str]:
    """Labelled lines (those below a label without a value belong to it), rows of tables, and everything else."""
    fields: dict[str, str] = {}
    table: list[str] = []
    rest: list[str] = []
    label = None
    for line in answer.splitlines():
        if found := _LABEL.match(line):
            label = found[1]
            fields.setdefault(label, found[2].strip())
        elif _ROW.match(line):
            table.append(line.strip())
        elif line.strip() and label and not fields[label]:
            fields[label] = line.strip()
        elif line.strip():
            rest.append(line.strip())
    kept = {name: value for name, value in fields.items() if value not in _NOTHING}
    return kept, table if len(table) > 2 else [], " ".join(rest)[:_LONGEST]
