"""Who may read explanations, what is refused, and the command that reads the database."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, date, datetime

import pytest

from notifications.explanations.cli import lines_of, moment_of
from notifications.explanations.explanations import WhyOut
from shared.kernel.data.database import make_engine, make_sessions

from ..builders import a_call, a_record, a_track, opened
from ..commands import ask_why, consume, taawon


@pytest.mark.parametrize(
    ("roles", "own", "provinces", "status"),
    [
        (["operator"], False, [], 200),
        (["cooperative"], True, [], 200),
        (["cooperative"], False, [], 403),
        (["delegate"], False, ["MA-TIZ"], 200),
        (["delegate"], False, ["MA-AGD"], 403),
        (["partner"], False, [], 403),
        (["juror"], True, [], 403),
    ],
)
async def test_who_may_read_the_inbox_may_ask_why(api, tokens, roles, own, provinces, status):
    record, call = a_record(), a_call()
    await consume(api.sessions, record, opened(call))
    headers = tokens.headers(
        *roles, provinces=provinces, cooperatives=[record.cooperative_id] if own else []
    )

    answer = await api.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}", headers=headers
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("knows_call", "knows_record", "code"),
    [(False, True, "no-such-subject"), (True, False, "no-such-cooperative")],
)
async def test_an_unknown_subject_or_cooperative_is_not_found(
    api, tokens, knows_call, knows_record, code
):
    record, call = a_record(), a_call()
    known = [record] * knows_record + [opened(call)] * knows_call
    await consume(api.sessions, *known)

    answer = await api.http.get(
        f"/subjects/{call.call_id}/why/{record.cooperative_id}",
        headers=tokens.headers("operator"),
    )

    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize("path", ["/subjects/{id}/why/{id}", "/subjects/{id}/ledger.csv"])
async def test_nothing_is_explained_without_a_token(api, path):
    answer = await api.http.get(path.format(id=uuid.uuid4()))

    assert answer.status_code == 401


async def test_the_command_explains_from_the_database(databases):
    url = databases.fresh("notifications")
    record, call = a_record(created_on=date(2020, 5, 4)), a_call(a_track(provinces=["MA-AGD"]))
    engine = make_engine(url, pool_size=1)
    await consume(make_sessions(engine), record, opened(call))
    await engine.dispose()
    asked = ("why", str(call.call_id), str(record.cooperative_id))

    plain, data = taawon(url, *asked), taawon(url, *asked, "--language", "ar", "--json")

    assert plain.returncode == 0, plain.stderr
    assert "Appel à projets — excluded" in plain.stdout
    assert "Tiznit" in plain.stdout
    assert json.loads(data.stdout)["title"] == "طلب مشاريع"


async def test_the_command_takes_the_moments_it_shows_and_the_language_of_the_cooperative(
    databases,
):
    url = databases.fresh("notifications")
    record, call = a_record(language="ar"), a_call()
    engine = make_engine(url, pool_size=1)
    await consume(make_sessions(engine), record, opened(call))
    await engine.dispose()
    asked = ("why", str(call.call_id), str(record.cooperative_id))
    first = taawon(url, *asked).stdout
    (shown,) = re.findall(r"alerted \((.*)\)", first)

    again = taawon(url, *asked, "--at", shown)

    assert again.stdout == first
    assert "تم إشعار التعاونية." in first
    assert moment_of("2026-11-24 09:00") == datetime(2026, 11, 24, 9, tzinfo=UTC)


async def test_the_command_names_whom_to_ask_for_missing_fields(api, tokens):
    record, call = a_record(sector=None), a_call(a_track(sectors=["ARGAN"]))
    await consume(api.sessions, record, opened(call))

    lines = lines_of(WhyOut.model_validate(await ask_why(api, tokens, call.call_id, record)))

    assert any("→ Pour que la réponse soit sûre" in line for line in lines)


async def test_the_command_fails_for_an_unknown_subject(databases):
    url = databases.migrated("notifications")

    answered = taawon(url, "why", str(uuid.uuid4()), str(uuid.uuid4()))

    assert answered.returncode == 1
    assert "has arrived yet" in answered.stderr
