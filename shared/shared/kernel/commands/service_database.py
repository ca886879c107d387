"""What commands on the database of one service share: its name, and sessions for their work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.settings import Settings

Service = Annotated[
    str,
    typer.Argument(help="The service whose TAAWON_* are set here, or that `taawon up` runs here."),
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
T = TypeVar("T")


def run_with_sessions(settings: Settings, work: Callable[[Sessions], Awaitable[T]]) -> T:
    """Run the work in an event loop of its own, and close the connections at its end."""

    async def run() -> T:
        engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
        try:
            return await work(make_sessions(engine))
        finally:
            await engine.dispose()

    return asyncio.run(run())
