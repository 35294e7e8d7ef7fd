"""``kill -9`` at any moment, then the same command: nothing acknowledged is lost, nothing is there twice."""

from pathlib import Path

from evals import kill_run


def test_killed_again_and_again(tmp_path: Path) -> None:
    """A small version of ``python -m evals.kill_run``."""
    seen = kill_run.run(tmp_path, documents=6, kills=4, seed=3, workers=1)
    assert seen.is_clean, seen
    assert (seen.documents, seen.kills, seen.pages) == (6, 4, 9)
    assert min(seen.done_at_kills) < seen.entries, "killed in the middle"
    assert seen.points >= 2 * seen.pages
    assert seen.most_in_flight <= 2, "two tasks a child"


def test_what_differs_is_seen(tmp_path: Path) -> None:
    """The comparison itself: a point that is missing, and one with another vector, count."""
    from retrieval.base import Filter
    from tuwen.engine import Tuwen
    from tuwen.settings import load_settings

    kill_run.draw_documents(tmp_path / "in", 1)
    for home in ("calm", "killed"):
        kill_run._finish(kill_run._start(tmp_path / "in", tmp_path / home, 1))
    with Tuwen.open(load_settings(environ={}), tmp_path / "killed") as engine:
        first, second = list(engine.index.points())
        engine.index.delete(Filter(points=(first.id,)))
        vectors = {name: vector for name, vector in second.vectors.items() if name != "dense"}
        engine.index.upsert([second._replace(vectors=vectors, payload=second.payload.model_copy(update={"page": 9}))])
    compared = kill_run._compared(tmp_path / "calm", tmp_path / "killed")
    assert (compared["points"], compared["differing_points"], compared["differing_pages"]) == (2, 2, 0)
    assert compared["findings"] == 1
