"""`taawon keys`: count personal fields by the key that sealed them; reseal them with the newest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say, say_json
from shared.kernel.data.database import Sessions
from shared.kernel.data.sealed_keys import UNREADABLE
from shared.kernel.encryption.rotation import Step, census, rotate
from shared.kernel.encryption.sealed_columns import SealedColumns
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.encryption.stores import Census, Store
from shared.kernel.service.spec import sealed_columns_of

from .service_database import Json, Service, run_with_sessions
from .settings import settings_of

app = typer.Typer(
    help="The keys of personal fields. Keys are distinguished by a fingerprint; none is ever"
    " shown.",
    no_args_is_help=True,
)
T = TypeVar("T")


@app.command()
def status(service: Service, json: Json = False) -> None:
    """Count the values that are sealed with each key: a key that seals none may be removed.

    Exit code 2 where values are sealed with an older key than the newest, or open with none.

    Example: taawon keys status registry
    """

    async def work(sessions: Sessions, sealer: Sealer) -> tuple[Sealer, dict[str, Census]]:
        return sealer, await census(sessions, sealer, sealed_columns_of(service).stores)

    sealer, found = _connected(service, work)
    keys = [*sealer.fingerprints, UNREADABLE]
    if json:
        counts = {store: {key: each[key] for key in keys} for store, each in found.items()}
        say_json(orjson.dumps({"newest": sealer.newest, "stores": counts}).decode())
    else:
        _show_census(sealer, found, keys)
    total = sum(found.values(), Census())
    if any(total[key] for key in keys if key != sealer.newest):
        raise typer.Exit(2)


def _show_census(sealer: Sealer, found: dict[str, Census], keys: list[str]) -> None:
    console = Screen()
    table = Table("where", *(f"{key} (newest)" if key == sealer.newest else key for key in keys))
    for store, each in found.items():
        table.add_row(store, *(str(each[key]) for key in keys))
    console.print(table)
    console.print(_advice(sealer, sum(found.values(), Census())))


def _advice(sealer: Sealer, total: Census) -> str:
    if total[UNREADABLE]:
        return f"{total[UNREADABLE]} values open with no key here: was one removed too early?"
    old = [key for key in sealer.fingerprints if key != sealer.newest]
    if busy := [key for key in old if total[key]]:
        return f"values are sealed with {', '.join(busy)}: run `taawon keys rotate`"
    if old:
        return (
            f"nothing here is sealed with {', '.join(old)}: remove it once no other service needs"
            " it and no message older than the rotation waits in a queue"
        )
    return "there is one key, and everything is sealed with it"


@app.command("rotate")
def rotate_(
    service: Service,
    signing: Annotated[
        bool, typer.Option("--signing", help="Instead, make a new key that signs tokens.")
    ] = False,
    json: Json = False,
) -> None:
    """Reseal everything with the newest key, while the service goes on working.

    Put the new key last in TAAWON_SEAL_KEYS of every sealing service and restart them, then put it
    first and restart them again; then run this for each. Safe to repeat, also after it was killed.
    Exit code 2 where some values open with no key, or were held by others all the time.

    Example: taawon keys rotate registry

    Example: taawon keys rotate registry --signing
    """
    sealed_columns = sealed_columns_of(service)
    if signing:
        say(f"signing key {_connected(service, _new_signing_key(service, sealed_columns))} signs")
        return

    steps = _connected(service, _rotation(sealed_columns, quiet=json))
    if json:
        rows = [{"store": s.store, "renewed": s.renewed, "unreadable": s.unreadable,
                 "left": s.left} for s in steps]  # fmt: skip
        say_json(orjson.dumps(rows).decode())
    else:
        _show(steps)
    if any(step.unreadable or step.left for step in steps):
        raise typer.Exit(2)


def _rotation(
    sealed_columns: SealedColumns, *, quiet: bool
) -> Callable[[Sessions, Sealer], Awaitable[list[Step]]]:
    async def work(sessions: Sessions, sealer: Sealer) -> list[Step]:
        with _progress(quiet=quiet) as progress:
            steps = [
                await _renewed(progress, sessions, sealer, store) for store in sealed_columns.stores
            ]
        if sealed_columns.afterwards is not None:
            async with sessions.begin() as session:
                await sealed_columns.afterwards(session)
        return steps

    return work


def _new_signing_key(
    service: str, sealed_columns: SealedColumns
) -> Callable[[Sessions, Sealer], Awaitable[str]]:
    make = sealed_columns.new_signing_key
    if make is None:
        raise typer.BadParameter(f"{service} signs no tokens: the registry does")

    async def work(sessions: Sessions, sealer: Sealer) -> str:
        async with sessions.begin() as session:
            return await make(session, sealer)

    return work


async def _renewed(progress: Progress, sessions: Sessions, sealer: Sealer, store: Store) -> Step:
    async with sessions() as session:
        total = await store.size(session)
    task, renewed, unreadable, left = progress.add_task(store.name, total=total), 0, 0, 0
    async for step in rotate(sessions, sealer, store):
        progress.advance(task, step.looked_at)
        renewed += step.renewed
        unreadable += step.unreadable
        left = step.left
    return Step(store=store.name, renewed=renewed, unreadable=unreadable, left=left)


def _progress(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Screen(stderr=True),
        disable=quiet,
    )


def _show(steps: list[Step]) -> None:
    table = Table("where", "sealed anew", "open with no key", "held by others")
    for step in steps:
        table.add_row(step.store, str(step.renewed), str(step.unreadable), str(step.left))
    Screen().print(table)


def _connected(service: str, work: Callable[[Sessions, Sealer], Awaitable[T]]) -> T:
    settings = settings_of(service)
    sealer = Sealer.from_settings(settings)
    return run_with_sessions(settings, lambda sessions: work(sessions, sealer))
