"""Partners get the events of a subject with its alerts: not while those are held back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import func, select, update

from devkit import pytest_plugin
from notifications.fanout.domain.fanout_approval import ApprovalState
from notifications.partners import handlers as partners_handlers
from notifications.partners.domain.held_events import FanoutState, Passage, passage
from notifications.partners.models import feed_entry, feed_waiting
from notifications.partners.usecases import held_events
from shared.kernel.data import database

from ..builders import a_call, a_record, an_idea, cancelled, extended, opened, published, updated
from ..commands import decide, follow, register
from .partners import partner, subscribed

OPENED, UPDATED = "funding.call.opened.v1", "funding.call.updated.v1"
EXTENDED, CANCELLED = "funding.call.deadline_extended.v1", "funding.call.cancelled.v1"


def a_state(**known) -> FanoutState:
    unseen = {"version": None, "was_alerted": False, "is_held": False, "approval": None}
    return FanoutState(**unseen | known)


@pytest.mark.parametrize(
    ("state", "is_checked", "expected"),
    [
        (a_state(), False, Passage.NOW),
        (a_state(), True, Passage.WAITS),
        (a_state(version=1), True, Passage.WAITS),
        (a_state(version=2), True, Passage.NOW),
        (a_state(version=1, was_alerted=True), True, Passage.NOW),
        (a_state(is_held=True), False, Passage.WAITS),
        (a_state(version=2, is_held=True, approval=ApprovalState.HELD), True, Passage.WAITS),
        (a_state(version=2, is_held=True, was_alerted=True), False, Passage.WAITS),
        (a_state(version=1, approval=ApprovalState.RELEASED), True, Passage.NOW),
        (a_state(approval=ApprovalState.STOPPED), False, Passage.NEVER),
        (a_state(approval=ApprovalState.STOPPED, is_held=True), False, Passage.NEVER),
        (a_state(version=1, approval=ApprovalState.STOPPED, was_alerted=True), True, Passage.NOW),
    ],
)
def test_an_event_goes_with_the_alerts_of_its_subject(state, is_checked, expected):
    assert passage(2, state, at_once=False, is_checked=is_checked) is expected


@pytest.mark.parametrize(
    ("is_held", "approval"), list(product([True, False], [None, *ApprovalState]))
)
def test_what_is_published_at_once_waits_for_nothing(is_held, approval):
    state = a_state(is_held=is_held, approval=approval)

    assert passage(2, state, at_once=True, is_checked=True) is Passage.NOW


async def arrive(api, *events, alerts_first=True):
    """Events as both consumers take them, in either order."""
    for event in events:
        if alerts_first:
            await follow(api, event)
        async with api.sessions.begin() as session:
            await partners_handlers.feed_partners(event, session)
        if not alerts_first:
            await follow(api, event)


def at(call, version):
    """The call as it was before the event of the next version."""
    return call.model_copy(update={"version": version - 1})


async def feed(api, tokens):
    """The topics of the feed, once nothing is left that may be fed."""
    while await feed_next(api):
        pass
    answer = await api.http.get("/feed", headers=partner(tokens))
    return [item["type"] for item in answer.json()["items"]]


async def feed_next(api):
    async with api.sessions.begin() as session:
        return await held_events.feed_released(session)


async def waiting(api):
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).select_from(feed_waiting))


@pytest.fixture
async def audience(api, tokens):
    """A partner, and more cooperatives than a call confirmed that says one."""
    await subscribed(api, tokens)
    await register(api, *(a_record() for _ in range(12)))


@pytest.mark.usefixtures("audience")
@pytest.mark.parametrize("alerts_first", [True, False])
@pytest.mark.parametrize("kind", ["call", "idea"])
async def test_what_is_held_is_in_no_feed_until_it_is_released(api, tokens, kind, alerts_first):
    content = (a_call if kind == "call" else an_idea)(confirmed_audience=1)
    subject_id = content.call_id if kind == "call" else content.idea_id
    event = opened(content) if kind == "call" else published(content)

    await arrive(api, event, alerts_first=alerts_first)
    before = await feed(api, tokens), await waiting(api)
    await decide(api, tokens, "released", subject_id)

    assert before == ([], 1)
    assert (await feed(api, tokens), await waiting(api)) == ([event.topic], 0)


@pytest.mark.usefixtures("audience")
async def test_what_was_stopped_no_partner_ever_gets(api, tokens):
    call = a_call(confirmed_audience=1)
    await arrive(api, opened(call))

    await decide(api, tokens, "stopped", call.call_id)
    before = await feed(api, tokens)
    await arrive(api, extended(call), extended(at(call, 4)))

    assert (before, await feed(api, tokens), await waiting(api)) == ([], [], 0)


@pytest.mark.usefixtures("audience")
async def test_corrections_of_what_was_alerted_go_out_after_a_stop(api, tokens):
    call = a_call()
    await arrive(api, opened(call))

    await decide(api, tokens, "stopped", call.call_id)
    await arrive(api, cancelled(call))

    assert await feed(api, tokens) == [OPENED, CANCELLED]


@pytest.mark.usefixtures("audience")
async def test_at_once_partners_have_what_is_held(api, tokens):
    call = a_call(confirmed_audience=1, partners_at_once=True)

    await arrive(api, opened(call), extended(call), alerts_first=False)

    assert await feed(api, tokens) == [OPENED, EXTENDED]


@pytest.mark.usefixtures("audience")
async def test_events_that_waited_keep_their_order(api, tokens):
    call = a_call(confirmed_audience=1)
    await arrive(api, opened(call), updated(call), extended(at(call, 4)))
    before = await feed(api, tokens)

    await decide(api, tokens, "released", call.call_id)
    await arrive(api, cancelled(at(call, 5)))

    assert (before, await feed(api, tokens)) == ([], [OPENED, UPDATED, EXTENDED, CANCELLED])


@pytest.mark.usefixtures("audience")
async def test_while_everything_is_held_partners_wait_too_for_a_correction_as_well(api, tokens):
    call, other = a_call(), a_call()
    await arrive(api, opened(call))

    await decide(api, tokens, "held")
    await arrive(api, extended(call), opened(other))
    before = await feed(api, tokens)
    await decide(api, tokens, "released")

    assert before == [OPENED]
    assert sorted(await feed(api, tokens)) == sorted([OPENED, EXTENDED, OPENED])


@pytest.mark.usefixtures("audience")
async def test_what_fits_reaches_partners_though_its_fan_out_comes_later(api, tokens):
    call = a_call(confirmed_audience=12)

    await arrive(api, opened(call), alerts_first=False)

    assert await feed(api, tokens) == [OPENED]


@pytest.mark.usefixtures("audience")
async def test_an_event_that_waited_is_numbered_with_its_own_correlation(api, tokens):
    call = a_call(confirmed_audience=1)
    await arrive(api, opened(call))
    async with api.sessions() as session:
        correlation = await session.scalar(select(feed_waiting.c.correlation_id))

    await decide(api, tokens, "released", call.call_id)
    await feed(api, tokens)

    async with api.sessions() as session:
        headers = await session.scalar(select(feed_entry.c.headers))
    assert headers["cloudEvents_correlationid"] == correlation


async def test_what_waits_longer_than_a_feed_keeps_it_is_deleted(api, tokens):
    await decide(api, tokens, "held")
    await arrive(api, opened(a_call()), opened(a_call()))
    async with api.sessions.begin() as session:
        old = datetime.now(UTC) - timedelta(days=401)
        one = select(feed_waiting.c.event_id).limit(1).scalar_subquery()
        await session.execute(
            update(feed_waiting).where(feed_waiting.c.event_id == one).values(received_at=old)
        )
        await held_events.delete_old_held(session, days=400)

    assert await waiting(api) == 1


async def test_an_unconfirmed_call_waits_where_a_limit_is_set(api, tokens):
    settings = pytest_plugin.test_settings("notifications", "postgresql://unused", confirm_above=1)
    api.sessions.configure(info=database.info_of(settings))
    await subscribed(api, tokens)

    async with api.sessions.begin() as session:
        await partners_handlers.feed_partners(opened(a_call()), session)

    assert (await feed(api, tokens), await waiting(api)) == ([], 1)
