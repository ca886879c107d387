"""Subscriptions and the request of a partner queue over HTTP."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import select, text

from devkit import pytest_plugin
from notifications.app import create_app
from notifications.partners.domain.subscriptions import SubscriptionFilter
from notifications.partners.usecases import partners
from notifications.partners.usecases.partners import subscribe
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.data.tables import AuditRow

from .partners import partner


async def test_a_partner_may_have_a_limited_number_of_active_subscriptions(
    api, tokens, monkeypatch
):
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


async def test_two_subscriptions_at_once_do_not_exceed_the_limit(databases, tokens, monkeypatch):
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
        ({"topics": ["fundign.*"]}, "topics.0", "did you mean funding.*?"),
        ({"topics": ["funding.call"]}, "topics.0", "did you mean funding.call.*?"),
        (
            {"topics": ["ideas.*", "funding.call.openned"]},
            "topics.1",
            "did you mean funding.call.opened?",
        ),
        ({"topics": ["funding.call.opened.v2"]}, "topics.0", "funding.call.opened.v1"),
        ({"topics": ["registry.account.revoked.*"]}, "topics.0", "give one of funding.call.opened"),
        ({"topics": [""]}, "topics.0", "or *"),
        ({"min_amount_centimes": -1}, "min_amount_centimes", "at least"),
        ({"region": ["MA-09"]}, "region", "no such field"),
        ({"min_readiness": "ripe"}, "min_readiness", "jury_selected"),
    ],
)
async def test_a_wrong_filter_is_refused_with_the_field_and_the_nearest_code(
    api, tokens, wanted, field, says
):
    answer = await api.http.post("/subscriptions", json=wanted, headers=partner(tokens))

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]


async def test_the_password_of_a_partner_queue_is_shown_once(api, tokens):
    made = (await api.http.post("/partner-queue", headers=partner(tokens))).json()

    seen = (await api.http.get("/partner-queue", headers=partner(tokens))).json()

    assert (made["state"], made["username"], seen["password"]) == ("requested", "p-indh", None)
    assert made["queue"] == seen["queue"]
    async with api.sessions() as session:
        actions = await session.scalars(select(AuditRow.action))
        assert "partner queue requested" in list(actions)
