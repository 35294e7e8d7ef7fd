"""Models that several tests use, loaded once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.vlm.golden import CHECKPOINT
from vlm.checkpoint import Checkpoint, find
from vlm.internvl.config import Sizes, read_sizes
from vlm.internvl.engine import Engine, EngineLimits
from vlm.internvl.load import Loaded, load
from vlm.internvl.prompt import Prompter


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models as tiny as these wait for their threads longer than they work, twentyfold on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden_checkpoint() -> Checkpoint:
    return find(str(CHECKPOINT))


@pytest.fixture(scope="session")
def golden_sizes(golden_checkpoint: Checkpoint) -> Sizes:
    return read_sizes(golden_checkpoint.config, golden_checkpoint.name)


@pytest.fixture(scope="session")
def golden_prompter(golden_checkpoint: Checkpoint, golden_sizes: Sizes) -> Prompter:
    return Prompter(golden_checkpoint, golden_sizes)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def golden(golden_checkpoint: Checkpoint, golden_sizes: Sizes, golden_prompter: Prompter, cache: Path) -> Loaded:
    return load(golden_checkpoint, golden_sizes, golden_prompter.image_id, cache, "float32", "cpu")


@pytest.fixture(scope="session")
def golden_engine(golden: Loaded, golden_prompter: Prompter) -> Iterator[Engine]:
    engine = Engine(golden, golden_prompter.image_id, 56, EngineLimits(context_tokens=1024))
    yield engine
    engine.close()
