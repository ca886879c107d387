"""The one command, `taawon`: it belongs to nobody, for each package brings its own subcommands."""

from __future__ import annotations

import typer

from shared.kernel.commands.program import SERVICE_COMMANDS, program_of, run

OPERATOR_COMMANDS = "taawon.operator_commands"
"""Entry points of commands for an operator's machine; no image of a service needs them."""


def build() -> typer.Typer:
    """All subcommands that installed packages offer; none of them is imported yet."""
    return program_of(
        (SERVICE_COMMANDS, OPERATOR_COMMANDS),
        "Taawon: ideas and funding calls reach every matching cooperative and partner.",
    )


def main() -> None:
    """Run; a refusal is printed in one line that says what to do, with exit code 1."""
    run(build())


if __name__ == "__main__":
    main()
