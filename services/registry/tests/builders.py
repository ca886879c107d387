"""Rows, files and entries that read as prose."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from devkit.pytest_plugin import Api, Tokens
from registry.identity.domain.accounts import Account
from registry.privacy.domain.requests import Ground, PersonRequest, RequestKind
from registry.privacy.usecases.proposals import Proposal, propose_request
from registry.privacy.usecases.requests import confirm_request
from registry.register.domain.cooperative import Entry
from registry.settings import RegistrySettings
from shared.contracts.base import now
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data.tables import OutboxRow
from shared.kernel.encryption.sealer import Sealer

TODAY = date(2026, 1, 15)
FAILURE_LIMIT: int = RegistrySettings.model_fields["sign_in_failures"].default
LONG_WAIT = FAILURE_LIMIT + 7
"""So many failures after the first make the next sign-in wait for minutes: longer than a test."""


async def a_confirmed_request(
    session: AsyncSession, sealer: Sealer, kind: RequestKind, proposal: Proposal
) -> PersonRequest:
    """A request of a person, proposed and confirmed for all that it finds."""
    request = await propose_request(
        session, sealer, LOCAL_OPERATOR, kind, proposal, ground=Ground.PERSON, reference="2026/1"
    )
    await session.flush()
    return await confirm_request(
        session,
        sealer,
        LOCAL_OPERATOR,
        request.id,
        include=request.records.shared_ids,
        expected_version=request.version,
    )


def a_row(**changes: str) -> dict[str, str]:
    """A good row of a register file; nobody real."""
    return {
        "local_register_no": "12/2021",
        "court": "TPI Tiznit",
        "ice": "990000000000067",
        "name_fr": "Coopérative Tizi Argan",
        "name_ar": "تعاونية تيزي أركان",
        "province": "MA-TIZ",
        "sector": "ARGAN",
        "members_total": "10",
        "members_women": "7",
        "members_youth": "2",
        "president": "Présidence d'essai 1",
        "phone": "+212600000001",
        "email": "coop-1@taawon.example",
        **changes,
    }


def a_file(*rows: dict[str, str], delimiter: str = ",") -> bytes:
    """A register file with these rows, as bytes."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def many_rows(count: int, court: str, **changes: str) -> list[dict[str, str]]:
    """Different cooperatives of one court."""
    return [
        a_row(local_register_no=f"{number}/2021", court=court, ice="", **changes)
        for number in range(1, count + 1)
    ]


def an_entry(**changes: Any) -> Entry:
    """What a register says of one cooperative."""
    return Entry(
        **{
            "court": "TPI Tiznit",
            "local_register_no": "12/2021",
            "province": "MA-TIZ",
            "name_fr": "Coopérative Tizi Argan",
            "members_total": 10,
            **changes,
        }
    )


def a_body(**changes: Any) -> dict[str, Any]:
    """A cooperative as it is sent to the HTTP API."""
    return {
        "court": "TPI Tiznit",
        "local_register_no": "12/2021",
        "province": "MA-TIZ",
        "name_fr": "Coopérative Tizi Argan",
        "members_total": 10,
        "contact": {"president": "Présidence d'essai 1", "phone": "0600000001"},
        **changes,
    }


async def headers_with_account(
    api: Api, tokens: Tokens, *roles: str, **claims: Any
) -> dict[str, str]:
    """The headers of somebody whose account says the same as the token."""
    subject = uuid.uuid4()
    sealer = api.runtime.sealer
    assert sealer is not None
    async with api.sessions.begin() as session:
        session.add(
            Account(
                id=subject,
                email_sealed=sealer.seal({"email": f"{subject}@taawon.example"}),
                email_mark=str(subject),
                password_hash="",
                roles=list(roles),
                created_at=now(),
                **claims,
            )
        )
    return tokens.headers(*roles, subject=subject, **claims)


class People:
    """Headers of callers by role."""

    def __init__(self, tokens: Tokens, operator: dict[str, str], partner: dict[str, str]) -> None:
        self.operator = operator
        self.delegate = tokens.headers("delegate", provinces=["MA-TIZ", "MA-AGD"])
        self.stranger = tokens.headers("delegate", provinces=["MA-TNG"])
        self.holder = tokens.headers("holder")
        self.partner = partner


async def topics(api: Api) -> list[str]:
    """The topics of all events in the outbox, in their order."""
    async with api.sessions() as session:
        return list(await session.scalars(select(OutboxRow.topic).order_by(OutboxRow.seq)))


async def audited_actions(api: Api, operator: dict[str, str], record_id: str) -> list[str]:
    """What the audit of a record says was done, the newest first."""
    audit = await api.http.get(f"/audit/{record_id}", headers=operator)
    return [each["action"] for each in audit.json()["items"]]
