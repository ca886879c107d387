"""`taawon demo`, `taawon up`, `taawon down`: the whole system on this machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from shared.kernel.commands.numbers import whole_number

from .broker import BrokerUnavailable, PostgresUnavailable
from .client import Refused
from .demo.participants import Participants
from .demo.results import NotInTime
from .demo.screen import Screen
from .demo.story import run_story
from .processes import NotStarted
from .stack import Stack
from .stack_layout import OPERATOR, SERVICES, SUPERVISOR, stack_folder

PUBLISHED_COOPERATIVES = 65_315
"""Cooperatives at the end of November 2025, as ODCO published it."""

TROUBLE = (BrokerUnavailable, PostgresUnavailable, NotStarted, NotInTime, Refused)


def demo(
    count: Annotated[
        int, typer.Option(parser=whole_number(100), help="How many cooperatives the register has.")
    ] = (PUBLISHED_COOPERATIVES),
    seed: Annotated[
        int, typer.Option(parser=whole_number(), help="The same seed draws the same register.")
    ] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running.")] = False,
) -> None:
    """Run the main job as a story: from nothing to every alert, then stop.

    What `taawon up` had started before goes on running.
    What it saw is also written to .run/demo.json. A second run makes no second alert.

    Example: taawon demo --count 3000 --keep
    """
    screen = Screen()
    stack = Stack(stack_folder(), say=screen.say)
    keep = keep or stack.is_running()
    started = time.monotonic()
    try:
        screen.chapter("Servers and services")
        stack.start()
        run_story(stack, count=count, seed=seed, screen=screen)
        if keep:
            stack.supervise()
        screen.where_next(_next_steps(stack, time.monotonic() - started, keep=keep))
    except TROUBLE as error:
        _fail(error)
    finally:
        if not keep:
            stack.stop()


def up(
    migrate_only: Annotated[
        bool, typer.Option("--migrate-only", help="Only the servers, their schema and topology.")
    ] = False,
) -> None:
    """Start everything, leave it running, and print where it is.

    What dies is started again, with growing pauses; .run/stack/processes/supervisor.log says what,
    when, and the end of its log. `taawon doctor` names what ends again and again.

    Example: taawon up
    """
    screen = Screen()
    stack = Stack(stack_folder(), say=screen.say)
    try:
        stack.start_servers()
        stack.prepare()
        if not migrate_only:
            stack.start_processes()
            Participants(stack).operator()
            stack.supervise()
    except TROUBLE as error:
        stack.stop()
        _fail(error)
    lines = [] if migrate_only else _urls(stack)
    screen.where_next([*lines, "stop it all:  make down"])


def down() -> None:
    """Stop everything that `up` or `demo` started; nothing stays behind.

    Example: taawon down
    """
    Stack(stack_folder(), say=Screen().say).stop()
    typer.echo("stopped")


def _next_steps(stack: Stack, seconds: float, *, keep: bool) -> list[str]:
    lines = [
        f"the whole story took {seconds:.0f} s; its results: {stack.folder.parent / 'demo.json'}"
    ]
    if keep:
        return [*lines, *_urls(stack), "stop it all:  make down"]
    return [
        *lines,
        "keep it running and look around:  make up",
        "how an event travels:  docs/architecture.md",
        "every event and who consumes it:  docs/events.md",
    ]


def _urls(stack: Stack) -> list[str]:
    lines = [
        f"{service:14} {stack.url(service)}   its API: {stack.internal_url(service)}/openapi.json"
        for service in SERVICES
    ]
    return [
        *lines,
        f"{'RabbitMQ':14} {stack.broker.management.url}",
        f"{'partners':14} {stack.partners_address}   for one: taawon partner consumer SLUG",
        f"what dies is started again: {stack.log_of(SUPERVISOR)}",
        f"sign in as {OPERATOR}; the password is in {stack.operator_password}",
    ]


def _fail(error: Exception) -> None:
    typer.echo(f"taawon: {error}", err=True)
    raise typer.Exit(1)
