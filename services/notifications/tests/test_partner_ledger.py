"""What a partner was sent, by which door and when; what its queue dropped, and that sent again."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from itertools import combinations

import aio_pika
import pytest
from sqlalchemy import func, insert, select, text
from structlog.testing import capture_logs

from notifications import handlers, usecases
from notifications.app import COUNTS, NAMES
from notifications.domain import Door, DoorState, queue_name
from notifications.domain.doors import broker_hash
from notifications.drain import drain_dropped
from notifications.models import feed_delivery, feed_gap
from notifications.provisioner import QUEUE_ARGUMENTS, BrokerProvisioner
from notifications.queries import gaps_of, partner_entries
from notifications.usecases.deliveries import record_handed_out
from notifications.usecases.doors import DROPPED, PARTNER_VHOST
from shared.auth import Principal, Role
from shared.database import make_engine, make_sessions
from shared.messaging.publisher import Publisher
from shared.messaging.topology import BrokerUser
from shared.testing import closed, eventually

from .builders import a_call, an_idea, opened, published

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def partner(tokens, slug="indh"):
    return tokens.headers("partner", partner=slug)


async def subscribed(door, tokens, slug="indh"):
    answer = await door.http.post("/subscriptions", json={}, headers=partner(tokens, slug))
    assert answer.status_code == 201, answer.text
    return answer.json()["subscription_id"]


async def fed(sessions, *facts):
    for fact in facts:
        async with sessions.begin() as session:
            await handlers.feed_partners(fact, session)


async def ledger(door, headers, slug="indh", status=200, **parameters):
    answer = await door.http.get(f"/partners/{slug}/ledger", params=parameters, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_each_entry_names_its_event_its_subject_and_the_subscription_that_matched(
    door, tokens
):
    wish = await subscribed(door, tokens)
    call, idea = opened(a_call()), published(an_idea())
    await fed(door.sessions, call, idea)

    first, second = (await ledger(door, tokens.headers("operator")))["items"]

    assert (first["position"], first["event_id"]) == (1, str(call.event_id))
    assert (first["subject_id"], first["topic"]) == (str(call.call_id), call.topic)
    assert (first["subscriptions"], first["doors"], first["gap"]) == ([wish], [], None)
    assert second["subject_id"] == str(idea.idea_id)


async def test_a_page_of_the_feed_is_noted_and_read_again_it_is_counted(door, tokens):
    await subscribed(door, tokens)
    await fed(door.sessions, *(opened(a_call()) for _ in range(3)))
    for after in ("0", "0", "1"):
        page = await door.http.get(
            "/feed", params={"after": after, "limit": 2}, headers=partner(tokens)
        )
        assert page.status_code == 200, page.text
    assert (await door.http.get("/feed?after=3", headers=partner(tokens))).json()["items"] == []

    entries = (await ledger(door, partner(tokens)))["items"]

    assert [entry["doors"][0]["times"] for entry in entries] == [2, 3, 1]
    assert {entry["doors"][0]["door"] for entry in entries} == {"feed"}
    first = entries[0]["doors"][0]
    assert first["first_at"] < first["last_at"]


async def test_pages_of_every_size_leave_few_rows_and_each_entry_its_number(door, tokens):
    await subscribed(door, tokens)
    await fed(door.sessions, *(opened(a_call()) for _ in range(16)))
    async with door.sessions.begin() as session:
        for first, last in combinations(range(1, 18), 2):
            await record_handed_out(session, "indh", first, last - 1)

    entries = (await ledger(door, partner(tokens)))["items"]

    assert [entry["doors"][0]["times"] for entry in entries] == [n * (17 - n) for n in range(1, 17)]
    async with door.sessions() as session:
        rows = await session.scalar(select(func.count()).select_from(feed_delivery))
    assert rows <= 31


async def test_pages_of_the_ledger_follow_each_other(door, tokens):
    await subscribed(door, tokens)
    await fed(door.sessions, *(opened(a_call()) for _ in range(5)))

    seen, after = [], {}
    while True:
        page = await ledger(door, partner(tokens), limit=2, **after)
        seen += [entry["position"] for entry in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}

    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("role", "claims", "status"),
    [
        ("operator", {}, 200),
        ("partner", {"partner": "indh"}, 200),
        ("partner", {"partner": "fm5"}, 403),
        ("delegate", {}, 403),
        ("cooperative", {}, 403),
    ],
)
async def test_a_ledger_is_for_its_partner_and_for_operators(door, tokens, role, claims, status):
    await subscribed(door, tokens)

    for path in ("/partners/indh/ledger", "/partners/indh/ledger.csv"):
        answer = await door.http.get(path, headers=tokens.headers(role, **claims))
        assert answer.status_code == status


async def test_the_ledger_of_nobody_is_not_found(door, tokens):
    await ledger(door, tokens.headers("operator"), slug="nobody", status=404)


async def test_the_table_has_one_line_per_event(door, tokens):
    await subscribed(door, tokens)
    await fed(door.sessions, opened(a_call()), opened(a_call()))
    async with door.sessions.begin() as session:
        await record_handed_out(session, "indh", 1, 1)

    answer = await door.http.get("/partners/indh/ledger.csv", headers=partner(tokens))

    assert answer.headers["content-type"].startswith("text/csv")
    first, second = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (first["position"], first["feed_times"], first["amqp_times"]) == ("1", "1", "0")
    assert first["feed_first_at"]
    assert (second["feed_times"], second["feed_first_at"]) == ("0", "")


async def test_the_way_of_an_event_ends_at_the_doors_of_partners(door, tokens):
    await subscribed(door, tokens)
    call = opened(a_call())
    await fed(door.sessions, call, opened(a_call()))
    async with door.sessions.begin() as session:
        await record_handed_out(session, "indh", 1, 2)

    answer = await door.http.get(f"/trace/{call.event_id}", headers=tokens.headers("operator"))

    assert answer.status_code == 200, answer.text
    assert [
        (step["event_id"], step["partner"], step["position"], step["door"])
        for step in answer.json()["handed"]
    ] == [(str(call.event_id), "indh", 1, None), (str(call.event_id), "indh", 1, "feed")]


async def test_the_status_names_the_partners_whose_queues_dropped_events(door, tokens):
    await subscribed(door, tokens)
    async with door.sessions.begin() as session:
        await session.execute(
            insert(feed_gap).values(slug="indh", position=1, reason="maxlen", noticed_at=NOW)
        )
    door.runtime.counts, door.runtime.names = COUNTS, NAMES

    told = (await door.http.get("/status", headers=tokens.headers("operator"))).json()

    assert (told["counts"]["feed_gaps"], told["names"]["feed_gaps"]) == (1, ["indh"])


def run_cli(url, *arguments):
    environment = {**os.environ, "TAAWON_DATABASE_URL": url, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "shared.cli", "partner", "ledger", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Served:
    """A partner with a queue of four places on a real broker, and the processes that serve it."""

    def __init__(self, sessions, rabbitmq, door, password):
        self.sessions, self.door, self._password = sessions, door, password
        self.broker = rabbitmq
        self.ours = rabbitmq.url_of("notifications", vhost=PARTNER_VHOST)
        self.theirs = rabbitmq.found.amqp_url(door.username, password, PARTNER_VHOST)
        self.caller = Principal(
            subject=uuid.uuid4(), roles=frozenset({Role.PARTNER}), partner=door.slug
        )

    async def deliver(self):
        publisher = Publisher(self.ours, 10, "test")
        try:
            while await usecases.deliver_feed(self.sessions, publisher):
                pass
        finally:
            await publisher.close()

    @contextlib.asynccontextmanager
    async def draining(self):
        task = asyncio.create_task(drain_dropped(self.sessions, self.ours, pause=0.05))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def gaps(self, only_open=True):
        async with self.sessions() as session:
            found = await gaps_of(session, self.door.slug, only_open=only_open)
        return [(gap.first_position, gap.last_position, gap.reason) for gap in found]

    async def entries(self):
        async with self.sessions() as session:
            return await partner_entries(session, self.door.slug, after=0, limit=100)

    async def read(self, count, *, reject=False):
        """The next messages, with the partner's own login."""
        connection = await aio_pika.connect(self.theirs)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue(self.door.queue, ensure=False)
            got = []
            async with queue.iterator(timeout=10) as arriving:
                async for message in arriving:
                    await (message.reject(requeue=False) if reject else message.ack())
                    got.append(message)
                    if len(got) == count:
                        return got
        return got

    async def dropped(self):
        """The next message that the queue let go, as the drain would see it."""
        connection = await aio_pika.connect(self.ours)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue(DROPPED, ensure=False)
            message = await queue.get()
            await message.ack()
        return message

    async def ask_again(self, first, last=None):
        async with self.sessions.begin() as session:
            return await usecases.ask_again(session, self.caller, first=first, last=last)

    async def times_of_gaps(self):
        async with self.sessions() as session:
            rows = await session.execute(
                text("SELECT position, times FROM feed_gap ORDER BY position")
            )
            return [tuple(row) for row in rows]


@pytest.fixture
async def served(databases, rabbitmq):
    slug = f"indh-{uuid.uuid4().hex[:8]}"
    rabbitmq.add_service_user(BrokerUser("notifications"))
    arguments = {**QUEUE_ARGUMENTS, "x-max-length": 4}
    provisioner = BrokerProvisioner(rabbitmq.management, "notifications", arguments)
    await provisioner.prepare()
    await asyncio.to_thread(
        rabbitmq.management.delete, f"queues/{PARTNER_VHOST}/{DROPPED}/contents"
    )
    engine = make_engine(databases.fresh("notifications"))
    sessions = make_sessions(engine)
    door = Door(
        slug=slug,
        queue=queue_name(slug),
        username=f"p-{slug}",
        password_hash=broker_hash("secret"),
        requested_at=NOW,
    )
    async with sessions.begin() as session:
        await session.execute(text("INSERT INTO partner (slug) VALUES (:slug)"), {"slug": slug})
        await session.execute(
            text(
                "INSERT INTO subscription (subscription_id, slug, filter)"
                " VALUES (gen_random_uuid(), :slug, '{}')"
            ),
            {"slug": slug},
        )
        session.add(door)
    assert await usecases.provision_doors(sessions, provisioner) == 1
    yield Served(sessions, rabbitmq, door, "secret")
    await engine.dispose()


async def test_a_queue_goes_on_after_entries_that_age_took_and_shows_them_as_a_gap(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await aged(served)
    await fed(served.sessions, opened(a_call()))

    await served.deliver()

    (entry,) = await served.entries()
    (message,) = await served.read(1)
    assert (entry.position, message.message_id) == (3, str(entry.event_id))
    assert await served.gaps() == [(1, 2, "trimmed")]
    assert await is_up_to_date(served)


async def test_a_queue_whose_waiting_entries_are_all_gone_waits_for_new_ones(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await aged(served)

    await served.deliver()

    assert await served.gaps() == [(1, 2, "trimmed")]
    assert await is_up_to_date(served)


async def test_a_new_door_begins_with_the_oldest_entry_and_has_no_gap(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await aged(served)
    async with served.sessions.begin() as session:
        await session.execute(text("DELETE FROM amqp_door"))
        await usecases.open_amqp_door(session, served.caller)
        await session.execute(text("UPDATE amqp_door SET state = 'ready'"))

    await served.deliver()

    assert await served.gaps() == []
    assert await is_up_to_date(served)


async def test_what_is_noted_of_entries_goes_with_them_and_a_gap_is_shown_for_a_week(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(2)))
    await served.deliver()
    async with served.sessions.begin() as session:
        drops = [usecases.Drop(served.door.queue, position, "maxlen", 9) for position in (1, 2)]
        await usecases.keep_gaps(session, drops)
        await session.execute(
            text(
                "INSERT INTO feed_resend"
                " (slug, first_position, last_position, next_position, done_at)"
                " VALUES (:slug, 1, 1, 2, now()), (:slug, 1, 1, 1, NULL), (:slug, 1, 2, 2, now())"
            ),
            {"slug": served.door.slug},
        )

    await aged(served, upto=1)

    assert await served.gaps() == [(1, 2, "maxlen")]
    assert await noted(served, "feed_delivery") == [2]
    assert await noted(served, "feed_resend") == [1, 2]
    async with served.sessions.begin() as session:
        await session.execute(text("UPDATE feed_gap SET noticed_at = now() - interval '8 days'"))
    await aged(served, upto=1)
    assert await served.gaps() == [(2, 2, "maxlen")]


async def test_gaps_of_a_feed_of_which_nothing_is_left_go_as_well(served):
    await fed(served.sessions, opened(a_call()))
    async with served.sessions.begin() as session:
        await usecases.keep_gaps(session, [usecases.Drop(served.door.queue, 1, "maxlen", 0)])
        await session.execute(text("UPDATE feed_gap SET noticed_at = now() - interval '8 days'"))

    await aged(served)

    assert await served.gaps() == []


async def noted(served, table):
    async with served.sessions() as session:
        found = await session.scalars(
            text(f"SELECT last_position FROM {table} ORDER BY last_position")
        )
        return list(found)


async def aged(served, upto=1000):
    """What is in the feed, up to a position, goes by its age."""
    async with served.sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE feed_entry SET recorded_at = now() - interval '500 days'"
                " WHERE position <= :upto"
            ),
            {"upto": upto},
        )
        await usecases.trim_feeds(session, days=400)


async def is_up_to_date(served):
    async with served.sessions() as session:
        return await session.scalar(
            text(
                "SELECT delivered_position = last_position FROM amqp_door JOIN partner USING (slug)"
            )
        )


async def test_what_the_queue_confirmed_is_in_the_ledger_with_its_time(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(3)))

    await served.deliver()

    entries = await served.entries()
    assert [(d.door, d.times, d.unsure) for e in entries for d in e.doors] == [("amqp", 1, 0)] * 3
    assert all(entry.doors[0].first_at >= entry.recorded_at for entry in entries)


async def test_a_death_between_confirm_and_mark_is_told_as_a_possible_repeat(served, monkeypatch):
    await fed(served.sessions, opened(a_call()))

    def die(name):
        raise OSError(name)

    monkeypatch.setattr("notifications.usecases.deliveries.failpoints.reach", die)
    with pytest.raises(OSError, match="between-confirm-and-mark"):
        await served.deliver()
    monkeypatch.undo()
    await served.deliver()

    first, repeat = await served.read(2)
    (entry,) = await served.entries()
    assert first.message_id == repeat.message_id == str(entry.event_id)
    assert [(d.times, d.unsure) for d in entry.doors] == [(1, 1)]


async def test_a_queue_that_the_broker_lost_is_made_again_and_filled_anew(served):
    await fed(served.sessions, opened(a_call()), published(an_idea()))
    await served.deliver()
    path = f"queues/{PARTNER_VHOST}/{served.door.queue}"
    await asyncio.to_thread(served.broker.management.delete, path)
    provisioner = BrokerProvisioner(served.broker.management, "notifications")

    lost = await usecases.find_lost_doors(served.sessions, provisioner)
    assert await usecases.provision_doors(served.sessions, provisioner) == 1
    assert await usecases.find_lost_doors(served.sessions, provisioner) == 0
    await served.deliver()

    assert lost == 1
    read = await served.read(2)
    entries = await served.entries()
    assert [message.message_id for message in read] == [str(e.event_id) for e in entries]
    assert [d.times for entry in entries for d in entry.doors] == [2, 2]


async def test_the_command_shows_writes_and_tells_machines(served, tmp_path):
    await fed(served.sessions, opened(a_call()), published(an_idea()))
    await served.deliver()
    url = served.sessions.kw["bind"].url.render_as_string(hide_password=False)
    file, kept = tmp_path / "ledger.csv", tmp_path / "kept.csv"
    kept.write_text("of yesterday")

    shown, said, written, nobody, piped = await asyncio.gather(
        *(
            asyncio.to_thread(run_cli, url, *arguments)
            for arguments in (
                [served.door.slug],
                [served.door.slug, "--json", "--after", "1"],
                [served.door.slug, "--csv", str(file)],
                ["nobody", "--csv", str(kept)],
                [served.door.slug, "--csv", "/dev/stdout"],
            )
        )
    )

    assert "funding.call.opened.v1" in shown.stdout, shown.stderr
    (entry,) = map(json.loads, said.stdout.splitlines())
    assert (entry["position"], entry["doors"][0]["times"]) == (2, 1)
    assert "2 events written" in written.stdout
    assert [row["amqp_times"] for row in csv.DictReader(file.read_text().splitlines())] == [
        "1",
        "1",
    ]
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "check the slug" in nobody.stderr
    assert piped.stdout.startswith("\ufeffposition,")
    assert kept.read_text() == "of yesterday"
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.csv", "kept.csv"}


async def test_without_a_broker_nothing_is_said_to_have_gone_out(served):
    await fed(served.sessions, opened(a_call()))
    away = Publisher("amqp://nobody:x@127.0.0.1:1/", 1, "test")

    assert await usecases.deliver_feed(served.sessions, away) is False

    (entry,) = await served.entries()
    assert entry.doors == ()


async def test_what_a_full_queue_drops_is_a_gap_counted_once(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(10)))
    await served.deliver()

    async with served.draining():
        await eventually(lambda: served.gaps(), within=20)
        await eventually(lambda: is_full(served), within=20)

    assert await served.gaps() == [(1, 6, "maxlen")]
    assert [entry.gap is not None for entry in await served.entries()] == [True] * 6 + [False] * 4
    assert await served.times_of_gaps() == [(n, 1) for n in range(1, 7)]


async def is_full(served):
    return sum(last - first + 1 for first, last, _ in await served.gaps()) == 6


async def test_a_drain_killed_before_it_acknowledges_counts_nothing_twice(served, monkeypatch):
    await fed(served.sessions, *(opened(a_call()) for _ in range(10)))
    await served.deliver()
    died = []

    def die_once(name):
        if not died:
            died.append(name)
            raise OSError(name)

    monkeypatch.setattr("notifications.drain.failpoints.reach", die_once)
    async with served.draining():
        await eventually(lambda: bool(died) and is_full(served), within=20)
        await eventually(lambda: is_drained(served), within=20)

    assert died == ["gaps.between-commit-and-ack"]
    assert await served.times_of_gaps() == [(n, 1) for n in range(1, 7)]


async def test_the_drain_holds_what_was_dropped_while_the_database_is_away(served, postgres):
    await fed(served.sessions, *(opened(a_call()) for _ in range(10)))
    await served.deliver()
    url = served.sessions.kw["bind"].url.render_as_string(hide_password=False)

    async with closed(postgres, url):
        with capture_logs() as logs:
            async with served.draining():
                await eventually(lambda: times_held(logs))
                await eventually(after(1))  # twenty looks, each a delivery if it let go
        came = [await served.dropped() for _ in range(6)]

    assert times_held(logs) == 1
    assert {message.headers["x-delivery-count"] for message in came} == {1}  # the end of the drain


def times_held(logs):
    return sum(line["event"] == "held until the database answers" for line in logs)


def after(seconds):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    return lambda: loop.time() > end


async def test_the_queue_of_what_was_dropped_has_no_limit_of_deliveries(served):
    path = f"queues/{PARTNER_VHOST}/{DROPPED}"

    made = await asyncio.to_thread(served.broker.management.get, path)

    # Told nothing, a broker of version 4 throws away what came back 20 times.
    assert made["arguments"]["x-delivery-limit"] == 2147483647


async def is_drained(served):
    """Looked at with the passive declaration that only an administrator may do."""
    connection = await aio_pika.connect(served.broker.admin_url(PARTNER_VHOST))
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(DROPPED, passive=True)
        return queue.declaration_result.message_count == 0


async def test_a_gap_is_sent_again_under_the_same_ids_and_closed(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(6)))
    await served.deliver()
    async with served.draining():
        await eventually(lambda: served.times_of_gaps(), within=20)
        await eventually(lambda: has_gap(served, 1, 2), within=20)
        kept = await served.read(4)
        wish = await served.ask_again(1, 2)
        await served.deliver()
        again = await served.read(2)

    entries = await served.entries()
    assert [int(m.headers["cloudEvents_sequence"]) for m in kept] == [3, 4, 5, 6]
    assert [m.message_id for m in again] == [str(e.event_id) for e in entries[:2]]
    assert {m.headers["cloudEvents_resend"] for m in again} == {str(wish.resend_id)}
    assert await served.gaps() == []
    assert [entry.gap.closed_by for entry in entries[:2]] == ["resend", "resend"]
    assert [entry.doors[0].times for entry in entries] == [2, 2, 1, 1, 1, 1]


async def has_gap(served, first, last):
    return [(f, t) for f, t, _ in await served.gaps()] == [(first, last)]


async def test_a_copy_that_is_dropped_again_opens_the_gap_again(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(6)))
    await served.deliver()
    async with served.draining():
        await eventually(lambda: has_gap(served, 1, 2), within=20)
        await served.ask_again(1, 6)
        await served.deliver()
        # The four old ones fell out, and two of the six copies: of those nothing is left.
        await eventually(lambda: fell_out(served, 6), within=20)
        await eventually(lambda: is_drained(served), within=20)

    assert await served.gaps() == [(1, 2, "maxlen")]
    assert await served.times_of_gaps() == [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1), (6, 1)]


async def fell_out(served, count):
    return len(await served.times_of_gaps()) == count and (1, 2) in await served.times_of_gaps()


async def test_what_a_partner_refuses_is_a_gap_that_says_so(served):
    await fed(served.sessions, opened(a_call()))
    await served.deliver()
    async with served.draining():
        await served.read(1, reject=True)
        await eventually(lambda: served.gaps(), within=20)

    assert await served.gaps() == [(1, 1, "rejected")]


async def test_reading_the_feed_closes_a_gap_and_shows_it_there(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(6)))
    await served.deliver()
    async with served.draining():
        await eventually(lambda: has_gap(served, 1, 2), within=20)

    async with served.sessions.begin() as session:
        await record_handed_out(session, served.door.slug, 1, 6)

    assert await served.gaps() == []
    assert await served.gaps(only_open=False) == [(1, 2, "maxlen")]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"first": 3}, 422, "not-sent-yet"),
        ({"first": 2, "last": 1}, 422, "invalid"),
        ({"first": 0}, 422, None),
        ({"first": 2**63}, 422, None),
        ({}, 422, None),
    ],
)
async def test_a_wrong_wish_is_refused_with_what_to_do(door, tokens, body, status, code):
    await subscribed(door, tokens)
    await fed(door.sessions, opened(a_call()), opened(a_call()))
    async with door.sessions.begin() as session:
        session.add(a_ready_door("indh", delivered=2))

    answer = await door.http.post("/doors/amqp/resend", json=body, headers=partner(tokens))

    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["code"] == code


def a_ready_door(slug, delivered):
    return Door(
        slug=slug,
        queue=queue_name(slug),
        username=f"p-{slug}",
        password_hash="x",
        state=DoorState.READY,
        delivered_position=delivered,
        requested_at=NOW,
    )


async def test_a_wish_waits_for_the_one_before_and_names_what_it_sends(door, tokens):
    await subscribed(door, tokens)
    await fed(door.sessions, opened(a_call()), opened(a_call()))
    async with door.sessions.begin() as session:
        session.add(a_ready_door("indh", delivered=2))

    first, second = [
        await door.http.post("/doors/amqp/resend", json={"first": 1}, headers=partner(tokens))
        for _ in range(2)
    ]

    assert (first.status_code, first.json()["first"], first.json()["last"]) == (202, 1, 2)
    assert (second.status_code, second.json()["code"]) == (409, "being-sent-again")


async def test_without_a_queue_there_is_nothing_to_send_again_to(door, tokens):
    answer = await door.http.post("/doors/amqp/resend", json={"first": 1}, headers=partner(tokens))

    assert (answer.status_code, answer.json()["code"]) == (404, "no-queue-yet")


async def test_the_door_and_the_feed_tell_of_what_was_dropped(door, tokens):
    await subscribed(door, tokens)
    await fed(door.sessions, opened(a_call()), opened(a_call()), opened(a_call()))
    made = a_ready_door("indh", delivered=3)
    async with door.sessions.begin() as session:
        session.add(made)
        await session.flush()
        drops = [usecases.Drop(made.queue, n, "expired", 0) for n in (1, 2, 2)]
        await usecases.keep_gaps(session, drops)

    seen = (await door.http.get("/doors/amqp", headers=partner(tokens))).json()
    page = (await door.http.get("/feed", headers=partner(tokens))).json()
    after = (await door.http.get("/doors/amqp", headers=partner(tokens))).json()

    (gap,) = seen["gaps"]
    assert (seen["dropped"], gap["first_position"], gap["last_position"]) == (2, 1, 2)
    assert (gap["reason"], gap["closed_at"]) == ("expired", None)
    assert [(g["first_position"], g["closed_by"]) for g in page["gaps"]] == [(1, "feed")]
    assert (after["dropped"], after["gaps"]) == (0, [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-death": []},
        {"x-death": "no"},
        {"x-death": [{"queue": 1}], "cloudEvents_sequence": "1"},
        {"x-death": [{"queue": "q"}], "cloudEvents_sequence": "one"},
        {"x-death": [{"queue": "q"}], "cloudEvents_sequence": "1", "cloudEvents_resend": "x"},
    ],
)
def test_a_message_that_names_no_position_is_no_gap(headers):
    assert usecases.Drop.read(headers) is None


def test_an_unknown_reason_is_kept_as_unknown():
    drop = usecases.Drop.read(
        {"x-death": [{"queue": "q", "reason": "new"}], "cloudEvents_sequence": "7"}
    )

    assert drop == usecases.Drop("q", 7, "unknown", 0)


async def test_dropped_messages_that_can_not_be_fetched_are_told_once_an_outage():
    nowhere = "amqp://x:y@127.0.0.1:1/partners"

    with capture_logs() as logs, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await drain_dropped(
                make_sessions(make_engine("postgresql+asyncpg://")), nowhere, pause=0
            )

    assert [line["event"] for line in logs] == ["dropped messages wait"]
    assert "RabbitMQ does not answer" in logs[0]["cause"]
