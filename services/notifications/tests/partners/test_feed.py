"""A partner reads its feed over HTTP, and its oldest entries are trimmed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from notifications.partners import handlers as partners_handlers
from notifications.partners.api import feeds
from notifications.partners.models import feed_entry
from notifications.partners.usecases.partners import trim_feeds

from ..builders import a_call, an_idea, opened, published
from .partners import partner


async def test_a_feed_has_the_events_since_the_subscription(api, tokens):
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


async def test_an_entry_that_comes_while_the_feed_is_read_does_not_make_it_look_trimmed(
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


@pytest.mark.parametrize("after", ["-1", "x", "9" * 19])
async def test_a_feed_position_is_a_number(api, tokens, after):
    answer = await api.http.get("/feed", params={"after": after}, headers=partner(tokens))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "after"


@pytest.mark.parametrize("entries", [0, 2])
async def test_a_position_beyond_the_end_is_refused_with_the_last(api, tokens, entries):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await feed_with_ages(api, *[0] * entries)

    answer = await api.http.get("/feed", params={"after": "99999"}, headers=partner(tokens))

    assert (answer.status_code, answer.json()["code"]) == (422, "beyond-the-end")
    assert answer.json()["errors"][0]["field"] == "after"
    assert f"the last is {entries}; read on with after={entries}" in answer.json()["detail"]
    assert await positions(api, tokens, after=str(entries)) == ([], str(entries))


async def feed_with_ages(api, *ages):
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


async def trim(api, days=400):
    async with api.sessions.begin() as session:
        return await trim_feeds(session, days=days)


async def positions(api, tokens, **parameters):
    answer = await api.http.get("/feed", params=parameters, headers=partner(tokens))
    assert answer.status_code == 200, answer.text
    return [item["sequence"] for item in answer.json()["items"]], answer.json()["next"]


async def test_a_feed_is_trimmed_from_its_beginning_and_gets_no_hole(api, tokens):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await feed_with_ages(api, 500, 450, 10, 420, 0)

    assert await trim(api) == 2
    assert await trim(api) == 0

    assert await positions(api, tokens) == (["3", "4", "5"], "5")
    assert await positions(api, tokens, after="2") == (["3", "4", "5"], "5")


@pytest.mark.parametrize("after", ["0", "1"])
async def test_a_position_that_is_not_kept_any_more_is_answered_with_the_oldest(api, tokens, after):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await feed_with_ages(api, 500, 450, 0)
    await trim(api)

    answer = await api.http.get("/feed", params={"after": after}, headers=partner(tokens))

    assert (answer.status_code, answer.json()["code"]) == (410, "not-kept-any-more")
    assert "the oldest is 3: read on with after=2" in answer.json()["detail"]


async def test_a_feed_that_is_trimmed_whole_goes_on_where_it_was(api, tokens):
    await api.http.post("/subscriptions", json={}, headers=partner(tokens))
    await feed_with_ages(api, 500, 450)
    await trim(api)

    assert await positions(api, tokens) == ([], "2")
    assert await positions(api, tokens, after="2") == ([], "2")
    answer = await api.http.get("/feed", params={"after": "1"}, headers=partner(tokens))
    assert "the oldest is 3" in answer.json()["detail"]
