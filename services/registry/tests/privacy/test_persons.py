"""Requests of persons: done in the registry once confirmed, published, never undone by a file."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select

from registry.identity import models
from registry.identity.usecases.accounts import email_mark
from registry.privacy.domain.found_records import PersonIdentifiers
from registry.register.domain.cooperative import Contact
from shared.contracts.registry import CooperativeChanged, PersonErasureRequested
from shared.kernel.data.tables import AuditRow, OutboxRow

from ..builders import a_row
from .client import CONTACT, EMAIL, NAME, PASSWORD, PHONE, SEALER, Json, PrivacyClient


@pytest.mark.parametrize("how", [{"email": EMAIL.upper()}, {"phone": "0600000001"}])
async def test_an_erasure_takes_the_contact_from_every_cooperative_and_publishes_it(
    privacy: PrivacyClient, how: Json
) -> None:
    theirs = [await privacy.cooperative("1"), await privacy.cooperative("2")]
    other = await privacy.cooperative("3", email="other@taawon.example", phone="+212600000009")

    request = await privacy.asks("erasure", **how)

    assert request["cooperative_ids"] == sorted(theirs)
    assert [await privacy.contact(each) for each in theirs] == [(2, {}), (2, {})]
    assert (await privacy.contact(other))[0] == 1
    changed = await privacy.events(CooperativeChanged.topic)
    assert {each["cooperative"]["contact_sealed"] for each in changed} == {None}
    (published,) = await privacy.events(PersonErasureRequested.topic)
    assert {(each["cooperative_id"], each["version"]) for each in published["cooperatives"]} == {
        (each, 2) for each in theirs
    }


async def test_an_erased_account_is_empty_nobody_signs_in_and_its_id_stays(
    privacy: PrivacyClient,
) -> None:
    account_id = await privacy.account()
    async with privacy.api.sessions.begin() as session:
        failure = insert(models.sign_in_failure).values(email_mark=email_mark(SEALER, EMAIL))
        await session.execute(failure)

    request = await privacy.asks("erasure", email=EMAIL)

    assert request["account_ids"] == [account_id]
    async with privacy.api.sessions() as session:
        table = models.account
        row = (await session.execute(select(table).where(table.c.id == account_id))).one()
        failures = models.sign_in_failure
        left = await session.scalar(
            select(func.count()).where(failures.c.email_mark == email_mark(SEALER, EMAIL))
        )
    assert SEALER.open(row.email_sealed) == {}
    assert (row.roles, row.password_hash, row.disabled_at is None) == ([], "", False)
    assert row.email_mark == f"erased:{account_id}"
    assert left == 0
    assert await privacy.signs_in() == 400


@pytest.mark.parametrize("kind", ["access", "erasure"])
async def test_whoever_gives_a_phone_alone_is_found_with_the_account_and_its_contacts(
    privacy: PrivacyClient, kind: str
) -> None:
    by_phone = await privacy.cooperative("1")
    by_email = await privacy.cooperative("2", email=EMAIL, phone="+212600000009")
    neighbour = await privacy.cooperative("3", email="other@taawon.example", phone="+212600000009")
    account_id, other = await privacy.account(), await privacy.account("other@taawon.example")

    request = await privacy.asks(kind, phone=PHONE)

    assert request["account_ids"] == [account_id]
    assert request["cooperative_ids"] == sorted([by_phone, by_email])
    assert neighbour not in request["cooperative_ids"]
    assert other not in request["account_ids"]


async def test_whoever_gives_an_account_alone_is_found_as_the_contact_under_its_e_mail(
    privacy: PrivacyClient,
) -> None:
    cooperative_id, account_id = (
        await privacy.cooperative("1"),
        await privacy.account(EMAIL.upper()),
    )

    request = await privacy.asks("erasure", account_ids=[account_id])

    assert request["cooperative_ids"] == [cooperative_id]
    assert await privacy.contact(cooperative_id) == (2, {})


async def test_no_answer_event_or_audit_row_holds_a_value_of_the_person(
    privacy: PrivacyClient,
) -> None:
    await privacy.cooperative("1")
    await privacy.account()
    proposed = await privacy.proposes("erasure", email=EMAIL)
    answer = await privacy.confirms(proposed)

    async with privacy.api.sessions() as session:
        bodies = list(await session.scalars(select(OutboxRow.body)))
        rows = (await session.scalars(select(AuditRow))).all()
    seen = str(proposed).encode() + answer.text.encode() + b"".join(bodies)
    seen += b"".join(orjson.dumps([row.before, row.after]) for row in rows)
    assert [value for value in (EMAIL, PHONE, NAME) if value.encode() in seen] == []


@pytest.mark.parametrize(
    ("kind", "what", "of_contact", "of_account"),
    [
        ("erasure", {}, "contact erased", "account erased"),
        (
            "rectification",
            {"corrections": {"email": "right@taawon.example"}},
            "contact corrected",
            "sign-in e-mail corrected",
        ),
    ],
)
async def test_the_audit_of_a_record_says_that_something_of_a_person_changed(
    privacy: PrivacyClient, kind: str, what: Json, of_contact: str, of_account: str
) -> None:
    cooperative_id = await privacy.cooperative("1")
    account_id = await privacy.account()

    request = await privacy.asks(kind, email=EMAIL, **what)

    for record_id, action in ((cooperative_id, of_contact), (account_id, of_account)):
        seen = await privacy.get(f"/audit/{record_id}")
        newest = seen.json()["items"][0]
        assert (newest["action"], newest["actor_roles"]) == (action, ["operator"])
        assert newest["after"] == {"request_id": request["request_id"]}
        assert "example" not in seen.text


async def test_a_corrected_phone_leaves_no_row_on_the_account(privacy: PrivacyClient) -> None:
    account_id = await privacy.account()

    await privacy.asks("rectification", email=EMAIL, corrections={"phone": "0600000002"})

    seen = await privacy.get(f"/audit/{account_id}")
    assert [each["action"] for each in seen.json()["items"]] == ["account created"]


async def test_a_file_that_still_names_the_person_does_not_bring_them_back(
    privacy: PrivacyClient,
) -> None:
    row = a_row(court="TPI Oubli", local_register_no="1", ice="")
    await privacy.imports(row)
    request = await privacy.asks("erasure", email=EMAIL)
    (cooperative_id,) = request["cooperative_ids"]

    same = await privacy.imports(row)
    grown = await privacy.imports(row | {"members_total": "30"})

    assert (same.rows_unchanged, same.events) == (1, 0)
    assert grown.rows_changed == 1
    assert await privacy.contact(cooperative_id) == (3, {})
    path = f"/persons/cooperatives/{cooperative_id}/settled-contact"
    released = await privacy.api.http.delete(path, headers=privacy.headers)
    still = await privacy.imports(row | {"members_total": "30"})
    other = {"president": "Présidence d'essai 2", "phone": "+212600000002", "email": "b@c.example"}
    await privacy.imports(row | {"members_total": "30"} | other)
    assert (released.status_code, columns_of(still)) == (204, {"email", "phone"})
    assert (await privacy.contact(cooperative_id))[1] == other


def columns_of(report: Any) -> set[str]:
    """The columns that the report of an import warns of."""
    return {each["column"] for each in report.problems if each["severity"] == "warning"}


async def test_a_rectification_corrects_everywhere_and_no_file_undoes_it(
    privacy: PrivacyClient,
) -> None:
    row = a_row(court="TPI Oubli", local_register_no="1", ice="")
    await privacy.imports(row)
    account_id = await privacy.account()

    right = {"email": "right@taawon.example"}
    request = await privacy.asks("rectification", email=EMAIL, corrections=right)
    again = await privacy.imports(row)

    (cooperative_id,) = request["cooperative_ids"]
    assert request["account_ids"] == [account_id]
    assert await privacy.contact(cooperative_id) == (2, {**CONTACT, **right})
    assert again.rows_unchanged == 1
    assert (await privacy.signs_in(right["email"]), await privacy.signs_in()) == (200, 400)


async def test_a_second_erasure_changes_nothing_more(privacy: PrivacyClient) -> None:
    cooperative_id = await privacy.cooperative("1")
    await privacy.asks("erasure", email=EMAIL)
    published = len(await privacy.events(CooperativeChanged.topic))

    by_email = await privacy.asks("erasure", email=EMAIL)
    by_id = await privacy.asks("erasure", cooperative_ids=[cooperative_id])

    assert by_email["cooperative_ids"] == []
    assert by_id["cooperative_ids"] == [cooperative_id]
    assert len(await privacy.events(CooperativeChanged.topic)) == published
    assert await privacy.contact(cooperative_id) == (2, {})


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"kind": "erasure"}, "nobody-named"),
        ({"kind": "rectification", "email": EMAIL}, "nothing-to-correct"),
        ({"kind": "erasure", "email": EMAIL, "corrections": {"phone": None}}, "nothing-to-correct"),
        ({"kind": "access", "email": "no address"}, "invalid"),
    ],
)
async def test_a_request_that_says_too_little_is_refused(
    privacy: PrivacyClient, how: Json, code: str
) -> None:
    body = {"ground": "person", "reference": "2026/1", **how}

    answer = await privacy.post("/persons/requests", body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_the_last_operator_is_not_erased_and_the_last_two_not_at_once(
    privacy: PrivacyClient,
) -> None:
    body = {"email": "o@taawon.example", "password": PASSWORD, "roles": ["operator"]}
    other = (await privacy.post("/accounts", body)).json()["account_id"]
    async with privacy.api.sessions() as session:
        everybody = await session.scalars(select(models.account.c.id))
        ids = sorted((str(each) for each in everybody), key=lambda each: each != other)
    assert len(ids) == 2
    wanted = (ids, ids[:1], ids[1:])

    both, one, last = [
        await privacy.confirms(await privacy.proposes("erasure", account_ids=each))
        for each in wanted
    ]

    assert [each.status_code for each in (both, one, last)] == [409, 200, 409]
    assert (both.json()["code"], last.json()["code"]) == ("last-operator", "last-operator")
    assert "make another one first" in last.json()["detail"]


@pytest.mark.parametrize("stored", ["\u200fzoé@b.ma", "zoe\u0301@b.ma", "ZOÉ@B.MA"])
@pytest.mark.parametrize("asked", ["zoé@b.ma", "zoe\u0301@b.ma", "\u200fzoé@b.ma"])
def test_a_contact_is_found_by_its_e_mail_in_every_spelling(stored: str, asked: str) -> None:
    known = PersonIdentifiers(emails=frozenset({asked}))

    assert known.is_contact(Contact(email=stored))
    assert not known.is_contact(Contact(email="zoe@b.ma"))


async def test_an_erasure_finds_the_contact_and_the_account_in_another_spelling(
    privacy: PrivacyClient,
) -> None:
    theirs = await privacy.cooperative("1", email="z@بريد.example")
    account_id = await privacy.account("\u200fz@xn--ngbof4h.example")

    request = await privacy.asks("erasure", email="Z@بريد.example\u200f")

    assert (request["cooperative_ids"], request["account_ids"]) == ([theirs], [account_id])


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ("limit=5_0", "limit", "give a whole number in digits"),
        ("limit=%D9%A5", "limit", "give a whole number in digits"),
        ("open=on", "open", "give true or false"),
    ],
)
async def test_a_number_or_flag_in_another_spelling_is_refused_by_its_name(
    privacy: PrivacyClient, query: str, field: str, remedy: str
) -> None:
    answer = await privacy.get(f"/persons/requests?{query}")

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["message"]) == (422, field, remedy)
    assert field in answer.json()["detail"]
