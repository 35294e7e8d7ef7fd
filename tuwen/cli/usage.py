"""The command line's own help and usage errors in the user's language; typer words them in English only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import typer
from typer.core import TyperCommand, TyperGroup

from tuwen.cli.messages import language, say, translated

_EXTRAS = re.compile(r"(?P<help>.*?)(?:\s*\[(?P<extras>[^\]]*)\])?")
_UNITS = re.compile(r"(?:[!-~]+|.)[，。；：、！？）”]*")
"""What a line may not be broken inside: a run of ASCII, or one character, with the marks that close it."""


def localise(command: TyperGroup) -> TyperGroup:
    """The same command, its help and that of its subcommands in the user's language."""
    if language() == "zh":
        for each in tree(command):
            each.context_class = _Context
            each.help = translated(each.help or "")
            each.short_help = "".join(each.help.partition("。")[:2])
    return command


def tree(command: TyperGroup) -> Iterator[TyperCommand | TyperGroup]:
    """The command and all below it."""
    yield command
    for each in command.commands.values():
        if isinstance(each, TyperGroup):
            yield from tree(each)
        elif isinstance(each, TyperCommand):
            yield each


def print_misuse(error: typer.TyperException) -> None:
    """How a command is used, and what was wrong, on stderr."""
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is not None and error.message == context.get_help():  # no subcommand: no more to say
        typer.echo(error.message, err=True)
        return
    if context is not None:
        typer.echo(context.get_usage(), err=True)
        typer.echo(say("try_help", command=context.command_path) + "\n", err=True)
    print_error(error.format_message())


def print_error(sentence: str) -> None:
    """An error, on stderr."""
    typer.secho(say("error", message=translated(sentence)), fg="red", err=True)


class _Formatter(typer.Context.formatter_class):  # type: ignore[misc,valid-type]  # typer exports no name for it
    """Help pages in Chinese, folded by the width that characters take on the screen."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        said = " ".join(map(translated, args.split(" ")))
        super().write_usage(prog, said, say("usage") if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        self.write(f"{translated(heading)}：\n")

    def write_text(self, text: str) -> None:
        super().write_text("\b\n" + _folded(text, self.width - self.current_indent))

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        first_column = min(max(len(first) for first, _ in rows), col_max) + col_spacing
        room = self.width - first_column - 2
        said = [(first, "\b\n" + _folded(_row(second), room) if second else "") for first, second in rows]
        super().write_dl(said, col_max, col_spacing)


class _Context(typer.Context):
    formatter_class = _Formatter


def _row(text: str) -> str:
    """The help of an option with what typer adds in brackets: its default, its range, that it is required."""
    found = _EXTRAS.fullmatch(text)
    if found is None or not found["extras"]:
        return translated(text)
    extras = "；".join(map(translated, found["extras"].split("; ")))
    return f"{translated(found['help'])}［{extras}］"


def _folded(text: str, room: int) -> str:
    lines = [""]
    for unit in _UNITS.findall(text):
        if _width(lines[-1]) + _width(unit.rstrip()) > room:
            lines.append("")
        lines[-1] += unit if lines[-1] else unit.lstrip()
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns on the screen."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
