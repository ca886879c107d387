"""A contact that its person had erased does not come back unseen, whichever way it comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from registry.register.domain.cooperative import Contact
from registry.register.models import tables
from registry.register.usecases.erased_contacts import delete_old_erased

from ..builders import a_body, a_row, audited_actions
from .client import CONTACT, EMAIL, NAME, PASSWORD, PHONE, Json, PrivacyClient

ROW = a_row(court="TPI Oubli", local_register_no="1", ice="")
ELSEWHERE = ROW | {"local_register_no": "77"}
SOMEBODY = {"president": "Présidence d'essai 2", "phone": "+212600000002", "email": "b@c.example"}


@pytest.fixture
async def erased(privacy: PrivacyClient) -> str:
    """The cooperative of a person who was erased."""
    await privacy.imports(ROW)
    request = await privacy.asks("erasure", email=EMAIL)
    (cooperative_id,) = request["cooperative_ids"]
    return str(cooperative_id)


async def contact_of(privacy: PrivacyClient, number: str) -> Json:
    table = tables.cooperative
    async with privacy.api.sessions() as session:
        wanted = table.c.local_register_no == number, table.c.court == "TPI Oubli"
        cooperative_id = await session.scalar(select(table.c.id).where(*wanted))
    return (await privacy.contact(str(cooperative_id)))[1]


def warnings_of(report: Any) -> dict[str, str]:
    return {each["column"]: each["reason"] for each in report.problems}


@pytest.mark.usefixtures("erased")
@pytest.mark.parametrize(
    ("cells", "columns"),
    [
        ({}, {"email", "phone"}),
        ({"email": "other@taawon.example"}, {"phone"}),
        ({"phone": "+212600000009", "email": EMAIL.upper()}, {"email"}),
        ({"phone": "06 00 00 00 01", "email": ""}, {"phone"}),
    ],
)
async def test_a_file_does_not_bring_it_back_under_another_number(
    privacy: PrivacyClient, cells: dict[str, str], columns: set[str]
) -> None:
    report = await privacy.imports(ELSEWHERE | cells)
    again = await privacy.imports(ELSEWHERE | cells)

    assert (report.rows_added, await contact_of(privacy, "77")) == (1, {})
    assert set(warnings_of(report)) == columns
    assert "had this erased" in "".join(warnings_of(report).values())
    assert (again.rows_unchanged, again.problems_total) == (1, len(columns))
    assert not any(value in str(report.problems) for value in (EMAIL, PHONE, NAME))


@pytest.mark.usefixtures("erased")
async def test_a_file_does_not_put_it_in_place_of_somebody_else(privacy: PrivacyClient) -> None:
    await privacy.imports(ELSEWHERE | SOMEBODY)

    report = await privacy.imports(ELSEWHERE | {"members_total": "30"})

    assert (report.rows_changed, set(warnings_of(report))) == (1, {"email", "phone"})
    assert await contact_of(privacy, "77") == SOMEBODY


async def test_a_phone_that_somebody_else_shares_is_taken_from_files_as_before(
    privacy: PrivacyClient,
) -> None:
    neighbour = ELSEWHERE | {"email": "other@taawon.example"}
    await privacy.imports(ROW, neighbour)
    await privacy.asks("erasure", email=EMAIL)

    new = neighbour | {"local_register_no": "78", "email": ""}
    report = await privacy.imports(ROW, neighbour | {"members_total": "30"}, new)

    assert (report.rows_changed, report.rows_added, report.problems_total) == (1, 1, 0)
    assert (await contact_of(privacy, "77"))["phone"] == PHONE
    assert (await contact_of(privacy, "78"))["phone"] == PHONE


async def test_by_hand_it_is_refused_until_somebody_confirms_it(
    privacy: PrivacyClient, erased: str
) -> None:
    other = (await privacy.post("/cooperatives", a_body(contact=SOMEBODY))).json()
    new = a_body(local_register_no="78", contact=CONTACT)
    patched = f"/cooperatives/{other['cooperative_id']}"

    refused = [
        await privacy.post("/cooperatives", new),
        await patch(privacy, patched, {"contact": {"email": EMAIL.upper()}}),
        await patch(privacy, f"/cooperatives/{erased}", {"contact": {"phone": "0600000001"}}),
    ]

    assert [(each.status_code, each.json()["code"]) for each in refused] == [
        (422, "erased-contact")
    ] * 3
    assert [[each["field"] for each in answer.json()["errors"]] for answer in refused] == [
        ["contact.email", "contact.phone"],
        ["contact.email"],
        ["contact.phone"],
    ]
    assert all("confirm_erased" in answer.json()["detail"] for answer in refused)
    assert not any(value in answer.text for answer in refused for value in (EMAIL, PHONE))


async def patch(privacy: PrivacyClient, path: str, body: Json) -> Any:
    return await privacy.api.http.patch(path, json=body, headers=privacy.headers)


async def test_whoever_wants_it_back_is_entered_again_which_is_audited(
    privacy: PrivacyClient, erased: str
) -> None:
    body = {"contact": CONTACT, "confirm_erased": True}

    answer = await patch(privacy, f"/cooperatives/{erased}", body)
    report = await privacy.imports(ELSEWHERE)
    made = await privacy.post("/cooperatives", a_body(local_register_no="79", contact=CONTACT))

    assert (answer.status_code, answer.json()["contact"]) == (200, CONTACT)
    assert (report.problems_total, await contact_of(privacy, "77")) == (0, CONTACT)
    assert made.status_code == 201
    actions = await audited_actions(privacy.api, privacy.headers, erased)
    assert "erased contact entered again" in actions


@pytest.mark.usefixtures("erased")
async def test_a_confirmed_entry_is_made_by_post_too(privacy: PrivacyClient) -> None:
    body = a_body(local_register_no="80", contact=CONTACT, confirm_erased=True)

    answer = await privacy.post("/cooperatives", body)

    assert (answer.status_code, answer.json()["contact"]) == (201, CONTACT)
    actions = await audited_actions(privacy.api, privacy.headers, answer.json()["cooperative_id"])
    assert actions == ["erased contact entered again", "cooperative registered"]


@pytest.mark.usefixtures("erased")
async def test_no_account_is_made_with_an_erased_e_mail_unless_it_is_confirmed(
    privacy: PrivacyClient,
) -> None:
    body = {"email": EMAIL.upper(), "password": PASSWORD, "roles": ["juror"]}

    refused = await privacy.post("/accounts", body)
    made = await privacy.post("/accounts", body | {"confirm_erased": True})

    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "email")
    assert made.status_code == 201
    actions = await audited_actions(privacy.api, privacy.headers, made.json()["account_id"])
    assert actions == ["erased contact entered again", "account created"]


async def test_an_e_mail_of_an_erased_account_is_remembered_and_so_is_one_that_nobody_had(
    privacy: PrivacyClient,
) -> None:
    account_id = await privacy.account("account@taawon.example")
    await privacy.asks("erasure", account_ids=[account_id])
    await privacy.asks("erasure", email="not.yet@taawon.example", phone="0600000008")

    report = await privacy.imports(
        ELSEWHERE | {"email": "account@taawon.example", "phone": ""},
        ELSEWHERE | {"local_register_no": "78", "email": "not.yet@taawon.example", "phone": ""},
        ELSEWHERE | {"local_register_no": "79", "email": "", "phone": "+212600000008"},
    )

    assert [each["column"] for each in report.problems] == ["email", "email", "phone"]


@pytest.mark.usefixtures("erased")
async def test_a_person_who_asks_for_a_correction_to_it_wants_it_back(
    privacy: PrivacyClient,
) -> None:
    other = await privacy.cooperative("78", **SOMEBODY)

    await privacy.asks(
        "rectification", email=SOMEBODY["email"], corrections={"email": EMAIL, "phone": PHONE}
    )

    assert (await privacy.contact(other))[1]["email"] == EMAIL
    assert (await privacy.imports(ELSEWHERE)).problems_total == 0


@pytest.mark.usefixtures("erased")
async def test_only_keyed_digests_are_kept_and_for_a_time(privacy: PrivacyClient) -> None:
    table = tables.erased_contact
    async with privacy.api.sessions.begin() as session:
        rows = (await session.execute(select(table))).all()
        await delete_old_erased(session, 1)
        kept = await session.scalar(select(func.count()).select_from(table))
        old = func.clock_timestamp() - timedelta(days=1, seconds=1)
        await session.execute(update(table).values(erased_at=old))
        await delete_old_erased(session, 1)
        left = await session.scalar(select(func.count()).select_from(table))

    assert (len(rows), kept, left) == (2, 2, 0)
    assert not any(value in str(rows) for value in Contact(**CONTACT).clear_values().values())
