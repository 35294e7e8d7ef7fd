"""Commands that keep the stores in order: delete, retry, reread, doctor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tuwen.cli.app import Collection, Config, Json, app, at_work, open_engine, print_json

if TYPE_CHECKING:
    from tuwen.types import Document

Password = Annotated[str | None, typer.Option(help="For encrypted files.")]
_ID = "Id, or its first characters."


@app.command()
def delete(
    context: typer.Context,
    document_ids: Annotated[list[str], typer.Argument(metavar="ID", help=_ID)],
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Remove documents from every store; says what left each."""
    from tuwen.cli.output import print_receipts

    with open_engine(context, config) as engine:
        receipts = engine.delete(document_ids)
    if as_json:
        print_json({"deleted": [receipt.model_dump() for receipt in receipts]})
    else:
        print_receipts(receipts)


@app.command()
def retry(
    context: typer.Context,
    document_ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help=_ID)] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Everything that failed.")] = False,
    collection: Annotated[str | None, Collection.__metadata__[0]] = None,
    password: Password = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Try again documents that failed, and pages that were given up."""
    if bool(document_ids) == failed:
        raise typer.BadParameter("give the ids of documents, or --failed for all that failed", param_hint="ID")
    with at_work(context, config) as (engine, progress):
        documents = engine.retry(document_ids or (), collection, password, progress)
    _report(documents, as_json=as_json)


@app.command()
def reread(
    context: typer.Context,
    document_id: Annotated[str, typer.Argument(metavar="ID", help=_ID)],
    pages: Annotated[list[int] | None, typer.Argument(metavar="PAGE", min=1, help="All if none is given.")] = None,
    password: Password = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Read pages again; the document answers as before meanwhile."""
    with at_work(context, config) as (engine, progress):
        document = engine.reread(document_id, pages or (), password, progress)
    _report([document], as_json=as_json)


def _report(documents: Sequence[Document], *, as_json: bool) -> None:
    from tuwen.cli.output import print_documents

    if as_json:
        print_json({"documents": [document.model_dump(mode="json") for document in documents]})
    else:
        print_documents(documents, none="nothing_to_retry")
    if any(document.error for document in documents):
        raise typer.Exit(1)


@app.command()
def doctor(
    context: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Find what one store holds and another does not know of."""
    from tuwen.cli.output import print_checkup

    with at_work(context, config) as (engine, progress):
        checkup = engine.doctor(fix=fix, on_event=progress)
    if as_json:
        print_json(checkup.model_dump())
    else:
        print_checkup(checkup)
    if not checkup.is_well:
        raise typer.Exit(1)
