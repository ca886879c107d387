"""docs/commands.md, from the commands that are installed and their own help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from cli.program import OPERATOR_COMMANDS, build
from shared.kernel.commands.program import SERVICE_COMMANDS, Command, LazyGroup
from shared.kernel.installed import installed_services

HEADER = """\
<!-- Made by `taawon docs`. Change the help of the commands, not this page. -->

# Commands

Every command of `taawon`, from its own `--help`. How they find a service or a database is said in
[operations.md](operations.md#where-a-command-runs).
"""
ANY_SERVICE = "Image of every service"
OPERATOR = "Operator's machine, or the image `taawon/cli`"
DEVELOPER = "Developer's machine"
NEEDS_THE_CODE = {"docs"}
"""Commands of the operator's package that write into a clone of the repository."""
_TAG = re.compile(r"`[^`]*`|<")
_EXAMPLE = re.compile(r"Example: (.+?)(?=\n\n|Example: |\Z)", re.DOTALL)


def commands_page() -> str:
    """Where each command runs, then each with its arguments, options and examples."""
    program = get_command(build())
    assert isinstance(program, LazyGroup)
    offered = {entry.name: entry for entry in _entries()}
    places = {name: place_of(offered[name]) for name in program.commands}
    index = [f"| [`{name}`](#taawon-{name}) | {place} |" for name, place in places.items()]
    sections = (_section(name, program.load(name), places[name]) for name in places)
    lines = [HEADER, "| Command | Runs in / on |", "|---|---|", *index, "", *sections]
    return "\n".join(lines).rstrip() + "\n"


def place_of(entry: EntryPoint) -> str:
    """Where a command runs, by the package that offers it."""
    package = entry.dist.name if entry.dist else ""
    if entry.group == SERVICE_COMMANDS:
        return f"Image of {package}" if package in installed_services() else ANY_SERVICE
    return OPERATOR if package == "cli" and entry.name not in NEEDS_THE_CODE else DEVELOPER


def _entries() -> Iterator[EntryPoint]:
    for group in (SERVICE_COMMANDS, OPERATOR_COMMANDS):
        yield from entry_points(group=group)


def _section(name: str, command: Command, place: str) -> str:
    own = [f"## taawon {name}\n", f"*{place}.*\n", *_described(f"taawon {name}", command)]
    if isinstance(command, TyperGroup):
        for below, each in command.commands.items():
            assert isinstance(each, Command)
            full = f"taawon {name} {below}"
            own += [f"### {full}\n", *_described(full, each)]
    return "\n".join(own)


def _described(name: str, command: Command) -> Iterator[str]:
    """What it does, how it is called, its options, its examples."""
    text = (command.help or "").strip()
    yield from (
        f"{_prose(each)}\n" for each in _EXAMPLE.sub("", text).split("\n\n") if each.strip()
    )
    if not isinstance(command, TyperGroup) or command.params:
        yield f"```\n{_usage(name, command)}\n```\n"
        yield from _parameters(command)
    if examples := [" ".join(each.split()) for each in _EXAMPLE.findall(text)]:
        yield "\n".join(["```sh", *examples, "```\n"])


def _prose(text: str) -> str:
    """One paragraph on one line; outside of code a `<` would begin an element of HTML."""
    return _TAG.sub(lambda found: r"\<" if found[0] == "<" else found[0], " ".join(text.split()))


def _usage(name: str, command: Command) -> str:
    words = [_usage_of(each) for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    needed = [f"{each.opts[0]} …" for each in options if each.required]
    more = ["[options]"] if len(needed) < len(options) else []
    return " ".join([name, *words, *needed, *more])


def _usage_of(argument: Any) -> str:
    shown = _shown(argument) + ("…" if argument.nargs == -1 else "")
    return shown if argument.required else f"[{shown}]"


def _shown(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _parameters(command: Command) -> Iterator[str]:
    rows = [f"| {_label(each)} | {_meaning(each)} |" for each in command.params]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows, ""])


def _label(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_shown(parameter)}`".replace("|", "\\|")
    return ", ".join(f"`{option}`" for option in parameter.opts)


def _meaning(parameter: Any) -> str:
    """Its help, what it is unless given, and the variable that gives it."""
    said = [_prose(getattr(parameter, "help", None) or "").replace("|", "\\|")]
    default = parameter.default
    if isinstance(default, str | int) and not isinstance(default, bool):
        said.append(f"Unless given: {default}.")
    if variable := getattr(parameter, "envvar", None):
        said.append(f"Or `{variable}`.")
    return " ".join(each if each.endswith((".", "…")) else f"{each}." for each in said if each)
