"""The ``openai`` adapter against a server that is not ours: ``transformers serve`` with a tiny LLaVA."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.vlm import llava
from vlm.base import VisionRequest, VisionResult
from vlm.native import NativeModel, NativeOptions
from vlm.served import ServedModel, ServedOptions


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "llava"
    llava.save(folder)
    return folder


@pytest.fixture(scope="module")
def served(checkpoint: Path) -> Iterator[ServedModel]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "transformers"
    command = [program, "serve", checkpoint, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    log = checkpoint.parent / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, env=os.environ | {"OMP_NUM_THREADS": "1"}
        ) as process,
    ):
        model = ServedModel(ServedOptions(str(checkpoint), (f"http://127.0.0.1:{port}/v1",), context_tokens=8192))
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield model
        finally:
            model.close()
            process.terminate()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-1000:]}")


def requests() -> list[VisionRequest]:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 256, (30, 40 + number, 3), np.uint8) for number in range(3)]
    asked = [VisionRequest.ask("写了什么？", image, max_tokens=8) for image in images]
    two = VisionRequest.ask("比较", *images[:2], system="乙", max_tokens=3)
    return [*asked, VisionRequest.ask("再来", max_tokens=4), two]


def finished(result: VisionResult) -> VisionResult:
    """Without the character that the limit cut in the middle, which the server leaves out."""
    return result._replace(text=result.text.removesuffix("\ufffd"))


def test_it_gives_what_the_same_model_gives_in_process(served: ServedModel, checkpoint: Path) -> None:
    model = NativeModel(NativeOptions(str(checkpoint)))
    expected = model.generate(requests())
    model.close()
    assert [finished(result) for result in served.generate(requests())] == [finished(result) for result in expected]
    assert len({result.text for result in expected}) == len(expected)


def test_it_streams(served: ServedModel) -> None:
    (expected,) = served.generate(requests()[:1])
    with served.stream(requests()[0]) as stream:
        pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(pieces) == expected.text
    assert stream.result == expected
