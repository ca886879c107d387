"""Requests of persons: done in the registry at once, published, never undone by a file."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import httpx
import orjson
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, insert, select, update

from devkit import pytest_plugin
from devkit.pytest_plugin import Api
from registry.identity import models
from registry.identity.usecases.accounts import email_mark
from registry.local_operator import LOCAL_OPERATOR
from registry.privacy import handlers
from registry.privacy import models as privacy_models
from registry.privacy.domain import MOVES, Ground, PersonRequest, RequestKind, RequestState, due_on
from registry.privacy.usecases import person_responses
from registry.register.models import tables
from registry.register.register_file.decoding import lines_of
from registry.register.usecases import imports
from shared.contracts.catalogue import ANSWERS
from shared.contracts.persons import PersonRequested
from shared.contracts.registry import (
    CooperativeChanged,
    PersonAccessRequested,
    PersonErasureRequested,
    RegistryAnswered,
)
from shared.errors import IllegalMove
from shared.kernel.data.tables import AuditRow, DeadLetterRow, OutboxRow
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import dead_letters, erasure

from ..builders import a_body, a_file, a_row

SEALER = Sealer([pytest_plugin.SEAL_KEY])
EMAIL, PHONE, NAME = "coop-1@taawon.example", "+212600000001", "Présidence d'essai 1"
PASSWORD = "correct horse battery"
CONTACT = {"president": NAME, "phone": PHONE, "email": EMAIL}
Json = dict[str, Any]


class PrivacyClient:
    """The HTTP API of the registry, used by an operator for requests of persons."""

    def __init__(self, api: Api, headers: dict[str, str]) -> None:
        self.api = api
        self.headers = headers

    async def post(self, path: str, body: Json) -> httpx.Response:
        return await self.api.http.post(path, json=body, headers=self.headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.api.http.get(path, headers=self.headers)

    async def cooperative(self, number: str, **contact: Any) -> str:
        body = a_body(local_register_no=number, contact=contact or CONTACT)
        return str((await self.post("/cooperatives", body)).json()["cooperative_id"])

    async def account(self, email: str = EMAIL) -> str:
        body = {"email": email, "password": PASSWORD, "roles": ["juror"]}
        return str((await self.post("/accounts", body)).json()["account_id"])

    async def asks(self, kind: str, **how: Any) -> Json:
        body = {"kind": kind, "ground": "person", "reference": "2026/114", **how}
        answer = await self.post("/persons/requests", body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def contact(self, cooperative_id: str) -> tuple[int, Json]:
        shown = (await self.get(f"/cooperatives/{cooperative_id}")).json()
        known = {name: value for name, value in shown["contact"].items() if value}
        return shown["version"], known

    async def signs_in(self, email: str = EMAIL) -> int:
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        return (await self.api.http.post("/token", data=form)).status_code

    async def imports(self, *rows: Json) -> Any:
        lines = lines_of(io.BytesIO(a_file(*rows)))
        steps = imports.import_register(
            self.api.sessions, SEALER, LOCAL_OPERATOR, lines, source="p.csv"
        )
        async for step in steps:
            report = step.report
        return report

    async def events(self, topic: str) -> list[Any]:
        async with self.api.sessions() as session:
            query = select(OutboxRow.body).where(OutboxRow.topic == topic).order_by(OutboxRow.seq)
            return [orjson.loads(body) for body in await session.scalars(query)]

    async def answers(self, request_id: str, *, kind: str = "access", **said: Any) -> None:
        for answer in ANSWERS:
            async with self.api.sessions.begin() as session:
                event = answer(request_id=uuid.UUID(request_id), kind=kind, **said)
                await handlers.record_person_response(event, session)


@pytest.fixture
def privacy(api: Api, operator: dict[str, str]) -> PrivacyClient:
    return PrivacyClient(api, operator)


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
    answer = await privacy.post(
        "/persons/requests",
        {"kind": "erasure", "ground": "person", "reference": "2026/1", "email": EMAIL},
    )

    async with privacy.api.sessions() as session:
        bodies = list(await session.scalars(select(OutboxRow.body)))
        rows = (await session.scalars(select(AuditRow))).all()
    seen = answer.text.encode() + b"".join(bodies)
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
    await privacy.imports(row | {"members_total": "30"})
    assert released.status_code == 204
    assert (await privacy.contact(cooperative_id))[1]["email"] == EMAIL


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


async def test_a_request_is_completed_by_the_last_answer_and_a_repeat_changes_nothing(
    privacy: PrivacyClient,
) -> None:
    request = await privacy.asks("access", email=EMAIL)
    path = f"/persons/requests/{request['request_id']}"

    seen = []
    for answer in ANSWERS:
        for _ in range(2):
            event = answer(request_id=uuid.UUID(request["request_id"]), kind="access")
            async with privacy.api.sessions.begin() as session:
                await handlers.record_person_response(event, session)
        seen.append((await privacy.get(path)).json())

    assert [each["state"] for each in seen] == ["answered"] * 3 + ["completed"]
    assert [len(each["waiting_for"]) for each in seen] == [3, 2, 1, 0]
    assert len(seen[-1]["answers"]) == len(ANSWERS)
    open_ones = (await privacy.get("/persons/requests")).json()
    assert request["request_id"] not in {each["request_id"] for each in open_ones}


async def test_the_report_is_there_once_all_have_answered_until_it_expires(
    privacy: PrivacyClient,
) -> None:
    request = await privacy.asks("access", email=EMAIL)
    path = f"/persons/requests/{request['request_id']}/report"
    early = await privacy.post(path, {})
    record = {"kind": "idea", "record_id": str(uuid.uuid4()), "state": "draft"}
    record["created_at"] = "2026-08-01T10:00:00Z"
    report = SEALER.seal({"contacts": [CONTACT]})
    await privacy.answers(request["request_id"], report_sealed=report, records=[record])

    answer = await privacy.post(path, {})

    assert early.status_code == 404
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["services"]["notifications"]["held"] == {"contacts": [CONTACT]}
    assert answer.json()["services"]["ideas"]["records"] == [record]
    async with privacy.api.sessions.begin() as session:
        ago = datetime.now(UTC) - timedelta(days=31)
        await session.execute(update(privacy_models.person_request).values(completed_at=ago))
        assert await person_responses.delete_reports(session, 30) == len(ANSWERS)
    assert (await privacy.post(path, {})).status_code == 404


async def test_a_report_that_comes_after_the_erasure_is_not_kept_and_older_ones_go(
    privacy: PrivacyClient,
) -> None:
    await privacy.cooperative("1")
    first = await privacy.asks("access", email=EMAIL)
    late = await privacy.asks("access", email=EMAIL)
    report = SEALER.seal({"contacts": [CONTACT]})
    await privacy.answers(first["request_id"], report_sealed=report)
    erasure = await privacy.asks("erasure", email=EMAIL)
    await privacy.answers(late["request_id"], report_sealed=report)
    await answered(privacy, erasure["request_id"])

    async with privacy.api.sessions() as session:
        kept = set(await session.scalars(select(privacy_models.person_response.c.report_sealed)))
    assert kept == {None}


async def answered(
    privacy: PrivacyClient,
    request_id: str,
    kind: type[PersonRequested] = PersonErasureRequested,
) -> Json:
    """Run the registry's own consumer on the event of a request; what it publishes."""
    (event,) = [
        each for each in await privacy.events(kind.topic) if each["request_id"] == request_id
    ]
    (consumer,) = [r for r in handlers.consumers.consumers if r.queue.endswith(".answer_person")]
    async with privacy.api.sessions.begin() as session:
        await consumer.handler(kind.model_validate(event), session)
    return dict((await privacy.events(RegistryAnswered.topic))[-1])


async def test_kept_events_and_dead_letters_lose_the_contact_of_the_person_and_of_nobody_else(
    privacy: PrivacyClient,
) -> None:
    row = a_row(court="TPI Oubli", ice="", local_register_no="1")
    other = a_row(court="TPI Oubli", ice="", local_register_no="2", email="other@taawon.example")
    await privacy.imports(row, other | {"phone": "+212600000009"})
    async with privacy.api.sessions.begin() as session:
        body = await session.scalar(select(OutboxRow.body))
        dead_letter = {"queue": "registry.x", "message_key": "1", "body": body, "headers": {}}
        moment = {"first_failed_at": func.now(), "last_failed_at": func.now()}
        await session.execute(insert(DeadLetterRow).values({**dead_letter, **moment, "error": "x"}))

    request = await privacy.asks("erasure", email=EMAIL)
    answer = await answered(privacy, request["request_id"])

    assert (answer["counts"]["outbox"], answer["counts"]["dead_letter"]) == (1, 1)
    async with privacy.api.sessions() as session:
        bodies = [*await session.scalars(select(OutboxRow.body))]
        bodies += [*await session.scalars(select(DeadLetterRow.body))]
        late = await erasure.cleaned(session, body or b"")
    opened = [
        SEALER.open(each["contact_sealed"])["email"]
        for kept in (*bodies, late)
        for each in orjson.loads(kept).get("cooperatives", [])
        if each.get("contact_sealed")
    ]
    assert opened == ["other@taawon.example"] * 3


async def test_a_dead_letter_that_is_collected_after_the_erasure_is_kept_without_the_person(
    privacy: PrivacyClient,
) -> None:
    await privacy.imports(a_row(court="TPI Oubli", ice="", local_register_no="1"))
    async with privacy.api.sessions() as session:
        body = await session.scalar(select(OutboxRow.body))
    request = await privacy.asks("erasure", email=EMAIL)
    await answered(privacy, request["request_id"])

    async with privacy.api.sessions.begin() as session:
        await dead_letters.keep(session, "registry.x", Collected(body or b""))  # type: ignore[arg-type]  # as much of one

    async with privacy.api.sessions() as session:
        (kept,) = await session.scalars(select(DeadLetterRow.body))
    (record,) = orjson.loads(kept)["cooperatives"]
    assert (record["version"], record["contact_sealed"]) == (1, None)


class Collected:
    """A message as the collector of dead letters reads it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.headers: Json = {}
        self.message_id = str(uuid.uuid4())
        self.user_id, self.type = "registry", "registry.cooperatives.imported.v1"


async def test_what_no_key_opens_is_named_unreadable(privacy: PrivacyClient) -> None:
    cooperative_id, account_id = await privacy.cooperative("1"), await privacy.account()
    lost = Sealer([Fernet.generate_key().decode()]).seal(CONTACT)
    async with privacy.api.sessions.begin() as session:
        await session.execute(update(tables.cooperative).values(contact_sealed=lost))
        await session.execute(update(models.account).values(email_sealed=lost))
    ids = {"cooperative_ids": [cooperative_id], "account_ids": [account_id]}

    request = await privacy.asks("access", **ids)
    answer = await answered(privacy, request["request_id"], PersonAccessRequested)

    held = SEALER.open(answer["report_sealed"])
    assert "unreadable" in held["contacts"][0]["contact"]
    assert "unreadable" in held["accounts"][0]


async def test_a_newer_report_outlives_a_correction_that_is_done_late(
    privacy: PrivacyClient,
) -> None:
    cooperative_id = await privacy.cooperative("1")
    report = SEALER.seal({"contacts": [CONTACT]})
    older = await privacy.asks("access", cooperative_ids=[cooperative_id])
    await privacy.answers(older["request_id"], report_sealed=report)
    erasure = await privacy.asks("erasure", cooperative_ids=[cooperative_id])
    newer = await privacy.asks("access", cooperative_ids=[cooperative_id])
    await privacy.answers(newer["request_id"], report_sealed=report)

    answer = await answered(privacy, erasure["request_id"])

    assert answer["counts"]["person_response"] == len(ANSWERS)
    async with privacy.api.sessions() as session:
        table = privacy_models.person_response
        kept = await session.execute(select(table.c.request_id, table.c.report_sealed))
        left = {str(row.request_id) for row in kept if row.report_sealed is not None}
    assert left == {newer["request_id"]}


async def test_what_accounts_did_is_deleted_with_the_report(privacy: PrivacyClient) -> None:
    cooperative_id = await privacy.cooperative("1")
    access = await privacy.asks("access", cooperative_ids=[cooperative_id])
    late = await privacy.asks("access", cooperative_ids=[cooperative_id])
    response = {"actions": [{"at": datetime.now(UTC), "action": "idea drafted"}]}
    await privacy.answers(access["request_id"], **response)
    erasure = await privacy.asks("erasure", cooperative_ids=[cooperative_id])
    await privacy.answers(late["request_id"], **response)

    await answered(privacy, erasure["request_id"])

    async with privacy.api.sessions() as session:
        kept = await session.scalars(select(privacy_models.person_response.c.actions))
        assert [actions for actions in kept if actions] == []


async def test_the_last_operator_is_not_erased_and_the_last_two_not_at_once(
    privacy: PrivacyClient,
) -> None:
    body = {"email": "o@taawon.example", "password": PASSWORD, "roles": ["operator"]}
    assert (await privacy.post("/accounts", body)).status_code == 201
    async with privacy.api.sessions() as session:
        everybody = await session.scalars(select(models.account.c.id))
        ids = [str(each) for each in everybody]
    assert len(ids) == 2
    request = {"kind": "erasure", "ground": "person", "reference": "2026/1"}

    both = await privacy.post("/persons/requests", request | {"account_ids": ids})
    one = await privacy.post("/persons/requests", request | {"account_ids": ids[:1]})
    last = await privacy.post("/persons/requests", request | {"account_ids": ids[1:]})

    assert [each.status_code for each in (both, one, last)] == [409, 201, 409]
    assert (both.json()["code"], last.json()["code"]) == ("last-operator", "last-operator")
    assert "make another one first" in last.json()["detail"]


async def test_a_scrape_shows_which_requests_are_to_be_answered_soon_or_are_overdue(
    privacy: PrivacyClient,
) -> None:
    today = datetime.now(UTC).date()
    for days in (10, 2, 0, -1, -1):
        request = await privacy.asks("access", email=EMAIL)
        async with privacy.api.sessions.begin() as session:
            table = privacy_models.person_request
            this = update(table).where(table.c.id == request["request_id"])
            await session.execute(this.values(due_on=today + timedelta(days=days)))
    await privacy.answers((await privacy.asks("access", email=EMAIL))["request_id"])

    privacy.api.app.state.scrape = None  # what another test scraped is of its own rows
    metrics = (await privacy.api.http.get("/metrics")).text

    assert [
        f'taawon_person_requests{{due="{due}"}} {count}' in metrics
        for due, count in (("later", 1.0), ("soon", 2.0), ("over", 2.0))
    ] == [True] * 3


def a_request(state: RequestState = RequestState.OPENED) -> PersonRequest:
    request, _ = PersonRequest.open(
        RequestKind.ACCESS,
        id=uuid.uuid4(),
        ground=Ground.PERSON,
        reference="1",
        by=uuid.uuid4(),
        at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC),
        cooperatives={},
        accounts=[],
        services=["ideas", "registry"],
    )
    request.state = state
    return request


@pytest.mark.parametrize(
    ("start", "target"),
    [(s, t) for s, t in product(RequestState, RequestState) if t not in MOVES[s]],
)
def test_every_move_not_in_the_table_is_refused(start: RequestState, target: RequestState) -> None:
    request = a_request(start)

    with pytest.raises(IllegalMove):
        request._move_to(target)

    assert request.state is start


def test_ten_clear_days_are_left_and_an_answer_of_nobody_changes_nothing() -> None:
    request = a_request()

    request.record_response("stranger", at=request.opened_at)

    assert request.due_on == due_on(request.opened_at) == date(2026, 1, 25)
    assert (request.state, request.waiting_for) == (RequestState.OPENED, ["ideas", "registry"])
