"""Commands. Each opens the engine, calls one verb, and prints its result for people or as JSON."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from tuwen import __version__
from tuwen.cli.messages import say, translated
from tuwen.cli.models import models_app
from tuwen.cli.usage import localise, print_error, print_misuse
from tuwen.errors import InvalidRequestError, NotFoundError, TuwenError

if TYPE_CHECKING:
    from tuwen.cli.output import IngestProgress
    from tuwen.engine import Tuwen
    from tuwen.status import InWork
    from tuwen.types import IngestReport

app = typer.Typer(
    name="tuwen",
    help="图文: ask Chinese documents a question, get an answer that cites the exact place on the exact page.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(models_app, name="models")

_EXPECTED_SKIPS = {"hidden", "unsupported_type"}
"""Codes of what a folder holds besides documents."""

Config = Annotated[Path | None, typer.Option("--config", help="Settings file; TUWEN_CONFIG otherwise.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, max=200, help="Pages wanted.")]


def main() -> None:
    """Run the command line; expected errors become one sentence and an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # give leases and the index back
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    try:
        sys.exit(localise(command).main(standalone_mode=False))
    except typer.TyperException as misuse:
        _exit(InvalidRequestError(misuse.format_message()), partial(print_misuse, misuse))
    except TuwenError as error:
        _exit(error, partial(print_error, error.message))


def _exit(error: TuwenError, for_people: Callable[[], None]) -> NoReturn:
    if "--json" in sys.argv:
        print_json({"error": error.problem.model_dump()})
    else:
        for_people()
    sys.exit(error.exit_code)


@app.callback()
def common(
    context: typer.Context,
    config: Config = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Options before the command hold for all commands."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
    context.obj = config


def open_engine(context: typer.Context, config: Path | None) -> Tuwen:
    """The engine over the settings that the command line names."""
    from tuwen.engine import Tuwen
    from tuwen.settings import load_settings

    return Tuwen.open(load_settings(config or context.obj))


@contextmanager
def at_work(context: typer.Context, config: Path | None) -> Iterator[tuple[Tuwen, IngestProgress]]:
    """The engine, and where it reports its progress; who stops it is told that nothing is lost."""
    from tuwen.cli.output import IngestProgress

    try:
        with open_engine(context, config) as engine, IngestProgress() as progress:
            yield engine, progress
    except (KeyboardInterrupt, SystemExit):
        typer.echo(say("interrupted"), err=True)
        raise


def print_json(value: Any) -> None:
    """The one JSON document of a command."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@app.command()
def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", readable=False)],
    collection: Collection = "default",
    password: Annotated[str | None, typer.Option(help="For encrypted files.")] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Take in documents: read every page, index it. Running it again goes on where it was."""
    from tuwen.cli.output import print_report

    began = time.perf_counter()
    with at_work(context, config) as (engine, progress):
        report = engine.ingest(paths, collection, password, progress)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        print_report(report, time.perf_counter() - began)
    if _any_failed(report, paths):
        raise typer.Exit(1)


def _any_failed(report: IngestReport, paths: list[Path]) -> bool:
    """A failed document, or a path that should have been taken; what else lies in a folder is no failure."""
    named = {path.name for path in paths if not path.is_dir()}
    missed = any(item.code not in _EXPECTED_SKIPS or item.path in named for item in report.skipped)
    return missed or any(document.error for document in report.documents)


@app.command()
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="Words to look for.")] = "",
    image: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A picture to look for.")] = None,
    top_k: TopK = 10,
    collection: Collection = "default",
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Find the pages that match best."""
    from tuwen.cli.output import print_hits

    with open_engine(context, config) as engine:
        result = engine.search(query, top_k, collection, image)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        print_hits(result)


@app.command()
def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="A question.")],
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", min=1, max=50, help="Pages taken as evidence.")] = None,
    collection: Collection = "default",
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Answer a question; every claim cites the place where it is printed."""
    from tuwen.cli.output import print_answer

    with open_engine(context, config) as engine:
        answer = engine.ask(question, top_k, collection)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        print_answer(answer)


@app.command()
def page(
    context: typer.Context,
    document_id: Annotated[str, typer.Argument(help="Id, or its first characters.")],
    number: Annotated[int, typer.Argument(metavar="N", min=1, help="Page number from 1.")],
    image: Annotated[Path | None, typer.Option(help="Write the page's picture to this PNG file.")] = None,
    highlight: Annotated[str | None, typer.Option(help="Mark this quote on the picture.")] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Show what was read from a page, or its picture with a quote marked."""
    from tuwen.cli.output import print_page
    from tuwen.views import page_view

    if highlight and not image:
        raise typer.BadParameter("give --image FILE, the picture to mark the quote on", param_hint="--highlight")
    with open_engine(context, config) as engine:
        full_id = engine.catalog.document(document_id).document_id
        record = engine.page(full_id, number)
        if image:
            _write_picture(engine, full_id, number, image, highlight)
    if as_json:
        print_json(page_view(full_id, record))
    elif image:
        typer.echo(say("wrote", path=image), err=True)
    else:
        print_page(record)


def _write_picture(engine: Tuwen, document_id: str, number: int, target: Path, quote: str | None) -> None:
    from retrieval.grounding import locate
    from tuwen.pictures import highlighted

    picture = engine.page_image(document_id, number)
    located = locate(quote, picture.record) if quote else None
    if quote and not located:
        raise NotFoundError("The quote is not printed on this page.")
    try:
        highlighted(picture.jpeg, located.boxes if located else ()).save(target, "PNG")
    except OSError as error:
        raise InvalidRequestError(f"{target} cannot be written: {error.strerror or error}.") from error


@app.command()
def documents(
    context: typer.Context, collection: Collection = "default", as_json: Json = False, config: Config = None
) -> None:
    """List the documents of a collection."""
    from tuwen.cli.output import print_documents

    with open_engine(context, config) as engine:
        listed = engine.documents(collection)
    if as_json:
        print_json({"documents": [document.model_dump(mode="json") for document in listed]})
    else:
        print_documents(listed)


@app.command()
def status(context: typer.Context, as_json: Json = False, config: Config = None) -> None:
    """Show what is stored, what is in work, and who holds the index."""
    from tuwen.cli.output import print_pairs

    with open_engine(context, config) as engine:
        state = engine.status()
    if as_json:
        print_json(state.model_dump(mode="json"))
        return
    counts = say("list_mark").join(
        say("status_count", status=say(f"status_{name}"), count=count) for name, count in state.documents.items()
    )
    work = [f"{item.name} {say('in_work_pages', **_progress(item))}" for item in state.in_work]
    print_pairs(
        {
            say("version"): state.version,
            say("preset"): state.preset,
            say("home"): state.home,
            say("documents"): counts or "0",
            say("pages_indexed"): str(state.pages),
            say("in_work"): "\n".join(work) or say("nothing"),
            say("index_held"): translated(state.index_owner) if state.index_owner else say("index_free"),
        }
    )


def _progress(item: InWork) -> dict[str, object]:
    return {"pages": item.pages or "?", **item.through}
