"""The one command, `taawon`: it belongs to nobody, for each package brings its own subcommands."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer

from .errors import DomainError


def build(only: str | None = None) -> typer.Typer:
    """Collect the subcommands that installed packages offer under `taawon.commands`.

    Where one of them is the `only` one wanted, no other is loaded: each costs time and memory.
    """
    app = typer.Typer(
        help="Taawon: ideas and funding calls reach every matching cooperative and partner.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        add_completion=False,
        rich_markup_mode="rich",
    )
    # With a callback, a command stays a subcommand even where it is the only one.
    app.callback()(lambda: None)
    offered = entry_points(group="taawon.commands")
    wanted = [entry for entry in offered if entry.name == only] or offered
    for entry in sorted(wanted, key=lambda e: e.name):
        found = entry.load()
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=entry.name)
        else:
            app.command(entry.name)(found)
    return app


def main() -> None:
    """Run; a refusal is printed in one line that says what to do, with exit code 1."""
    try:
        build(only=sys.argv[1] if len(sys.argv) > 1 else None)()
    except DomainError as error:
        sys.stderr.write(f"taawon: {error.detail}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
