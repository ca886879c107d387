"""One of everything, so that made-up requests meet what exists and not only what does not."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx

from devkit.pytest_plugin import PATIENCE, Tokens
from shared.contracts.base import now
from shared.contracts.catalogue import EVENTS, sample
from shared.contracts.registry import BATCH_LIMIT
from shared.kernel.runtime import Runtime

from .running_services import Operation, Target

PARTNER = "indh-agadir"
COOPERATIVE = uuid.UUID("00000000-0000-4000-8000-00000000c001")
CALLERS = ("operator", "partner", "cooperative")

IDEA = {
    "title": {"fr": "Huile d'argane traçable", "ar": "زيت أركان قابل للتتبع"},
    "summary": {"fr": "Un lot, un village.", "ar": "لكل دفعة قريتها."},
    "regions": ["MA-09"],
    "sectors": ["ARGAN"],
}
CALL = {
    "funder_slug": PARTNER,
    "funder": "INDH",
    "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
    "summary": {"fr": "Investissement seul.", "ar": "الاستثمار فقط."},
    "tracks": [{"name": {"fr": "Toutes", "ar": "الكل"}, "criteria": {"regions": ["MA-09"]}}],
    "deadline": {"local": "2099-09-02T16:00"},
}
ENTRY = {
    "court": "TPI Tiznit",
    "local_register_no": "12/2021",
    "province": "MA-TIZ",
    "name_fr": "Coopérative Tizi Argan",
}
INSTITUTION = {
    "slug": PARTNER,
    "kind": "programme",
    "name": {"fr": "INDH", "ar": "المبادرة الوطنية للتنمية البشرية"},
}
KNOWN: dict[str, list[str]] = {"slug": [PARTNER], "cooperative_id": [str(COOPERATIVE)]}
"""Values of path parameters that exist, under the parameter's name."""


def path_of(operation: Operation) -> str:
    """Its path with values that exist, where one is known, and made-up ids otherwise."""
    path = operation.path
    for parameter in operation.parameters("path"):
        name = parameter["name"]
        path = path.replace(f"{{{name}}}", KNOWN.get(name, [str(uuid.uuid4())])[0])
    return path


def headers(tokens: Tokens, caller: str) -> dict[str, str]:
    """A token of an operator, an institution, or a cooperative's account."""
    if caller == "partner":
        return tokens.headers("partner", partner=PARTNER, subject=_subject(caller))
    if caller == "cooperative":
        return tokens.headers("cooperative", cooperatives=[COOPERATIVE], subject=_subject(caller))
    return tokens.headers(caller, subject=_subject(caller))


def _subject(caller: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, caller)


def fill(target: Target, tokens: Tokens) -> None:
    """Put into the service what its routes ask for."""
    _FILL[target.service](target, tokens)


def _post(target: Target, caller: dict[str, str], path: str, body: Any) -> dict[str, Any]:
    answer = target.http.post(path, json=body, headers=caller)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


def _registry(target: Target, tokens: Tokens) -> None:
    operator = headers(tokens, "operator")
    target.run(_record_callers)
    _post(target, operator, "/partners", INSTITUTION)
    KNOWN["account_id"] = [_account(target, operator, number) for number in range(2)]
    erasure = {"kind": "erasure", "ground": "person", "reference": "1"}
    erasure |= {"account_ids": KNOWN["account_id"][1:]}
    erase(target, operator, erasure)
    made = _post(target, operator, "/cooperatives", ENTRY)
    KNOWN["cooperative_id"].append(made["cooperative_id"])
    sent = {**operator, "Content-Type": "text/csv"}
    file = "court,local_register_no,province,name_fr\nTPI Agadir,1/2020,MA-AGD,Une\n"
    started = target.http.post("/imports", content=file, headers=sent)
    KNOWN["import_id"] = [import_ended(target, started, operator)["import_id"]]


def erase(target: Target, caller: dict[str, str], erasure: dict[str, Any]) -> httpx.Response:
    """The answer to the confirmation of an erasure that was proposed."""
    proposed = _post(target, caller, "/persons/requests", erasure)
    path = f"/persons/requests/{proposed['request_id']}/confirm"
    return target.http.post(path, headers={"If-Match": "*", **caller})


def import_ended(target: Target, answer: httpx.Response, caller: dict[str, str]) -> dict[str, Any]:
    """The report of an import that was started, once the service has ended it."""
    assert answer.status_code == 202, answer.text
    path, end = answer.headers["location"], time.monotonic() + PATIENCE
    while (report := dict(target.http.get(path, headers=caller).json()))["state"] == "running":
        assert time.monotonic() < end, report
    return report


def _account(target: Target, operator: dict[str, str], number: int) -> str:
    body = {
        "email": f"known-{number}@taawon.example",
        "password": "a long enough pass phrase 7",
        "roles": ["delegate"],
        "provinces": ["MA-AGD"],
    }
    made = _post(target, operator, "/accounts", body)
    return str(made["account_id"])


async def _record_callers(runtime: Runtime) -> None:
    """The operator's account and the institution's: they may change accounts and clients."""
    from registry.identity.domain.accounts import Account  # only this service needs it

    assert runtime.sealer is not None
    async with runtime.sessions.begin() as session:
        for caller, partner in (("operator", None), ("partner", PARTNER)):
            account = Account(
                id=_subject(caller),
                email_sealed=runtime.sealer.seal({"email": f"{caller}@taawon.example"}),
                email_mark=caller,
                password_hash="",
                roles=[caller],
                partner=partner,
                created_at=now(),
            )
            session.add(account)


def _ideas(target: Target, tokens: Tokens) -> None:
    author = headers(tokens, "cooperative")
    KNOWN["idea_id"] = [_post(target, author, "/ideas", IDEA)["idea_id"] for _ in range(3)]


def _funding(target: Target, tokens: Tokens) -> None:
    funder = headers(tokens, "partner")
    KNOWN["call_id"] = [_post(target, funder, "/calls", CALL)["call_id"] for _ in range(3)]


def _notifications(target: Target, tokens: Tokens) -> None:
    made = _post(target, headers(tokens, "partner"), "/subscriptions", {})
    KNOWN["subscription_id"] = [made["subscription_id"]]
    KNOWN["number"] = [str(n) for n in range(1, 5)]
    KNOWN["subject_id"] = [target.run(_consume)]


async def _consume(runtime: Runtime) -> str:
    """The events of the samples, as if they had come over the broker."""
    from notifications.audience import handlers as audience_handlers  # only this service needs it
    from notifications.fanout import handlers
    from notifications.partners import handlers as partners_handlers

    def event(topic: str, **changes: Any) -> Any:
        return EVENTS[topic].model_validate_json(sample(topic)).model_copy(update=changes)

    batch = event("registry.cooperatives.imported.v1")
    record = batch.cooperatives[0]
    places = {"region": "MA-09", "province": "MA-AGD"}
    records = [
        record.model_copy(update={"cooperative_id": one, **places})
        for one in [COOPERATIVE, *(uuid.uuid4() for _ in range(min(5, BATCH_LIMIT)))]
    ]
    call = event("funding.call.opened.v1")
    async with runtime.sessions.begin() as session:
        batch = batch.model_copy(update={"cooperatives": tuple(records)})
        await audience_handlers.store_imported_cooperatives(batch, session)
    async with runtime.sessions.begin() as session:
        await handlers.follow_call(call, session)
        await partners_handlers.feed_partners(call, session)
    return str(call.call_id)


_FILL = {
    "registry": _registry,
    "ideas": _ideas,
    "funding": _funding,
    "notifications": _notifications,
}
