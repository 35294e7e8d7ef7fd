"""A real model end to end: a tiny InternVL, trained on drawn pages, reads them in ``tuwen ingest``."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ingest.base import RGB, PageTask
from ingest.pipeline import read_page
from tests.vlm.tiny import TEXTS, Lesson, pages, train
from tuwen.engine import Tuwen
from tuwen.settings import IngestSettings, load_settings
from tuwen.types import PageRecord, fold_space
from vlm.base import Message, VisionRequest
from vlm.internvl.model import InternVL, InternVLOptions
from vlm.tasks.transcribe import PROMPT


class World(NamedTuple):
    """Six page pictures, what the plain reader makes of them, and a model that has learnt to transcribe them."""

    folder: Path
    home: Path
    plain: list[PageRecord]
    images: list[RGB]
    """As they are stored, and shown to the model."""
    checkpoint: Path
    environment: dict[str, str]


def transcription(text: str) -> str:
    """What the model learns to write of a page: its first line is a heading, which the plain reader cannot tell."""
    title, body = text.split("\n")
    return f"# {title}\n\n{body}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    torch.set_num_threads(1)  # as in tests/vlm: more threads would only wait for each other
    root = tmp_path_factory.mktemp("world")
    (root / "in").mkdir()
    plain, images = [], []
    for number, page in enumerate(pages()):
        file = root / "in" / f"{number}.png"
        Image.fromarray(page).save(file, dpi=(72, 72))
        result = read_page(PageTask(file, "image/png", 1, None, IngestSettings()))
        plain.append(result.record)
        images.append(np.asarray(Image.open(io.BytesIO(result.image)).convert("RGB")))
    checkpoint = root / "tiny"
    asked = [Message.of("user", image, PROMPT.text) for image in images]
    train(checkpoint, [Lesson((m,), transcription(text)) for m, text in zip(asked, TEXTS, strict=True)], steps=100)
    model = {"adapter": "internvl", "model": str(checkpoint), "device": "cpu"}
    preset = {"preset": "tiny", "models": {"transcribe": model}, "ingest": {"workers": 1}}
    (root / "tiny.yaml").write_text(yaml.safe_dump(preset))
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1", "TUWEN_LANG": "en"}
    environment |= {"TUWEN_HOME": str(root / "home"), "TUWEN_CONFIG": str(root / "tiny.yaml")}
    return World(root / "in", root / "home", plain, images, checkpoint, environment)


def tuwen(world: World, *arguments: str) -> Any:
    """The JSON of a command."""
    command = [sys.executable, "-m", "tuwen", *arguments, "--json"]
    run = subprocess.run(command, env=world.environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_what_the_model_reads_is_stored_with_the_plain_readers_boxes_and_answers(world: World) -> None:
    documents = tuwen(world, "ingest", str(world.folder))["documents"]
    assert {(document["status"], len(document["warnings"])) for document in documents} == {("ready", 0)}
    with Tuwen.open(load_settings(Path(world.environment["TUWEN_CONFIG"]), {}), world.home) as engine:
        for document in documents:
            number = int(Path(document["name"]).stem)
            record = engine.page(document["document_id"], 1)
            assert (record.text, record.markdown) == (TEXTS[number], transcription(TEXTS[number]))
            assert [(block.kind, block.source) for block in record.blocks] == [("title", "vlm"), ("text", "vlm")]
            assert [block.confidence for block in record.blocks] == [1.0, 1.0]
            assert [word.box for word in record.words] == [word.box for word in world.plain[number].words]
    answer = tuwen(world, "ask", "采购合同的质保期是多长？")
    assert "二十四个月" in answer["answer"]
    (citation,) = answer["citations"]
    assert (citation["document_name"], citation["verified"]) == ("1.png", True)


def test_the_model_looks_at_the_pictures(world: World) -> None:
    """The prompt is the same for all: a model that did not look would write the same of each."""
    model = InternVL(InternVLOptions(str(world.checkpoint), device="cpu"), world.home / "cache")
    try:
        for order in list(permutations(range(6)))[:: 6 * 5 * 4]:
            assert read(model, [world.images[n] for n in order]) == [transcription(TEXTS[n]) for n in order]
    finally:
        model.close()


def read(model: InternVL, images: Sequence[RGB]) -> list[str]:
    return [r.text for r in model.generate([VisionRequest.ask(PROMPT.text, image, max_tokens=60) for image in images])]


def test_the_plain_reader_does_not_know_the_headings(world: World) -> None:
    """Else what was stored could have come from it."""
    assert [fold_space(record.text) for record in world.plain] == list(map(fold_space, TEXTS))
    assert not any(block.kind == "title" for record in world.plain for block in record.blocks)
