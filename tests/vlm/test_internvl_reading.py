"""A real model end to end: trained here, saved in original format, loaded, and reading what is drawn."""

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from tests.vlm.tiny import QUESTION, TEXTS, pages, reading_lessons, train
from vlm.base import VisionRequest
from vlm.internvl.model import InternVL, InternVLOptions


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, cache: Path, one_thread: None) -> Iterator[InternVL]:
    folder = tmp_path_factory.mktemp("tiny")
    train(folder, reading_lessons())
    model = InternVL(InternVLOptions(str(folder), batch=4), cache)
    yield model
    model.close()


def read(model: InternVL, images: list) -> list[str]:
    results = model.generate([VisionRequest.ask(QUESTION, image, max_tokens=60) for image in images])
    assert {result.finish_reason for result in results} == {"stop"}
    return [result.text for result in results]


def test_six_pages_are_read_exactly(reader: InternVL) -> None:
    assert reader.description.name
    assert reader.sizes.format == "original"
    assert read(reader, pages()) == list(TEXTS)


def test_permuted_images_permute_texts(reader: InternVL) -> None:
    """The question is the same for all: a model that did not look would say the same."""
    made = pages()
    for order in list(permutations(range(6)))[:: 6 * 5 * 4]:
        assert read(reader, [made[number] for number in order]) == [TEXTS[number] for number in order]


def test_a_page_is_read_as_it_is_written(reader: InternVL) -> None:
    with reader.stream(VisionRequest.ask(QUESTION, pages()[1], max_tokens=60)) as stream:
        pieces = list(stream)
    assert pieces == list(TEXTS[1])
