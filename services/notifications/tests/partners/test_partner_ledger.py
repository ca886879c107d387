"""The ledger of a partner: what it was sent, by which channel and when."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from itertools import combinations

import pytest
from sqlalchemy import func, insert, select

from notifications.app import COUNTS, NAMES
from notifications.partners.models import feed_delivery, feed_gap
from notifications.partners.provisioner import BrokerProvisioner
from notifications.partners.usecases import partner_queue
from notifications.partners.usecases.delivery_records import record_page_read
from notifications.partners.usecases.feed_delivery import deliver_feed
from notifications.partners.usecases.partner_queue import PARTNER_VHOST
from shared.kernel.messaging.publisher import Publisher
from shared.kernel.web.requests import encode_cursor

from ..builders import a_call, an_idea, opened, published
from ..commands import taawon
from .partners import NOW, fed, ledger, partner, subscribed

pytestmark = pytest.mark.servers


async def test_each_entry_names_its_event_its_subject_and_the_subscription_that_matched(
    api, tokens
):
    subscription_id = await subscribed(api, tokens)
    call, idea = opened(a_call()), published(an_idea())
    await fed(api.sessions, call, idea)

    first, second = (await ledger(api, tokens.headers("operator")))["items"]

    assert (first["position"], first["event_id"]) == (1, str(call.event_id))
    assert (first["subject_id"], first["topic"]) == (str(call.call_id), call.topic)
    assert (first["subscriptions"], first["channels"], first["gap"]) == (
        [subscription_id],
        [],
        None,
    )
    assert second["subject_id"] == str(idea.idea_id)


async def test_each_reading_of_a_feed_page_is_counted(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, *(opened(a_call()) for _ in range(3)))
    for after in ("0", "0", "1"):
        page = await api.http.get(
            "/feed", params={"after": after, "limit": 2}, headers=partner(tokens)
        )
        assert page.status_code == 200, page.text
    assert (await api.http.get("/feed?after=3", headers=partner(tokens))).json()["items"] == []

    entries = (await ledger(api, partner(tokens)))["items"]

    assert [entry["channels"][0]["times"] for entry in entries] == [2, 3, 1]
    assert {entry["channels"][0]["channel"] for entry in entries} == {"feed"}
    first = entries[0]["channels"][0]
    assert first["first_at"] < first["last_at"]


async def test_pages_of_every_size_leave_few_rows_and_the_right_count_for_each_entry(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, *(opened(a_call()) for _ in range(16)))
    async with api.sessions.begin() as session:
        for first, last in combinations(range(1, 18), 2):
            await record_page_read(session, "indh", first, last - 1)

    entries = (await ledger(api, partner(tokens)))["items"]

    assert [entry["channels"][0]["times"] for entry in entries] == [
        n * (17 - n) for n in range(1, 17)
    ]
    async with api.sessions() as session:
        rows = await session.scalar(select(func.count()).select_from(feed_delivery))
    assert rows <= 31


async def test_a_ledger_has_no_page_beyond_its_end(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, opened(a_call()))
    path = "/partners/indh/ledger"

    ends = [
        await api.http.get(path, params={"after": encode_cursor(n)}, headers=partner(tokens))
        for n in (1, 2)
    ]

    assert [each.status_code for each in ends] == [200, 422]
    assert (ends[0].json()["items"], ends[1].json()["code"]) == ([], "beyond-the-end")


async def test_pages_of_the_ledger_follow_each_other(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, *(opened(a_call()) for _ in range(5)))

    seen, after = [], {}
    while True:
        page = await ledger(api, partner(tokens), limit=2, **after)
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
async def test_a_ledger_is_for_its_partner_and_for_operators(api, tokens, role, claims, status):
    await subscribed(api, tokens)

    for path in ("/partners/indh/ledger", "/partners/indh/ledger.csv"):
        answer = await api.http.get(path, headers=tokens.headers(role, **claims))
        assert answer.status_code == status


async def test_the_ledger_of_an_unknown_partner_is_not_found(api, tokens):
    await ledger(api, tokens.headers("operator"), slug="nobody", status=404)


async def test_the_table_has_one_line_per_event(api, tokens):
    await subscribed(api, tokens)
    await fed(api.sessions, opened(a_call()), opened(a_call()))
    async with api.sessions.begin() as session:
        await record_page_read(session, "indh", 1, 1)

    answer = await api.http.get("/partners/indh/ledger.csv", headers=partner(tokens))

    assert answer.headers["content-type"].startswith("text/csv")
    first, second = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (first["position"], first["feed_times"], first["amqp_times"]) == ("1", "1", "0")
    assert first["feed_first_at"]
    assert (second["feed_times"], second["feed_first_at"]) == ("0", "")


async def test_the_trace_of_an_event_ends_with_its_partner_deliveries(api, tokens):
    await subscribed(api, tokens)
    call = opened(a_call())
    await fed(api.sessions, call, opened(a_call()))
    async with api.sessions.begin() as session:
        await record_page_read(session, "indh", 1, 2)

    answer = await api.http.get(f"/trace/{call.event_id}", headers=tokens.headers("operator"))

    assert answer.status_code == 200, answer.text
    assert [
        (step["event_id"], step["partner"], step["position"], step["channel"])
        for step in answer.json()["partner_deliveries"]
    ] == [(str(call.event_id), "indh", 1, None), (str(call.event_id), "indh", 1, "feed")]


async def test_the_status_names_the_partners_whose_queues_dropped_events(api, tokens):
    await subscribed(api, tokens)
    async with api.sessions.begin() as session:
        await session.execute(
            insert(feed_gap).values(slug="indh", position=1, reason="maxlen", noticed_at=NOW)
        )
    api.runtime.counts, api.runtime.names = COUNTS, NAMES

    status = (await api.http.get("/status", headers=tokens.headers("operator"))).json()

    assert (status["counts"]["feed_gaps"], status["names"]["feed_gaps"]) == (1, ["indh"])


async def test_what_the_queue_confirmed_is_in_the_ledger_with_its_time(served):
    await fed(served.sessions, *(opened(a_call()) for _ in range(3)))

    await served.deliver()

    entries = await served.entries()
    assert [(d.channel, d.times, d.unsure) for e in entries for d in e.channels] == [
        ("amqp", 1, 0)
    ] * 3
    assert all(entry.channels[0].first_at >= entry.recorded_at for entry in entries)


async def test_a_death_between_confirm_and_mark_is_reported_as_a_possible_repeat(
    served, monkeypatch
):
    await fed(served.sessions, opened(a_call()))

    def die(name):
        raise OSError(name)

    monkeypatch.setattr("notifications.partners.usecases.feed_delivery.failpoints.reach", die)
    with pytest.raises(OSError, match="between-confirm-and-mark"):
        await served.deliver()
    monkeypatch.undo()
    await served.deliver()

    first, repeat = await served.read(2)
    (entry,) = await served.entries()
    assert first.message_id == repeat.message_id == str(entry.event_id)
    assert [(d.times, d.unsure) for d in entry.channels] == [(1, 1)]


async def test_a_queue_that_the_broker_lost_is_made_again_and_filled_anew(served):
    await fed(served.sessions, opened(a_call()), published(an_idea()))
    await served.deliver()
    path = f"queues/{PARTNER_VHOST}/{served.partner_queue.queue}"
    await asyncio.to_thread(served.broker.management.delete, path)
    provisioner = BrokerProvisioner(served.broker.management, "notifications")

    lost = await partner_queue.find_lost_partner_queues(served.sessions, provisioner)
    assert await partner_queue.provision_partner_queues(served.sessions, provisioner) == 1
    assert await partner_queue.find_lost_partner_queues(served.sessions, provisioner) == 0
    await served.deliver()

    assert lost == 1
    read = await served.read(2)
    entries = await served.entries()
    assert [message.message_id for message in read] == [str(e.event_id) for e in entries]
    assert [d.times for entry in entries for d in entry.channels] == [2, 2]


async def test_the_command_prints_a_table_or_json_lines_or_writes_a_csv_file(served, tmp_path):
    await fed(served.sessions, opened(a_call()), published(an_idea()))
    await served.deliver()
    url = served.sessions.kw["bind"].url.render_as_string(hide_password=False)
    file, kept = tmp_path / "ledger.csv", tmp_path / "kept.csv"
    kept.write_text("yesterday's")

    shown, as_json, written, unknown, piped = await asyncio.gather(
        *(
            asyncio.to_thread(taawon, url, "partner", "ledger", *arguments)
            for arguments in (
                [served.partner_queue.slug],
                [served.partner_queue.slug, "--json", "--after", "1"],
                [served.partner_queue.slug, "--csv", str(file)],
                ["nobody", "--csv", str(kept)],
                [served.partner_queue.slug, "--csv", "/dev/stdout"],
            )
        )
    )

    assert "funding.call.opened.v1" in shown.stdout, shown.stderr
    (entry,) = map(json.loads, as_json.stdout.splitlines())
    assert (entry["position"], entry["channels"][0]["times"]) == (2, 1)
    assert "2 events written" in written.stdout
    assert [row["amqp_times"] for row in csv.DictReader(file.read_text().splitlines())] == [
        "1",
        "1",
    ]
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "check the slug" in unknown.stderr
    assert piped.stdout.startswith("\ufeffposition,")
    assert kept.read_text() == "yesterday's"
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.csv", "kept.csv"}


async def test_without_a_broker_no_delivery_is_recorded(served):
    await fed(served.sessions, opened(a_call()))
    away = Publisher("amqp://nobody:x@127.0.0.1:1/", 1, "test")

    assert await deliver_feed(served.sessions, away) is False

    (entry,) = await served.entries()
    assert entry.channels == ()
