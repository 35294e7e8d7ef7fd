"""The composition root: the one module that knows which adapter is which, as the settings say."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from retrieval.answerers import build_answerer
from retrieval.base import Answerer, Encoders, PageIndex, Reranker
from retrieval.encoders import build_encoders
from retrieval.fields import vector_fields
from retrieval.index import open_index
from retrieval.rerankers import build_reranker
from tuwen.artefacts import Artefacts, Fingerprints
from tuwen.blobs import Blobs, open_blobs
from tuwen.catalog import Catalog, sqlite_url
from tuwen.errors import StorageUnavailableError
from tuwen.jobs import Stores
from tuwen.settings import Settings, VisionModelSettings
from tuwen.stages import Setup, stage_fingerprints
from tuwen.transcription import Asked, Transcriber
from vlm.base import VisionModel
from vlm.models import VisionModels, task_options
from vlm.tasks.answer import AnswerWriter

TENANT = "default"


class Parts:
    """Stores, encoders and models of one process, each opened when it is first needed.

    Listing documents does not touch the index, which only one process may hold.
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.home = home
        self._exit = ExitStack()

    def close(self) -> None:
        """Let go of the index and the catalog."""
        self._exit.close()

    @cached_property
    def catalog(self) -> Catalog:
        """Documents and the ledger."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailableError(f"TUWEN_HOME {self.home} cannot be made: {error.strerror}.") from error
        url = self.settings.catalog.url or sqlite_url(self.home / "catalog.db")
        return self._exit.enter_context(Catalog.open(url))

    @cached_property
    def encoders(self) -> Encoders:
        """All vectors of the preset."""
        return build_encoders(self.settings.encoders, self.home)

    @cached_property
    def index(self) -> PageIndex:
        """The vector index of these encoders; held until :meth:`close`."""
        index = open_index(self.settings.index, self.index_path, vector_fields(self.encoders))
        self._exit.callback(index.close)
        return index

    @property
    def index_path(self) -> Path:
        """Folder of an embedded index: one for each set of encoders."""
        return self.home / "index" / self.encoders.fingerprint

    @cached_property
    def reranker(self) -> Reranker:
        """Scores again what the index found."""
        return build_reranker(self.settings.search.reranker, self.encoders, self.index)

    @cached_property
    def answerer(self) -> Answerer:
        """From evidence to drafts."""
        return build_answerer(self.settings.answer, self.encoders, self._answer_writer())

    def _answer_writer(self) -> AnswerWriter | None:
        model = self.vision_models.answer
        return AnswerWriter(model, task_options(self.settings.models.answer)) if model else None

    @cached_property
    def vision_models(self) -> VisionModels:
        """The vision-language model of each task; loaded when it is first used."""
        models = VisionModels(self.settings.models, self.home)
        self._exit.callback(models.close)
        return models

    @cached_property
    def transcriber(self) -> Transcriber | None:
        """What looks at pages beside the plain readers; None where the preset names no model for it."""
        models, settings = self.vision_models, self.settings.models
        reader = _asked(models.transcribe, settings.transcribe)
        describer = _asked(models.caption, settings.caption)
        return Transcriber(reader, describer) if reader or describer else None

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """Of the stages under these settings."""
        return stage_fingerprints(self.settings, self.encoders, self._transcriber_fingerprint)

    @cached_property
    def blobs(self) -> Blobs:
        """Originals and artefacts, as bytes."""
        return open_blobs(self.settings.blobs, self.home)

    @cached_property
    def artefacts(self) -> Artefacts:
        """Originals and artefacts, as records."""
        return Artefacts(self.blobs, self.fingerprints)

    @property
    def stores(self) -> Stores:
        """What a worker writes to; opens the index."""
        return Stores(self.catalog, self.artefacts, self.fingerprints, self.index)

    @property
    def setup(self) -> Setup:
        """What a child process is told."""
        return Setup(self.settings, self.home, self._transcriber_fingerprint)

    @property
    def _transcriber_fingerprint(self) -> str:
        return self.transcriber.fingerprint if self.transcriber else ""


def _asked(model: VisionModel | None, settings: VisionModelSettings) -> Asked | None:
    return Asked(model, task_options(settings)) if model else None
