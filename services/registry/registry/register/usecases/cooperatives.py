"""Entering and changing single cooperatives by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.business_days import today
from shared.contracts.base import new_id, now
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data import audit
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.messaging import outbox
from shared.lifecycle import refuse_unless_expected
from shared.sentences import Sentence

from ..contact_sealing import open_contact, seal_changed, seal_contact
from ..domain.cooperative import AlreadyRegistered, Contact, Cooperative, Entry, NotInTheRegister
from ..models import rows, tables
from .erased_contacts import admit_contact, audit_return

BY_HAND = "entered by hand"


async def register_cooperative(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    entry: Entry,
    *,
    contact: Contact,
    source: str = BY_HAND,
    as_of_on: date | None = None,
    confirm_erased: bool = False,
) -> Cooperative:
    """Enter a cooperative by hand: operators any, delegates those of their provinces.

    Raises OutsideDelegation, Invalid if its values contradict each other, AlreadyRegistered if its
    court and number are in the register, and ErasedContact for a contact that its person had
    erased, unless it is confirmed that they want it back. Without `as_of_on` its values are true as
    of today.
    """
    caller.require(Role.OPERATOR, Role.DELEGATE)
    caller.require_province(entry.province)
    is_back = await admit_contact(
        session, sealer, contact, confirmed=confirm_erased, within="contact."
    )
    cooperative, event = Cooperative.register(
        replace(entry, contact=seal_contact(sealer, contact)),
        id=new_id(),
        source=source,
        as_of_on=as_of_on or today(),
    )
    await _insert(session, cooperative)
    outbox.add(session, event)
    audit.record(
        session,
        caller.acting_for(cooperative.id, entry.province),
        action="cooperative registered",
        subject_id=cooperative.id,
        after=_audited(cooperative.entry),
    )
    if is_back:
        audit_return(session, caller.acting_for(cooperative.id, entry.province), cooperative.id)
    return cooperative


async def change_cooperative(
    session: AsyncSession,
    sealer: Sealer,
    caller: Principal,
    cooperative_id: UUID,
    *,
    changes: dict[str, Any],
    contact_changes: dict[str, str | None],
    expected_version: int | None = None,
    source: str = BY_HAND,
    as_of_on: date | None = None,
    confirm_erased: bool = False,
) -> Cooperative:
    """Change a cooperative by hand: operators any, delegates where the old and the new province
    are theirs.

    Values equal to those on record make no version and no event. Raises NotInTheRegister,
    ChangedMeanwhile if `expected_version` is another, and whatever entering one raises.
    """
    caller.require(Role.OPERATOR, Role.DELEGATE)
    cooperative = await _locked(session, cooperative_id)
    # It may be the delegate's own cooperative: that gives no right to change the register.
    caller.require_province(cooperative.entry.province)
    caller = caller.acting_for(cooperative_id, cooperative.entry.province)
    before = cooperative.entry
    refuse_unless_expected("cooperative", cooperative.version, expected_version)
    contact, new_values = before.contact, Contact()
    if contact_changes:
        opened = open_contact(sealer, contact.sealed if contact else None)
        new_values = _new_values(opened, contact_changes)
        contact = seal_changed(sealer, contact, replace(opened, **contact_changes))
    entry = replace(before, **changes, contact=contact)
    caller.require_province(entry.province)
    is_back = await admit_contact(
        session, sealer, new_values, confirmed=confirm_erased, within="contact."
    )
    if entry.identity != before.identity:
        await _refuse_taken(session, entry)
    event = cooperative.change(entry, source=source, as_of_on=as_of_on or today())
    if event is None:
        return cooperative
    await update_cooperative(session, cooperative)
    outbox.add(session, event)
    audit.record(
        session,
        caller,
        action="cooperative changed",
        subject_id=cooperative_id,
        before=_audited(before, before.differences(entry)),
        after=_audited(entry, before.differences(entry)),
    )
    if is_back:
        audit_return(session, caller, cooperative_id)
    return cooperative


def _new_values(known: Contact, changes: dict[str, str | None]) -> Contact:
    """Of the changes those that say something else than the register: the rest was not erased."""
    return Contact(**{n: value for n, value in changes.items() if value != getattr(known, n)})


async def update_cooperative(session: AsyncSession, cooperative: Cooperative) -> None:
    """Write a changed cooperative to its row; no mapper follows it."""
    table = tables.cooperative
    values = rows.cooperative_values(cooperative) | {"changed_at": now()}
    await session.execute(update(table).where(table.c.id == cooperative.id).values(values))


async def _insert(session: AsyncSession, cooperative: Cooperative) -> None:
    """The unique index decides, also when two people enter the same one at the same time."""
    table, entry = tables.cooperative, cooperative.entry
    written = await session.scalar(
        insert(table)
        .values(rows.cooperative_values(cooperative))
        .on_conflict_do_nothing(index_elements=[table.c.court_key, table.c.register_key])
        .returning(table.c.id)
    )
    if written is None:
        await _refuse_taken(session, entry)


async def _refuse_taken(session: AsyncSession, entry: Entry) -> None:
    table, (court_key, register_key) = tables.cooperative, entry.identity
    taken = await session.scalar(
        select(table.c.id).where(
            table.c.court_key == court_key, table.c.register_key == register_key
        )
    )
    if taken is not None:
        raise AlreadyRegistered(
            Sentence(
                "{local_register_no} of {court} is in the register: change it with PATCH"
                " /cooperatives/{taken}",
                local_register_no=entry.local_register_no,
                court=entry.court,
                taken=taken,
            )
        )


async def _locked(session: AsyncSession, cooperative_id: UUID) -> Cooperative:
    table = tables.cooperative
    row = (
        await session.execute(select(table).where(table.c.id == cooperative_id).with_for_update())
    ).one_or_none()
    if row is None:
        raise NotInTheRegister(
            Sentence(
                "no cooperative {cooperative_id} is in the register", cooperative_id=cooperative_id
            )
        )
    return rows.cooperative_from(dict(row._mapping))


def _audited(entry: Entry, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Values as an audit row shows them: of the contact only that it changed."""
    wanted = names if names is not None else Entry.__slots__
    values = {name: getattr(entry, name) for name in wanted if name != "contact"}
    shown = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
        if value is not None or names is not None
    }
    return shown | ({"contact": "changed"} if names and "contact" in names else {})
