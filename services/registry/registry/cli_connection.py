"""The database and the key that the commands of the registry work with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.kernel.commands.settings import settings_of
from shared.kernel.data.database import Sessions, make_engine, make_sessions
from shared.kernel.encryption.sealer import Sealer


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Sessions, Sealer]]:
    """Sessions of the registry's database, and its sealer, for as long as a command runs.

    Ends the process with the name of a setting that is missing.
    """
    settings = settings_of("registry")
    sealer = Sealer.from_settings(settings)
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=2)
    try:
        yield make_sessions(engine), sealer
    finally:
        await engine.dispose()
