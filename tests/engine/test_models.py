"""The other adapters put together: models in process, a Qdrant index, a reranker; ingest, search, ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.fields import IMAGE
from retrieval.search import SearchQuery, search
from tests.engine.drawing import draw_pdf, report
from tests.retrieval import tiny_models
from tuwen.engine import Tuwen
from tuwen.settings import Settings

TEXT = {"adapter": "sentence_transformers"}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    makers = {"clip": tiny_models.clip, "late": tiny_models.late, "cross": tiny_models.cross_encoder}
    return {name: str(make(folder / name)) for name, make in makers.items()}


def configured(models: dict[str, str], index: str, reranker: dict[str, str]) -> Settings:
    """Texts and page images in one space, late interaction over passages, an index like that of a server."""
    clip = {**TEXT, "model": models["clip"]}
    return Settings.model_validate(
        {
            "ingest": {"workers": 1},
            "encoders": {"dense": clip, "image": clip, "late": {**TEXT, "model": models["late"], "pool_factor": 2}},
            "index": {"adapter": "server", "server": {"url": index}},
            "search": {"reranker": reranker},
        }
    )


def test_documents_go_in_and_answers_come_out(tmp_path: Path, models: dict[str, str]) -> None:
    draw_pdf(tmp_path / "in" / "报告.pdf", report(1))
    cross = configured(models, str(tmp_path / "qdrant"), {"adapter": "sentence_transformers", "model": models["cross"]})
    with Tuwen.open(cross, tmp_path / "home") as engine:
        (document,) = engine.ingest([tmp_path / "in"]).documents
        assert document.status == "ready"
        parts = engine.parts
        assert parts.encoders.dense is parts.encoders.image
        assert parts.index.facet("kind")["image"] == 3
        hits = engine.search("项目1第2期的预算", top_k=3).hits
        assert {hit.page for hit in hits} == {1, 2, 3}
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        answer = engine.ask("项目1第2期的预算是多少？")
        assert answer.refused or answer.citations[0].verified
        for page in (1, 2, 3):
            shot = SearchQuery("", parts.artefacts.page_pixels(document.document_id, page))
            found = search(shot, parts.encoders, parts.index, cross.search)
            assert {one.page: one.scores[IMAGE] for one in found}[page] == pytest.approx(1, abs=1e-5)
    late = configured(models, str(tmp_path / "qdrant"), {"adapter": "late_interaction"})
    with Tuwen.open(late, tmp_path / "home") as engine:  # other rerankers need no other index
        assert engine.ingest([tmp_path / "in"]).documents[0].status == "duplicate"
        again = engine.search("项目1第2期的预算", top_k=3).hits
        assert {hit.page for hit in again} == {1, 2, 3}
        assert [hit.score for hit in again] != [hit.score for hit in hits]
