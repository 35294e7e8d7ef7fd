"""Stop strings over the borders of pieces, and what a stream may show."""

import hypothesis.strategies as st
from hypothesis import given

from vlm.base import VisionRequest
from vlm.transcript import Transcript


def write(pieces: list[str], *stop: str) -> tuple[Transcript, list[str]]:
    transcript = Transcript(VisionRequest.ask("")._replace(stop=stop))
    shown = []
    for piece in pieces:
        transcript.feed(piece)
        shown.append(transcript.take())
    transcript.end("length")
    return transcript, [*shown, transcript.take()]


def test_nothing_is_shown_that_a_stop_string_may_still_cut() -> None:
    transcript, shown = write(["答案", "<", "br>", "<e", "nd>", "更多"], "<end>")
    assert shown == ["答案", "", "<br>", "", "", "", ""]
    assert (transcript.text, transcript.finish) == ("答案<br>", "stop")


def test_the_beginning_of_a_stop_string_at_the_end_is_text() -> None:
    transcript, shown = write(["答案<", "en"], "<end>")
    assert "".join(shown) == transcript.text == "答案<en"
    assert transcript.finish == "length"


@given(st.lists(st.text("ab", max_size=3), max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_pieces_do_not_matter(pieces: list[str], stops: list[str]) -> None:
    transcript, shown = write(pieces, *stops)
    whole = "".join(pieces)
    ends = [end for end in range(1, len(whole) + 1) if any(whole[:end].endswith(stop) for stop in stops)]
    assert "".join(shown) == transcript.text
    if not ends:
        assert (transcript.text, transcript.finish) == (whole, "length")
    else:
        assert transcript.finish == "stop"
        assert whole.startswith(transcript.text)
        assert not any(stop in transcript.text for stop in stops)
