"""``tuwen models``: the vision-language models of the preset."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vlm.checking import ModelCheck

models_app = typer.Typer(help="The vision-language models of the preset.", no_args_is_help=True)


@models_app.callback()
def common() -> None:
    """The vision-language models of the preset."""


@models_app.command()
def check(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file; TUWEN_CONFIG otherwise.")] = None,
) -> None:
    """Load each model that the preset names, and say what it is and how fast; or why it does not run."""
    from tuwen.cli.messages import say
    from tuwen.engine import Tuwen
    from tuwen.settings import load_settings
    from vlm.checking import check_models

    settings = load_settings(config or context.obj)
    checks = []
    with Tuwen.open(settings) as engine:
        for one in check_models(engine.parts.vision_models, settings.models):
            checks.append(one)
            if not as_json:
                _show(one)
    if as_json:
        sys.stdout.write(json.dumps({"models": [one.model_dump(mode="json") for one in checks]}) + "\n")
    elif not checks:
        typer.echo(say("model_none", preset=settings.preset))
    if any(one.error for one in checks):
        raise typer.Exit(3)


def _show(one: ModelCheck) -> None:
    from tuwen.cli.messages import say
    from tuwen.cli.output import print_pairs
    from tuwen.cli.usage import print_error

    named = {say("model"): one.model, say("model_tasks"): ", ".join(one.tasks)}
    if one.error:
        print_pairs(named)
        print_error(one.error.message)
        return
    print_pairs(
        named
        | {
            say("kind"): " ".join(filter(None, (one.format, one.dtype, one.revision))),
            say("model_size"): _gigabytes(one.size_bytes),
            say("model_device"): one.device,
            say("model_free"): _gigabytes(one.free_bytes),
            say("model_context"): say("model_tokens", count=f"{one.context_tokens:,}"),
            say("model_batch"): str(one.batch),
            say("model_load"): f"{one.load_s:.1f} s",
            say("model_first"): f"{one.first_token_s:.2f} s",
            say("model_speed"): say("model_speed_value", speed=one.tokens_per_s) if one.tokens_per_s else "–",
        }
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size else "–"
