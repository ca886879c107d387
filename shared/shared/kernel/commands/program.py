"""A command line whose subcommands are offered by installed packages, each loaded when it is run.

`taawon-service` lists what a service's image needs; `taawon` (`tools/cli`) lists everything.
"""

from __future__ import annotations

import ast
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from shared.errors import DomainError

from .terminal import in_language, say

SERVICE_COMMANDS = "taawon.commands"
"""Entry points of commands that run where a service runs: of the kernel, and of services."""

Command = TyperCommand | TyperGroup


class LazyGroup(TyperGroup):
    """A group that lists its subcommands without importing them, and imports the one called."""

    groups: ClassVar[tuple[str, ...]] = ()
    """The groups of entry points whose commands are listed."""

    def __init__(self, **known: Any) -> None:
        super().__init__(**known)
        offered = (entry for group in self.groups for entry in entry_points(group=group))
        self.commands = {
            entry.name: _NotLoaded(entry) for entry in sorted(offered, key=lambda each: each.name)
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, _NotLoaded) else command, rest

    def load(self, name: str) -> Command:
        """The command of this name, imported; KeyError where there is none."""
        command = self.commands[name]
        assert isinstance(command, _NotLoaded)
        return command.load()


class _NotLoaded(TyperCommand):
    """A subcommand that is known by its entry point alone."""

    def __init__(self, entry: EntryPoint) -> None:
        super().__init__(entry.name)
        self._entry = entry

    def get_short_help_str(self, limit: int = 45) -> str:
        return TyperCommand(self.name, help=summary_of(self._entry)).get_short_help_str(limit)

    def load(self) -> Command:
        found = self._entry.load()
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(self.name)(found)
            found = alone
        found._add_completion = False
        command = get_command(found)
        assert isinstance(command, Command)
        command.name = self.name
        return command


def summary_of(entry: EntryPoint) -> str:
    """What a command does, in one paragraph, read from the source of its module.

    It is the docstring of a function, or the `typer.Typer(help=…)` of a group. Only the packages
    around the module are imported, which contain docstrings only.
    """
    spec = find_spec(entry.module)
    if spec is None or spec.origin is None:
        return ""
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry.attr:
            return (ast.get_docstring(node) or "").partition("\n\n")[0]
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == entry.attr:
            return _help_of(node.value)
    return ""


def _help_of(value: ast.expr) -> str:
    """The text of `help=` in a call."""
    for keyword in value.keywords if isinstance(value, ast.Call) else ():
        if keyword.arg == "help":
            return str(ast.literal_eval(keyword.value))
    return ""


def program_of(groups: tuple[str, ...], about: str) -> typer.Typer:
    """A program with the commands of these groups of entry points."""
    kind = type("Program", (LazyGroup,), {"groups": groups})
    app = typer.Typer(
        cls=kind,
        help=about,
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        add_completion=False,
        rich_markup_mode=None,  # importing rich costs more than all the rest of `--help`
    )
    # With a callback it is a group, although no command is registered.
    app.callback()(lambda: None)
    return app


def run(app: typer.Typer) -> None:
    """Run the program. A refusal is printed in one line that says what to do; exit code 1."""
    try:
        app()
    except DomainError as error:
        say(f"taawon: {in_language(error.detail)}", err=True)
        raise SystemExit(1) from None


def main() -> None:
    """`taawon-service`: the commands that run in the image of a service."""
    run(program_of((SERVICE_COMMANDS,), "Run a service of Taawon, and look after what it owns."))
