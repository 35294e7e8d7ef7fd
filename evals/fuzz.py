"""Fuzz the parsers' edge: ``python -m evals.fuzz TARGET --seconds 600`` (atheris, which is libFuzzer for Python).

Targets are the parts that meet a file first and are written in Python: what is a file, what is in an archive, a mail, a
page of HTML. Whatever bytes come, each must answer or raise a :class:`~tuwen.errors.TuwenError`; anything else ends
the run with exit code 1 and leaves the input in the folder that ``--corpus`` names.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

SEEDS = {
    "a.txt": "图文测试：合同编号与付款条件。".encode("gb18030"),
    "a.html": "<html><meta charset='gbk'><p>图文</p></html>".encode("gbk"),
    "a.eml": b"From: a@b\nSubject: =?gbk?B?zbzOxA==?=\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
    b"--B\nContent-Type: text/plain; charset=gbk\n\n\xcd\xbc\n--B\nContent-Type: application/pdf;\n"
    b" name*=GBK''%CD%BC.pdf\nContent-Transfer-Encoding: base64\n\nJVBERg==\n--B--\n",
    "a.rtf": b"{\\rtf1 x}",
    "a.pdf": b"%PDF-1.4\n",
}

_MEMORY_MB = 2048


def targets() -> dict[str, Callable[[Path], object]]:
    """What can be fuzzed, by name; takes a file."""
    from ingest.containers.mails import MailContainer
    from ingest.containers.zips import ZipContainer
    from ingest.formats.html import decode_html
    from ingest.office.encryption import is_encrypted
    from ingest.sniffing import sniff
    from tuwen.settings import LimitSettings

    limits = LimitSettings(max_archive_bytes=1 << 24, max_archive_files=100, max_file_bytes=1 << 24)

    def unpack(container: ZipContainer | MailContainer, target: Path) -> None:
        for member in container.listing(limits).members:
            container.extract(member.number, target)

    return {
        "sniff": sniff,
        "zip": lambda file: unpack(ZipContainer(file, "password"), file.with_suffix(".out")),
        "mail": lambda file: unpack(MailContainer(file, None), file.with_suffix(".out")),
        "html": lambda file: decode_html(file.read_bytes()),
        "encryption": is_encrypted,
    }


def seed(corpus: Path) -> None:
    """Write small files of every kind to start from."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in SEEDS.items():
            packed.writestr(f"文件/{name}", data)
    for name, data in {**SEEDS, "a.zip": archive.getvalue()}.items():
        (corpus / name).write_bytes(data)


def fuzz(target: str, seconds: int, corpus: Path) -> None:
    """Fuzz for some time, then exit: libFuzzer does not return."""
    import atheris

    with atheris.instrument_imports(include=["ingest", "email", "zipfile", "pyzipper", "olefile"]):
        call = targets()[target]
    from ingest.isolation import limit_memory
    from tuwen.errors import TuwenError

    file = Path(tempfile.mkdtemp()) / "input"

    def once(data: bytes) -> None:
        file.write_bytes(data)
        try:
            call(file)
        except TuwenError:
            return

    # libFuzzer's own limit looks at the highest memory ever, which a process inherits from the one that started it.
    limit_memory(_MEMORY_MB)
    limits = ["-max_len=8192", "-timeout=20", "-rss_limit_mb=0"]
    options = [f"-max_total_time={seconds}", *limits, f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], *options, "-verbosity=0", "-print_final_stats=1", str(corpus)], once)
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m evals.fuzz", description="Fuzz the parsers' edge.")
    parser.add_argument("target", choices=("sniff", "zip", "mail", "html", "encryption"))
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--corpus", type=Path, help="where inputs are kept (default: a new temporary folder)")
    parsed = parser.parse_args(arguments)
    corpus = parsed.corpus or Path(tempfile.mkdtemp())
    corpus.mkdir(parents=True, exist_ok=True)
    seed(corpus)
    fuzz(parsed.target, parsed.seconds, corpus)


if __name__ == "__main__":
    main()
