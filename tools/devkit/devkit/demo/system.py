"""What the story needs of a system: where its services answer, and how its own commands are run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO, Any, Protocol


class System(Protocol):
    """A running system, wherever its processes are; `folder` keeps the story's own files."""

    folder: Path

    def url(self, service: str) -> str:
        """Where a service answers, without a slash at the end."""

    def partner_url(self, username: str, password: str) -> str:
        """Where a partner signs in to read its queue."""

    def program(self) -> tuple[list[str], dict[str, str]]:
        """How `taawon` is run where the registry is: the words before, and the environment."""


def taawon(
    system: System,
    *arguments: str,
    say: str | None = None,
    file: IO[Any] | None = None,
    quiet: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command of the registry; `say` or the open `file` is its standard input.

    What it prints goes to the terminal of whoever runs the demo, unless it is to be `quiet`.
    """
    program, environment = system.program()
    return subprocess.run(
        [*program, *arguments],
        env=environment,
        text=True,
        capture_output=quiet,
        **({"input": say} if file is None else {"stdin": file}),
    )
