"""Only a window that is still open once its process is frozen counts."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any, cast

from ..journeys.stories import Story
from .faults import HEARTBEAT, IDLE_SECONDS, SILENCE_SECONDS, STATEMENT_SECONDS, TRANSACTION_SECONDS
from .processes import Member, Processes
from .stop_moments import FANOUT, PUBLISH, Window, WindowFinder

PORT = 5000
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
WINDOW = Window(FANOUT, session=7, port=PORT, since=NOON)
NEXT = Window(FANOUT, session=7, port=PORT, since=datetime(2026, 11, 1, 13, tzinfo=UTC))
OTHER = Window(PUBLISH, session=8, port=PORT, since=NOON)


class Still:
    """A member that only notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def freeze(self) -> None:
        self.done.append("freeze")

    def thaw(self) -> None:
        self.done.append("thaw")


class OneMember:
    def __init__(self, member: Still) -> None:
        self.member = member

    def talker(self, service: str, port: int) -> Still | None:
        return self.member if port == PORT else None

    def release_ports(self) -> None: ...


class NoStory:
    """Its database is never asked: the looks are given."""

    def database(self, service: str) -> NoStory:
        return self

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *error: object) -> None: ...


class Looks(WindowFinder):
    """Sees these windows, look by look, and then none."""

    def __init__(self, member: Still, *looks: list[Window]) -> None:
        story, processes = cast(Story, NoStory()), cast(Processes, OneMember(member))
        super().__init__(story, processes, "notifications", Random(1))
        self.looks = list(looks)

    async def _windows(self, connection: Any) -> list[Window]:
        return self.looks.pop(0) if self.looks else []


async def test_a_window_that_is_open_at_both_looks_is_caught_and_its_process_stands_still():
    member = Still()

    caught = await Looks(member, [OTHER, WINDOW], [WINDOW]).catch(patience=0.2, wanted=(FANOUT,))

    assert caught is not None
    assert (caught.window, caught.member) == (WINDOW, cast(Member, member))
    assert member.done == ["freeze"]


async def test_a_process_whose_window_has_closed_goes_on():
    member = Still()

    assert await Looks(member, [WINDOW], []).catch(patience=0.2) is None
    assert member.done == ["freeze", "thaw"]


async def test_the_next_transaction_of_the_session_is_not_the_one_that_was_seen():
    member = Still()

    assert await Looks(member, [WINDOW], [NEXT]).catch(patience=0.2) is None
    assert member.done == ["freeze", "thaw"]


async def test_a_window_of_another_sort_or_of_nobody_known_affects_nobody():
    member = Still()
    strangers = Window(FANOUT, session=9, port=PORT + 1, since=NOON)

    caught = await Looks(member, [OTHER, strangers]).catch(patience=0.2, wanted=(FANOUT,))

    assert caught is None
    assert member.done == []


def test_a_silence_is_longer_than_anybody_waits():
    # RabbitMQ hands on the messages of a connection that said nothing for three heartbeats.
    limits = (3 * HEARTBEAT, IDLE_SECONDS, STATEMENT_SECONDS, TRANSACTION_SECONDS)

    assert max(limits) < SILENCE_SECONDS
