"""The HTTP API of notifications: inboxes, totals, subscriptions and feeds, each to its own."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from devkit import pytest_plugin
from notifications.app import create_app
from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.partners import handlers as partners_handlers
from notifications.partners.api import feeds
from notifications.partners.domain.subscriptions import SubscriptionFilter
from notifications.partners.models import feed_entry
from notifications.partners.usecases import partners
from notifications.partners.usecases.partners import subscribe, trim_feeds
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import AuditRow

from .builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    extended,
    imported,
    opened,
    published,
    updated,
)


async def alerted(api, *records, events):
    """The register and the events as they would have arrived over the broker."""
    async with api.sessions.begin() as session:
        batch = imported(*records)
        await audience_handlers.store_imported_cooperatives(batch, session)
        for event in events:
            handler = handlers.follow_idea if "ideas" in event.topic else handlers.follow_call
            await handler(event, session)


async def inbox(api, tokens, record, headers=None, **parameters):
    answer = await api.http.get(
        f"/cooperatives/{record.cooperative_id}/alerts",
        params=parameters,
        headers=headers or tokens.headers("operator"),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_alert_comes_in_the_language_of_the_cooperative_with_its_reasons(api, tokens):
    record = a_record(language="ar")
    await alerted(api, record, events=[opened(a_call())])

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert (alert["language"], alert["dir"], alert["title"]) == ("ar", "rtl", "طلب مشاريع")
    assert alert["why"][0]["track"] == "التعاونيات"
    assert "تيزنيت" in alert["why"][0]["reasons"][0]


async def test_another_language_may_be_asked_for(api, tokens):
    record = a_record(language="ar")
    await alerted(api, record, events=[opened(a_call())])

    (alert,) = (await inbox(api, tokens, record, language="fr"))["items"]

    assert (alert["dir"], alert["title"]) == ("ltr", "Appel à projets")
    assert "Tiznit" in alert["why"][0]["reasons"][0]


async def test_an_unsure_alert_names_the_field_to_complete(api, tokens):
    record = a_record(members_youth=None)
    call = a_call(a_track(provinces=["MA-TIZ"], min_share_youth={"percent": 50}))
    await alerted(api, record, events=[opened(call)])

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert alert["verdict"] == "unknown"
    (track,) = alert["why"]
    assert track["to_complete"] == ["members_youth"]
    assert "nombre de jeunes" in track["how_to_complete"]


async def test_a_correction_shows_the_old_and_the_new_value(api, tokens):
    record, call = a_record(), a_call()
    await alerted(api, record, events=[opened(call), extended(call)])

    newest, first = (await inbox(api, tokens, record))["items"]

    (change,) = newest["changes"]
    assert newest["kind"] == "deadline_extended"
    assert (change["field"], change["before"]["shown"]) == ("deadline", "1 septembre 2027 à 16 h")
    assert change["after"]["shown"] == "1 octobre 2027 à 16 h"
    assert (change["label"], change["before_shown"]) == ("Date limite", "1 septembre 2027 à 16 h")
    assert (newest["reason"], first["reason"]) == ("à la demande des coopératives", None)
    assert (first["kind"], first["changes"]) == ("opened", [])


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "fr",
            "Coopératives (jusqu'à 500 000 DH ; provinces et préfectures : Tiznit ;"
            " femmes : au moins 30 %)",
        ),
        (
            "ar",
            "التعاونيات (في حدود 500.000 درهم؛ العمالات والأقاليم: تيزنيت؛ النساء: 30 % على الأقل)",
        ),
    ],
)
async def test_changed_tracks_are_shown_in_words(api, tokens, language, words):
    record, call = a_record(), a_call()
    track = a_track(provinces=["MA-TIZ"], min_share_women={"percent": 30})
    wider = track.model_copy(update={"max_grant_centimes": 50_000_000})
    await alerted(api, record, events=[opened(call), updated(call, tracks=(wider,))])

    newest, _ = (await inbox(api, tokens, record, language=language))["items"]

    (change,) = newest["changes"]
    assert (change["field"], change["after_shown"]) == ("tracks", words)


async def test_a_correction_speaks_of_its_own_tracks_and_profile(api, tokens):
    """Tracks may be put in another order, and records change between two alerts."""
    record = a_record()
    elsewhere, here = a_track(provinces=["MA-AGD"]), a_track(provinces=["MA-TIZ"])
    call = a_call(here)
    await alerted(api, record, events=[opened(call), updated(call, tracks=(elsewhere, here))])

    newest, _ = (await inbox(api, tokens, record))["items"]

    (track,) = newest["why"]
    assert (newest["verdict"], track["verdict"]) == ("eligible", "eligible")
    assert "Tiznit" in track["reasons"][0]


async def test_whoever_does_not_qualify_any_more_reads_so_with_the_rule(api, tokens):
    record, call = a_record(), a_call()
    moved = updated(call, tracks=(a_track(provinces=["MA-AGD"]),))
    await alerted(api, record, events=[opened(call), moved, extended(moved.call)])

    for alert in (await inbox(api, tokens, record))["items"][:2]:
        assert alert["verdict"] == "ineligible"
        (track,) = alert["why"]
        assert track["verdict"] == "ineligible"
        assert "Agadir" in track["reasons"][0]


async def test_the_reason_is_that_of_the_moment_even_after_the_record_changed(api, tokens):
    record = a_record()
    await alerted(api, record, events=[opened(a_call())])
    await alerted(api, record.model_copy(update={"version": 2, "province": "MA-AGD"}), events=[])

    (alert,) = (await inbox(api, tokens, record))["items"]

    assert "Tiznit" in alert["why"][0]["reasons"][0]


async def test_pages_follow_each_other_without_gap_or_repeat(api, tokens):
    record = a_record()
    await alerted(api, record, events=[opened(a_call()) for _ in range(5)])

    seen, after = [], None
    while True:
        page = await inbox(api, tokens, record, limit=2, **({"after": after} if after else {}))
        seen += [alert["number"] for alert in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert len(seen) == 5
    assert seen == sorted(set(seen), reverse=True)


async def test_each_account_has_read_marks_of_its_own(api, tokens):
    record = a_record()
    reader, other = (
        tokens.headers("cooperative", cooperatives=[record.cooperative_id]) for _ in range(2)
    )
    await alerted(api, record, events=[opened(a_call())])
    (alert,) = (await inbox(api, tokens, record, reader))["items"]
    path = f"/cooperatives/{record.cooperative_id}/alerts/{alert['number']}/state"

    answer = await api.http.put(path, json={"state": "read"}, headers=reader)

    assert answer.status_code == 204
    assert (await inbox(api, tokens, record, reader, state="unread"))["items"] == []
    assert len((await inbox(api, tokens, record, other, state="unread"))["items"]) == 1


async def test_what_a_delegate_does_in_an_inbox_is_done_for_the_cooperative(api, tokens):
    record = a_record()
    await alerted(api, record, events=[opened(a_call())])
    (alert,) = (await inbox(api, tokens, record))["items"]
    itself = tokens.headers("cooperative", cooperatives=[record.cooperative_id])
    delegate = tokens.headers("delegate", provinces=["MA-TIZ"])
    path = f"/cooperatives/{record.cooperative_id}/alerts/{alert['number']}/state"

    for headers in (delegate, itself):
        assert (await api.http.put(path, json={"state": "read"}, headers=headers)).is_success

    seen = await api.http.get(f"/audit/{record.cooperative_id}", headers=itself)
    assert [(each["actor_roles"], each["on_behalf_of"]) for each in seen.json()["items"]] == [
        (["cooperative"], None),
        (["delegate"], str(record.cooperative_id)),
    ]


async def test_the_totals_of_an_event_add_up_by_region_and_sector(api, tokens):
    call = a_call(a_track(regions=["MA-09", "MA-01"]))
    records = [a_record(), a_record(sector="CRAFTS"), a_record(region="MA-01", province="MA-HOC")]
    await alerted(api, *records, events=[opened(call)])

    totals = (
        await api.http.get(f"/subjects/{call.call_id}/totals", headers=tokens.headers("operator"))
    ).json()

    assert (totals["matched"], totals["alerted"], totals["repeated"]) == (3, 3, 0)
    regions = {t["code"]: (t["label"], t["eligible"]) for t in totals["by_region"]}
    assert regions["MA-09"] == ("Souss-Massa", 2)
    assert {t["code"]: t["eligible"] for t in totals["by_sector"]} == {"ARGAN": 2, "CRAFTS": 1}


async def test_an_event_that_has_not_arrived_is_not_found(api, tokens):
    answer = await api.http.get(
        f"/subjects/{uuid.uuid4()}/totals", headers=tokens.headers("operator")
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-subject")


def partner(tokens, slug="indh"):
    return tokens.headers("partner", partner=slug)


async def test_a_subscription_fills_the_feed_from_then_on(api, tokens):
    before, after = opened(a_call()), published(an_idea())
    async with api.sessions.begin() as session:
        await partners_handlers.feed_partners(before, session)
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))

    async with api.sessions.begin() as session:
        await partners_handlers.feed_partners(after, session)

    feed = (await api.http.get("/feed", headers=partner(tokens))).json()
    (item,) = feed["items"]
    assert (item["id"], item["type"], item["sequence"]) == (
        str(after.event_id),
        "ideas.idea.published.v1",
        "1",
    )
    assert "author_id" not in item["data"]["idea"]
    assert feed["next"] == "1"


async def test_an_entry_that_comes_while_the_feed_is_read_is_not_taken_for_a_lost_one(
    api, tokens, monkeypatch
):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))

    def followed_by_an_entry(read):
        async def reading(session, *arguments, **options):
            seen = await read(session, *arguments, **options)
            monkeypatch.undo()
            await partners_handlers.feed_partners(opened(a_call()), session)
            return seen

        return reading

    for name in ("read_feed", "last_position"):
        wrapped = followed_by_an_entry(getattr(feeds.partners, name))
        monkeypatch.setattr(feeds.partners, name, wrapped)

    answer = await api.http.get("/feed", params={"after": "0"}, headers=partner(tokens))

    assert answer.status_code == 200


async def test_a_partner_never_sees_the_feed_of_another(api, tokens):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    async with api.sessions.begin() as session:
        await partners_handlers.feed_partners(opened(a_call()), session)

    feed = (await api.http.get("/feed", headers=partner(tokens, "fm5"))).json()

    assert feed == {"items": [], "next": "0", "gaps": []}


async def test_a_partner_has_so_many_subscriptions_at_a_time_and_no_more(api, tokens, monkeypatch):
    monkeypatch.setattr(partners, "MOST_SUBSCRIPTIONS", 2)

    async def subscribes(slug="indh"):
        return await api.http.post("/subscriptions", json={}, headers=partner(tokens, slug))

    first, second, third = [await subscribes() for _ in range(3)]
    another = await subscribes("fm5")
    path = f"/subscriptions/{first.json()['subscription_id']}"
    await api.http.delete(path, headers=partner(tokens))
    after_one_ended = await subscribes()

    assert (third.status_code, third.json()["code"]) == (409, "too-many-subscriptions")
    assert "DELETE /subscriptions/" in third.json()["detail"]
    codes = [each.status_code for each in (second, another, after_one_ended)]
    assert codes == [201, 201, 201]


async def test_two_who_subscribe_at_once_do_not_both_take_the_last_place(
    databases, tokens, monkeypatch
):
    monkeypatch.setattr(partners, "MOST_SUBSCRIPTIONS", 2)
    url = databases.fresh("notifications")
    engine = make_engine(url)
    caller = Principal(subject=uuid.uuid4(), roles=frozenset({Role.PARTNER}), partner="indh")
    async with pytest_plugin.api(create_app, "notifications", url, tokens) as api:
        api.runtime.sessions = sessions = make_sessions(engine)
        await api.http.post("/subscriptions", json={}, headers=partner(tokens))

        async with sessions.begin() as session, sessions() as observer:
            await subscribe(session, caller, SubscriptionFilter())
            second = asyncio.create_task(
                api.http.post("/subscriptions", json={}, headers=partner(tokens))
            )
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            await pytest_plugin.eventually(lambda: second.done() or observer.scalar(waits))
        answer = await second

    await engine.dispose()
    assert (answer.status_code, answer.json()["code"]) == (409, "too-many-subscriptions")


async def test_nobody_ends_the_subscription_of_another(api, tokens):
    made = await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    path = f"/subscriptions/{made.json()['subscription_id']}"

    stranger = await api.http.delete(path, headers=partner(tokens, "fm5"))
    owner = await api.http.delete(path, headers=partner(tokens))

    assert (stranger.status_code, owner.status_code) == (404, 204)
    (left,) = (await api.http.get("/subscriptions", headers=partner(tokens))).json()
    assert left["is_active"] is False


@pytest.mark.parametrize(
    ("wanted", "field", "says"),
    [
        ({"regions": ["MA-99"]}, "regions.0", "MA-09"),
        ({"provinces": ["MA-TIZ", "MA-TIZZ"]}, "provinces.1", "MA-TIZ"),
        ({"sectors": ["ARGANE"]}, "sectors.0", "ARGAN"),
        ({"topics": ["funding call"]}, "topics.0", "event type"),
        ({"min_amount_centimes": -1}, "min_amount_centimes", "greater"),
        ({"region": ["MA-09"]}, "region", "not permitted"),
        ({"min_readiness": "ripe"}, "min_readiness", "jury_selected"),
    ],
)
async def test_a_wrong_filter_names_the_field_and_the_nearest_code(
    api, tokens, wanted, field, says
):
    answer = await api.http.post("/subscriptions", json=wanted, headers=partner(tokens))

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/cooperatives/{id}/alerts", "bm8"),
        ("/cooperatives/{id}/alerts", "WyIxIl0"),
        ("/subjects/{subject}/recipients", "WzFd"),
    ],
)
async def test_a_made_up_cursor_is_refused(api, tokens, path, parameter):
    record, call = a_record(), a_call()
    await alerted(api, record, events=[opened(call)])

    answer = await api.http.get(
        path.format(id=record.cooperative_id, subject=call.call_id),
        params={"after": parameter},
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


@pytest.mark.parametrize("after", ["-1", "x", "9" * 19])
async def test_a_feed_position_is_a_number(api, tokens, after):
    answer = await api.http.get("/feed", params={"after": after}, headers=partner(tokens))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "after"


async def test_a_partner_queue_shows_its_password_once_and_keeps_only_a_hash(api, tokens):
    made = (await api.http.post("/partner-queue", headers=partner(tokens))).json()

    seen = (await api.http.get("/partner-queue", headers=partner(tokens))).json()

    assert (made["state"], made["username"], seen["password"]) == ("requested", "p-indh", None)
    assert made["queue"] == seen["queue"]
    async with api.sessions() as session:
        actions = await session.scalars(select(AuditRow.action))
        assert "partner queue requested" in list(actions)


async def test_marking_an_alert_that_is_not_there_is_refused(api, tokens):
    record = a_record()
    await alerted(api, record, events=[])

    answer = await api.http.put(
        f"/cooperatives/{record.cooperative_id}/alerts/7/state",
        json={"state": "read"},
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-alert")


async def fed_since(api, *ages):
    """A feed with one entry per age in days, the oldest first."""
    async with api.sessions.begin() as session:
        for _ in ages:
            await partners_handlers.feed_partners(opened(a_call()), session)
        for position, days in enumerate(ages, 1):
            await session.execute(
                update(feed_entry)
                .where(feed_entry.c.position == position)
                .values(recorded_at=datetime.now(UTC) - timedelta(days=days))
            )


async def trimmed(api, days=400):
    async with api.sessions.begin() as session:
        return await trim_feeds(session, days=days)


async def positions(api, tokens, **parameters):
    answer = await api.http.get("/feed", params=parameters, headers=partner(tokens))
    assert answer.status_code == 200, answer.text
    return [item["sequence"] for item in answer.json()["items"]], answer.json()["next"]


async def test_a_feed_is_trimmed_from_its_beginning_and_gets_no_hole(api, tokens):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await fed_since(api, 500, 450, 10, 420, 0)

    assert await trimmed(api) == 2
    assert await trimmed(api) == 0

    assert await positions(api, tokens) == (["3", "4", "5"], "5")
    assert await positions(api, tokens, after="2") == (["3", "4", "5"], "5")


@pytest.mark.parametrize("after", ["0", "1"])
async def test_a_position_that_is_not_kept_any_more_is_reported_the_oldest(api, tokens, after):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await fed_since(api, 500, 450, 0)
    await trimmed(api)

    answer = await api.http.get("/feed", params={"after": after}, headers=partner(tokens))

    assert (answer.status_code, answer.json()["code"]) == (410, "not-kept-any-more")
    assert "the oldest is 3: read on with after=2" in answer.json()["detail"]


async def test_a_feed_that_is_trimmed_whole_goes_on_where_it_was(api, tokens):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await fed_since(api, 500, 450)
    await trimmed(api)

    assert await positions(api, tokens) == ([], "2")
    assert await positions(api, tokens, after="2") == ([], "2")
    answer = await api.http.get("/feed", params={"after": "1"}, headers=partner(tokens))
    assert "the oldest is 3" in answer.json()["detail"]
