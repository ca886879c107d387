"""Who reads what became of the alerts of a subject: staff, and whom the subject belongs to."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.audience.territory import Within
from notifications.parameters import provinces_read_by
from shared.errors import Forbidden
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.data.audit import Owner

from ..domain.subjects import Subject


class NotYourSubject(Forbidden):
    """What became of the alerts of a subject is read by whom it belongs to (the funder of a call,
    the author of an idea), by operators and by delegates. Unknown ones are refused the same way.
    """


async def subject_read_by(session: AsyncSession, caller: Principal, subject_id: UUID) -> Within:
    """The provinces whose alerts of a subject the caller may read; None: the whole country's.

    Its owner reads those of all. Raises NotYourSubject.
    """
    if caller.has(Role.OPERATOR):
        return None
    found = await session.get(Subject, subject_id)
    if found is not None and owner_of(found).admits(caller):
        return None
    if not caller.has(Role.DELEGATE):
        raise NotYourSubject
    return provinces_read_by(caller)


def owner_of(found: Subject) -> Owner:
    """Whom a subject belongs to, as the service that published it says."""
    content = found.announcement()
    return Owner(identities=frozenset(content.owner_ids), partner=content.owner_partner)


def reads_reasons(caller: Principal) -> bool:
    """Whether the caller reads reasons as operators wrote them: not for cooperatives."""
    return caller.has(Role.OPERATOR, Role.DELEGATE, Role.PARTNER)
