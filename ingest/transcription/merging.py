"""One page record from two readings.

The model's structure and, where it is to be believed, its wording; the plain reader's places, and all of its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ingest.base import RGB
from ingest.contents import is_contents
from ingest.transcription.composing import Composed, compose
from ingest.transcription.markdown import Part, parse
from ingest.transcription.pairing import Pairing, Written, pair
from ingest.transcription.picture import FreeInk
from ingest.transcription.placing import Placement, place
from tuwen.types import Block, BlockKind, Box, PageRecord, Verdict, VerdictCode, Word, WordSpan

_FLOOR = 0.5
"""Agreement under which the readings are not of the same text: the plain one stays as it is."""
_DOUBT, _DOUBT_OF_PART = 0.8, 0.6
"""Agreement of a page, and of a part of which something is printed, under which the readers are said to disagree."""
_PART = 20
"""Characters of a part that matters by itself."""
_INVENTED, _STRETCH = 10, 4
"""Letters that only the model has, in stretches of so many; fewer are slips of either reader."""


def merge(plain: PageRecord, transcription: str, image: RGB) -> PageRecord:
    """Put a model's transcription of a page on the words of the plain reading.

    Blocks come in the model's order, with its headings, lists, tables and formulas, and its wording by
    :func:`ingest.transcription.wording.is_models`; their ``confidence`` is the agreement of the two readings. Nothing
    of the plain reading is lost: what the model left out stays in its place. What only the model has becomes words
    where the picture shows ink for it, and is left out otherwise.

    Args:
        plain: the page as the text layer or OCR has it.
        transcription: Markdown.
        image: the displayed page.

    Returns:
        The merged record, or the plain one where the two have too little in common; with the verdict codes
        ``reader_disagreement`` and ``invented_text`` where they apply.
    """
    parts = parse(transcription)
    written = Written.of(parts)
    pairing = pair(written, parts, plain)
    placement = place(written, pairing, FreeInk(image, [word.box for word in plain.words]))
    codes = tuple(_codes(plain, written, pairing, placement))
    verdict = Verdict(codes=tuple(dict.fromkeys((*plain.verdict.codes, *codes))))
    if not pairing.plain.glyphs or pairing.agreement < _FLOOR:
        return plain.model_copy(update={"verdict": verdict})
    composed = compose(parts, written, pairing, placement)
    stays = _with_formulas(plain, parts, composed, pairing, placement)
    words, blocks = _assembled(_ordered(composed, stays, pairing), plain.words, pairing.agreements)
    return plain.model_copy(
        update={"words": words, "blocks": blocks, "verdict": verdict, "is_contents": is_contents(blocks, words)}
    )


def _codes(plain: PageRecord, written: Written, pairing: Pairing, placement: Placement) -> Iterator[VerdictCode]:
    if VerdictCode.UNREADABLE in plain.verdict.codes:
        return  # there is ink, and no second reader
    if pairing.plain.glyphs and _disagree(written, pairing):
        yield VerdictCode.READER_DISAGREEMENT
    letters = [sum(written.is_letter(i) for i in stretch) for stretch in placement.invented]
    if sum(count for count in letters if count >= _STRETCH) >= _INVENTED:
        yield VerdictCode.INVENTED_TEXT


def _disagree(written: Written, pairing: Pairing) -> bool:
    sizes: dict[int, int] = {}
    for home in written.homes:
        sizes[home.part] = sizes.get(home.part, 0) + (home.formula < 0)
    poor = (part for part, score in pairing.agreements.items() if 0 < score < _DOUBT_OF_PART)
    return pairing.agreement < _DOUBT or any(sizes[part] >= _PART for part in poor)


def _with_formulas(
    plain: PageRecord, parts: Sequence[Part], composed: Iterable[Composed], pairing: Pairing, placement: Placement
) -> list[Block]:
    """Plain blocks that stay; a formula among them in the model's LaTeX, if there are as many that found no place."""
    stays = [b for b in plain.blocks if b.order in pairing.kept or b.order in placement.untouched or not b.text]
    placed = {block.part for block in composed}
    latex = [
        "\n\n".join(f"$${formula.latex}$$" for row in part.rows for segment in row for formula in segment.formulas)
        for number, part in enumerate(parts)
        if part.kind is BlockKind.FORMULA and number not in placed
    ]
    homes = [n for n, block in enumerate(stays) if block.kind is BlockKind.FORMULA]
    if len(homes) == len(latex):
        for n, markdown in zip(homes, latex, strict=True):
            stays[n] = stays[n].model_copy(update={"markdown": markdown})
    return stays


def _ordered(composed: Sequence[Composed], stays: Iterable[Block], pairing: Pairing) -> list[Composed | Block]:
    """Headers, the model's blocks in its order, plain ones after what they follow in the plain reading, footers."""
    spots = {printed: n for n, block in enumerate(composed) for printed in block.printed}
    ends: dict[int, int] = {}
    for printed, owner in enumerate(pairing.plain.owners):
        ends[owner.order] = spots.get(printed, ends.get(owner.order, -1))
    keyed: list[tuple[tuple[float, int], Composed | Block]] = [((n, -1), block) for n, block in enumerate(composed)]
    for block in stays:
        before = max((order for order in ends if order < block.order and ends[order] >= 0), default=None)
        spot: float = ends[before] if before is not None else -1
        if block.kind in (BlockKind.HEADER, BlockKind.FOOTER):
            spot = -2 if block.kind is BlockKind.HEADER else float("inf")
        keyed.append(((spot, block.order), block))
    return [block for _, block in sorted(keyed, key=lambda item: item[0])]


def _assembled(
    order: Sequence[Composed | Block], plain: Sequence[Word], scores: Mapping[int, float]
) -> tuple[tuple[Word, ...], tuple[Block, ...]]:
    """Blocks with their words in one row, lines numbered anew: no two blocks share one."""
    words: list[Word] = []
    blocks: list[Block] = []
    lines: dict[tuple[int, int], int] = {}
    for n, item in enumerate(order):
        own = item.words if isinstance(item, Composed) else plain[item.words.start : item.words.end]
        span = WordSpan(len(words), len(words) + len(own))
        words.extend(word.model_copy(update={"line": lines.setdefault((n, word.line), len(lines))}) for word in own)
        if isinstance(item, Composed):
            blocks.append(_block(item, n, span, scores.get(item.part)))
        else:
            blocks.append(item.model_copy(update={"order": n, "words": span}))
    return tuple(words), tuple(blocks)


def _block(item: Composed, order: int, span: WordSpan, agreement: float | None) -> Block:
    return Block(
        kind=item.kind,
        order=order,
        box=Box.union(word.box for word in item.words).clamped(),
        text=item.text,
        markdown=item.markdown,
        source=item.source,
        confidence=None if agreement is None else round(agreement, 4),
        level=item.level,
        words=span,
    )
