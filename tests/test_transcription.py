"""The two readers together, with faults injected through the fake model: right verdicts, nothing lost."""

import numpy as np
import pytest

from ingest.base import RGB
from tests.ingest.transcription.pages import Plain, check, page, picture
from tuwen.errors import ModelUnavailableError
from tuwen.transcription import Asked, Transcriber, aligned
from tuwen.types import BlockKind, Box, PageRecord, Source, Verdict, VerdictCode
from vlm.base import CancelToken, VisionRequest
from vlm.fake import FakeVisionModel, script
from vlm.tasks.asking import TaskOptions
from vlm.tasks.transcribe import PROMPT

ARTICLE = "本制度自二〇二六年一月一日起施行，适用于公司全体在册员工，由人力资源部负责解释。"
LEAVE = "员工连续工作满一年的，每年享受五天带薪年休假，未休部分不跨年累计。"
OTHER = "加班须事先书面申请，经部门负责人批准后方可计发加班工资或者安排补休。"
PLAIN = page(Plain("员工手册", BlockKind.HEADER), ARTICLE, LEAVE, Plain("- 3 -", BlockKind.FOOTER))


def reader(*answers: str) -> tuple[Transcriber, FakeVisionModel]:
    model = FakeVisionModel(script(answers))
    return Transcriber(Asked(model, TaskOptions(max_tokens=4096)), None), model


def read(plain: PageRecord, *answers: str, image: RGB | None = None) -> PageRecord:
    transcriber, _ = reader(*answers)
    return both(transcriber, plain, picture(plain) if image is None else image)


def both(transcriber: Transcriber, plain: PageRecord, image: RGB) -> PageRecord:
    record = aligned(plain, transcriber.look(plain, image), image)
    check(record)
    return record


def test_a_good_transcription_gives_its_structure() -> None:
    record = read(PLAIN, f"## 第一条\n\n{ARTICLE}\n\n{LEAVE}")
    assert [block.source for block in record.blocks] == [Source.OCR, Source.VLM, Source.VLM, Source.OCR]
    assert record.text == PLAIN.text
    assert record.verdict.status == "ok"


def test_a_loop_that_stops_in_bands_is_no_fault() -> None:
    record = read(PLAIN, LEAVE * 40, ARTICLE, "", LEAVE)
    assert record.text == PLAIN.text
    assert record.verdict.codes == ()
    assert record.blocks[1].source is Source.VLM


def test_a_loop_that_does_not_stop_leaves_the_plain_reading_flagged() -> None:
    record = read(PLAIN, LEAVE * 40, *[LEAVE * 40] * 3)
    assert record == PLAIN.model_copy(update={"verdict": Verdict(codes=(VerdictCode.REPETITION,))})


def test_what_looped_in_one_band_is_taken_from_the_plain_reading() -> None:
    record = read(PLAIN, LEAVE * 40, ARTICLE, "", LEAVE * 40)
    assert record.text == PLAIN.text
    assert VerdictCode.REPETITION in record.verdict.codes
    assert [block.source for block in record.blocks[1:3]] == [Source.VLM, Source.OCR]


@pytest.mark.parametrize("level", [255, 128, 0])
def test_a_blank_page_is_shown_to_no_model(level: int) -> None:
    transcriber, model = reader()
    blank = page().model_copy(update={"verdict": Verdict(codes=(VerdictCode.BLANK,))})
    assert both(transcriber, blank, np.full((500, 350, 3), level, np.uint8)) == blank
    assert both(transcriber, page(), np.full((500, 350, 3), level, np.uint8)) == page()
    assert model.requests == []


def test_invented_text_is_flagged_and_kept_out() -> None:
    record = read(PLAIN, f"{ARTICLE}\n\n{LEAVE}\n\n{OTHER}")
    assert record.text == PLAIN.text
    assert record.verdict.codes == (VerdictCode.INVENTED_TEXT,)


def test_readers_that_disagree_are_flagged_and_the_plain_one_stays() -> None:
    record = read(PLAIN, OTHER)
    assert record.text == PLAIN.text
    assert set(record.verdict.codes) == {VerdictCode.READER_DISAGREEMENT, VerdictCode.INVENTED_TEXT}
    assert all(block.source is Source.OCR for block in record.blocks)


def test_earlier_verdicts_are_kept() -> None:
    plain = PLAIN.model_copy(update={"verdict": Verdict(codes=(VerdictCode.HIDDEN_TEXT,))})
    assert read(plain, OTHER).verdict.codes[0] is VerdictCode.HIDDEN_TEXT


def test_what_no_second_reader_can_place_is_searched_as_the_models_words() -> None:
    unread = page().model_copy(update={"verdict": Verdict(codes=(VerdictCode.UNREADABLE,))})
    record = read(unread, "同意。王五", image=picture(page(ARTICLE)))
    assert (record.text, record.caption) == ("", "同意。王五")
    assert record.verdict.codes == (VerdictCode.UNREADABLE,)


def speaker(request: VisionRequest) -> str:
    text = request.messages[-1].parts[1]
    if text == PROMPT.text:
        return ARTICLE
    return "摘要：讲施行日期。\n关键词：施行" if "关键词" in str(text) else "类型：柱状图\n内容：收入上升"


def test_pages_and_figures_are_described() -> None:
    plain = page(ARTICLE, Plain("", BlockKind.FIGURE))
    asked = Asked(FakeVisionModel(speaker), TaskOptions())
    for transcriber in (Transcriber(asked, asked), Transcriber(None, asked)):
        record = both(transcriber, plain, picture(plain, [Box(0.1, 0.8, 0.5, 0.9)]))
        assert record.caption == "讲施行日期。 关键词：施行"
        assert record.blocks[1].caption == "柱状图：收入上升。"
        assert record.text == plain.text


def test_fingerprints_follow_what_is_asked_of_whom() -> None:
    a, b = (Asked(FakeVisionModel(name=name), TaskOptions()) for name in "ab")
    more = a._replace(options=TaskOptions(max_tokens=9))
    pairs = [(a, None), (None, a), (a, a), (b, a), (a, b), (more, None)]
    assert len({Transcriber(*pair).fingerprint for pair in pairs}) == len(pairs)
    assert Transcriber(a, b).fingerprint == Transcriber(a, b).fingerprint


def test_a_stopped_run_makes_no_record() -> None:
    transcriber, _ = reader(ARTICLE)
    token = CancelToken()
    token.cancel()
    with pytest.raises(ModelUnavailableError):
        transcriber.look(PLAIN, picture(PLAIN), token)
