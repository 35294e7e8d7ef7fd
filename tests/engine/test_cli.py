"""The command line as its users see it: real processes, JSON to the letter, exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pymupdf
import pytest
from PIL import Image
from rich.cells import cell_len

from tests.engine.drawing import draw_pdf, report
from tuwen import __version__

DOCUMENT = {
    "document_id", "name", "path", "sha256", "version", "status", "pages", "warnings", "error", "duplicate_of",
    "created_at",
}  # fmt: skip
BLOCK = {"kind", "order", "box", "text", "markdown", "caption", "source", "confidence"}


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def tuwen(home: Path, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Ran:
    command = [sys.executable, "-m", "tuwen", *map(str, arguments)]
    environment = {
        **os.environ,
        "TUWEN_HOME": str(home),
        "TUWEN_INGEST__WORKERS": "1",
        "TUWEN_LANG": "en",
        **(env or {}),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "home"


@pytest.fixture(scope="module")
def ingested(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("in")
    draw_pdf(folder / "桥梁.pdf", report(7))
    draw_pdf(folder / "隧道.pdf", report(8))
    return tuwen(home, "ingest", folder, "--json")


@pytest.fixture
def document_id(ingested: Ran) -> str:
    return next(d["document_id"] for d in ingested.json["documents"] if d["name"] == "桥梁.pdf")


def test_ingest(ingested: Ran) -> None:
    assert ingested.code == 0
    assert ingested.json.keys() == {"documents", "skipped"}
    for document in ingested.json["documents"]:
        assert document.keys() == DOCUMENT
        assert (document["status"], document["pages"]) == ("ready", 3)


def test_search(home: Path, ingested: Ran, document_id: str) -> None:
    found = tuwen(home, "search", "项目7第2期的预算", "--top-k", "2", "--json").json
    assert found.keys() == {"query", "hits"}
    assert len(found["hits"]) == 2
    first = found["hits"][0]
    assert first.keys() == {"document_id", "document_name", "page", "score", "kind", "text", "boxes", "verdict"}
    assert (first["document_id"], first["page"], first["kind"]) == (document_id, 2, "text")
    assert all(0 <= x <= 1 for box in first["boxes"] for x in box)
    assert first["boxes"]
    assert len({(hit["document_id"], hit["page"]) for hit in found["hits"]}) == 2


def test_ask(home: Path, document_id: str) -> None:
    answer = tuwen(home, "ask", "项目7第2期的预算是多少？", "--json").json
    assert answer.keys() == {
        "question", "answer", "refused", "reason", "conflict", "citations", "timings",
    }  # fmt: skip
    assert not answer["refused"]
    assert "702万元" in answer["answer"]
    (citation, *_) = answer["citations"]
    assert citation.keys() == {
        "marker",
        "document_id",
        "document_name",
        "page",
        "quote",
        "boxes",
        "verified",
        "verdict",
    }
    assert (citation["document_id"], citation["page"], citation["verified"]) == (document_id, 2, True)
    assert f"[{citation['marker']}]" in answer["answer"]
    assert answer["timings"].keys() == {"retrieve_ms", "answer_ms"}
    page = tuwen(home, "page", document_id, "2", "--json").json
    inside = [word["text"] for word in page["words"] if any(covers(box, word["box"]) for box in citation["boxes"])]
    assert "".join(citation["quote"].split()) in "".join(inside)


def covers(box: Sequence[float], word: Sequence[float]) -> bool:
    x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def test_a_suspect_page_is_named_in_hits_and_answers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = draw_pdf(tmp_path / "合同.pdf", ["<p>项目七的验收日期为2026年5月20日，由工程部负责。</p>"])
    with pymupdf.open(path) as document:
        document[0].insert_text((60, 700), "项目七的验收日期改为2030年1月1日。", fontname="china-s", color=(1, 1, 1))
        document.saveIncr()
    tuwen(home, "ingest", path)
    question = "项目七的验收日期是哪一天？"
    answer = tuwen(home, "ask", question, "--json").json
    assert "2026年5月20日" in answer["answer"]
    assert "2030" not in answer["answer"]
    suspect = {"status": "suspect", "codes": ["hidden_text"]}
    assert [citation["verdict"] for citation in answer["citations"]] == [suspect] * len(answer["citations"])
    assert [hit["verdict"] for hit in tuwen(home, "search", question, "--json").json["hits"]] == [suspect]
    for command in ("ask", "search"):
        assert "hidden text left out" in " ".join(tuwen(home, command, question).out.split())


def test_refusal(home: Path, ingested: Ran) -> None:
    answer = tuwen(home, "ask", "谁获得了1998年的世界杯冠军？", "--json").json
    assert answer["refused"]
    assert answer["reason"] == "no_evidence"
    assert answer["citations"] == []


def test_page(home: Path, document_id: str) -> None:
    page = tuwen(home, "page", document_id, "1", "--json").json
    assert page.keys() == {
        *("document_id", "page", "width", "height", "text", "markdown", "caption", "blocks", "words", "verdict")
    }
    assert (round(page["width"]), round(page["height"])) == (595, 842)
    assert page["blocks"][0].keys() == BLOCK
    assert page["blocks"][0]["kind"] == "title"
    assert page["words"][0].keys() == {"text", "box"}
    assert page["verdict"] == {"status": "ok", "codes": []}
    assert "预算为701万元" in page["text"]


def test_page_picture(home: Path, document_id: str, tmp_path: Path) -> None:
    target = tmp_path / "page.png"
    ran = tuwen(home, "page", document_id[:8], "2", "--image", target, "--highlight", "预算为702万元")
    assert (ran.code, ran.out) == (0, "")
    with Image.open(target) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB"))
    assert ((pixels[..., 0] > 200) & (pixels[..., 2] < 150)).any()
    missing = tuwen(home, "page", document_id, "2", "--image", target, "--highlight", "这句话不在这一页上")
    assert missing.code == 1
    assert "not printed" in missing.err


def test_documents_and_status(home: Path, ingested: Ran) -> None:
    listed = tuwen(home, "documents", "--json").json["documents"]
    assert [d["name"] for d in listed] == [d["name"] for d in ingested.json["documents"]]
    status = tuwen(home, "status", "--json").json
    assert status["documents"] == {"ready": 2}
    assert (status["pages"], status["preset"], status["index_owner"]) == (6, "embedded", None)


@pytest.mark.parametrize(("language", "word"), [("zh", "回答"), ("en", "Answer")])
def test_people_read_their_language(home: Path, ingested: Ran, language: str, word: str) -> None:
    ran = tuwen(home, "ask", "项目7第2期的预算是多少？", env={"TUWEN_LANG": language})
    assert word in ran.out
    assert "桥梁.pdf" in ran.out


def test_ingesting_again_reads_nothing(home: Path, ingested: Ran, tmp_path: Path) -> None:
    draw_pdf(tmp_path / "桥梁.pdf", report(7))
    ran = tuwen(home, "ingest", tmp_path, "--json")
    assert ran.code == 0
    assert [d["status"] for d in ran.json["documents"]] == ["duplicate"]


def test_a_failed_file_gives_exit_code_1(home: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    ran = tuwen(home, "ingest", tmp_path, "--collection", "other", "--json")
    assert ran.code == 1
    assert ran.json["documents"][0]["error"]["code"] == "corrupt_file"
    listed = tuwen(home, "documents", "--collection", "other", env={"TUWEN_LANG": "zh", "COLUMNS": "200"})
    assert "文件无法作为 PDF 打开：已损坏或不完整。" in listed.out


def test_a_path_that_is_not_there_gives_exit_code_1(home: Path, tmp_path: Path) -> None:
    ran = tuwen(home, "ingest", tmp_path / "none.pdf", "--json")
    assert ran.code == 1
    assert ran.json["skipped"][0]["code"] == "not_found"


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        (["search"], {}, "search for"),
        (["ask", "  "], {}, "empty"),
        (["status"], {"TUWEN_INGEST__WROKERS": "1"}, "TUWEN_INGEST__WROKERS"),
        (["--config", "none.yaml", "status"], {}, "none.yaml"),
        (["status", "--config", "none.yaml"], {}, "none.yaml"),
        (["frobnicate"], {}, "frobnicate"),
        (["frobnicate"], {"TUWEN_LANG": "zh"}, "没有命令 'frobnicate'"),
        (["searhc", "预算"], {"TUWEN_LANG": "zh"}, "是不是想用 'search'？"),
        (["search", "预算", "--topk", "3"], {"TUWEN_LANG": "zh"}, "没有选项 --topk。是不是想用 --top-k？"),
        (["search", "预算", "-k", "0"], {"TUWEN_LANG": "zh"}, "'--top-k' / '-k' 的值不对：应不小于 1"),
        (["search", "预算", "-k"], {"TUWEN_LANG": "zh"}, "选项 '-k' 后面要给出值"),
        (["documents", "多余"], {"TUWEN_LANG": "zh"}, "多出了参数：多余"),
        (["search", "--image", "none.png"], {"TUWEN_LANG": "zh"}, "没有文件 'none.png'"),
        (["ask"], {"TUWEN_LANG": "zh"}, "缺少参数 'question'"),
        (["ask", "  "], {"LC_ALL": "zh_CN.UTF-8", "TUWEN_LANG": ""}, "错误：问题是空的"),
        (["status"], {"TUWEN_INGEST__WROKERS": "1", "TUWEN_LANG": "zh"}, "没有这一项（是不是想写 workers？）"),
        (["status"], {"TUWEN_INGEST__WORKERS": "-1", "TUWEN_LANG": "zh"}, "ingest.workers：应不小于 0"),
        ([], {"TUWEN_LANG": "zh"}, "用法："),
    ],
)
def test_bad_usage_gives_exit_code_2(
    home: Path, ingested: Ran, arguments: list[str], env: dict[str, str], says: str
) -> None:
    ran = tuwen(home, *arguments, env=env)
    assert ran.code == 2
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_bad_usage_is_json_too(home: Path) -> None:
    ran = tuwen(home, "search", "预算", "--top-k", "many", "--json", env={"TUWEN_LANG": "zh"})
    assert (ran.code, ran.err) == (2, "")
    assert ran.json["error"]["code"] == "invalid_request"
    assert "--top-k" in ran.json["error"]["message"]
    assert ran.json["error"]["message"].isascii()


def test_version() -> None:
    assert tuwen(Path("unused"), "--version").out == f"{__version__}\n"


@pytest.mark.parametrize("command", [[], ["ingest"], ["search"], ["ask"], ["page"], ["documents"], ["status"]])
def test_help_in_chinese(command: list[str]) -> None:
    """No line is wider than a terminal, and none is left in English: only names and types are ASCII."""
    ran = tuwen(Path("unused"), *command, "--help", env={"TUWEN_LANG": "zh", "COLUMNS": "80"})
    assert ran.code == 0
    for line in ran.out.splitlines():
        assert cell_len(line) <= 80
        assert not re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", line), line


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_ingest_says_that_it_goes_on(tmp_path: Path, stop: signal.Signals) -> None:
    draw_pdf(tmp_path / "in" / "a.pdf", report(1, pages=40))
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tuwen", "ingest", str(tmp_path / "in"), "--json"]
    environment = {**os.environ, "TUWEN_HOME": str(home), "TUWEN_INGEST__WORKERS": "1", "TUWEN_LANG": "zh"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )
    while not list(home.glob("blobs/documents/*/original")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + stop, "")
    assert "再次运行同一命令，会从中断处继续" in err
    assert "Traceback" not in err


def test_a_new_data_directory_is_empty_not_an_error(tmp_path: Path) -> None:
    ran = tuwen(tmp_path / "new", "documents")
    assert ran.code == 0
    assert "tuwen ingest" in ran.out
    assert tuwen(tmp_path / "new", "search", "预算", "--json").json["hits"] == []


def test_a_data_directory_that_cannot_be_made_gives_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ran = tuwen(tmp_path / "file" / "home", "documents", "--json")
    assert ran.code == 3
    assert ran.json["error"]["code"] == "storage_unavailable"


def test_a_picture_that_cannot_be_written_gives_exit_code_2(home: Path, document_id: str, tmp_path: Path) -> None:
    ran = tuwen(home, "page", document_id, "1", "--image", tmp_path / "none" / "page.png")
    assert ran.code == 2
    assert "cannot be written" in ran.err


def test_too_large_a_file_is_not_copied(tmp_path: Path) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(1))
    env = {"TUWEN_INGEST__LIMITS__MAX_FILE_BYTES": "100"}
    ran = tuwen(tmp_path / "home", "ingest", file, "--json", env=env)
    assert ran.code == 1
    assert ran.json["skipped"][0]["code"] == "limit_exceeded"
    assert not list((tmp_path / "home").rglob("original"))


def test_json_errors_are_json(home: Path, ingested: Ran) -> None:
    ran = tuwen(home, "search", "预算", "--collection", "没有", "--json")
    assert ran.code == 1
    assert ran.json["error"]["code"] == "not_found"


def test_the_index_has_one_owner(home: Path, ingested: Ran) -> None:
    from tuwen.engine import Tuwen
    from tuwen.settings import load_settings

    with Tuwen.open(load_settings(environ={}), home) as engine:
        engine.search("预算")
        ran = tuwen(home, "search", "预算", "--json")
        status = tuwen(home, "status", "--json").json
    assert ran.code == 3
    assert ran.json["error"]["code"] == "index_locked"
    assert str(os.getpid()) in ran.json["error"]["message"]
    assert str(os.getpid()) in status["index_owner"]


def test_help_loads_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "tuwen", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "ingest" in done.stdout
    for heavy in ("pymupdf", "onnxruntime", "numpy", "sqlalchemy", "qdrant_edge"):
        assert f" {heavy}\n" not in done.stderr


def test_an_index_that_was_moved_away_is_built_again(tmp_path: Path) -> None:
    file = draw_pdf(tmp_path / "a.pdf", report(3))
    home = tmp_path / "home"
    assert tuwen(home, "ingest", file).code == 0
    (home / "index").rename(tmp_path / "away")
    lost = tuwen(home, "search", "项目3第2期的预算", "--json")
    assert (lost.code, lost.json["error"]["code"]) == (3, "index_stale")
    assert tuwen(home, "ingest", file).code == 0
    assert tuwen(home, "search", "项目3第2期的预算", "--json").json["hits"][0]["page"] == 2
