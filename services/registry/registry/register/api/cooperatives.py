"""The register: reading it, and entering and changing single cooperatives."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response, status

from registry import tables
from registry.dependencies import Seal
from shared import reference
from shared.contracts.base import Id
from shared.contracts.criteria import ActivityStatus, LegalStatus
from shared.kernel.auth.tokens import Principal, Role
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.web.create_requests import Once
from shared.kernel.web.parameters import PLAIN_DIGITS, SearchWords
from shared.kernel.web.requests import Caller, Expected, Page, Session, decode_cursor, encode_cursor

from .. import contact_sealing, queries
from ..domain.cooperative import Contact, Entry
from ..models.rows import cooperative_values
from ..usecases import cooperatives
from .cooperative_schemas import ChangesIn, CooperativeIn, CooperativeOut, TotalOut, TotalsOut

router = APIRouter(prefix="/cooperatives", tags=["cooperatives"])


def filters(
    region: str | None = None,
    province: str | None = None,
    sector: str | None = None,
    legal_status: LegalStatus | None = None,
    activity_status: ActivityStatus | None = None,
    q: Annotated[SearchWords | None, Query(description="Words of the name, in any script.")] = None,
) -> queries.Filters:
    """Filters of the query; unknown codes are refused, for they would look like an empty list."""
    return queries.Filters(
        region=reference.region(region).code if region is not None else None,
        province=reference.province(province).code if province is not None else None,
        sector=reference.sector(sector).code if sector is not None else None,
        legal_status=legal_status,
        activity_status=activity_status,
        search=q,
    )


Filter = Annotated[queries.Filters, Depends(filters)]


@router.post("", status_code=status.HTTP_201_CREATED)
async def register_cooperative(
    body: CooperativeIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    once: Once,
) -> CooperativeOut:
    """Enter a cooperative by hand. Operators, and delegates within their provinces."""
    values, contact = body.cleaned()
    cooperative = await cooperatives.register_cooperative(
        session,
        sealer,
        caller,
        Entry(**values),
        contact=Contact(**contact),
        **body.origin(),
    )
    shown = _shown(cooperative_values(cooperative), caller, sealer)
    return once.answer(shown, response, location=f"/cooperatives/{cooperative.id}")


@router.get("")
async def list_cooperatives(
    session: Session,
    caller: Caller,
    sealer: Seal,
    narrowed: Filter,
    after: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50,
) -> Page[CooperativeOut]:
    """List cooperatives in the order of ids.

    Contacts are shown to operators and delegates of the province only.
    """
    last = decode_cursor(after, UUID)[0] if after else None
    rows = await queries.list_cooperatives(session, narrowed, after=last, limit=limit)
    shown = [_shown(row, caller, sealer) for row in rows[:limit]]
    cursor = encode_cursor(str(rows[limit - 1]["id"])) if len(rows) > limit else None
    return Page(items=shown, next=cursor)


@router.get("/totals")
async def total(
    session: Session, caller: Caller, narrowed: Filter, by: queries.Grouping | None = None
) -> TotalsOut:
    """Count cooperatives and members, in all or by group; unknown counts add nothing."""
    rows = await queries.total(session, narrowed, by=by)
    return TotalsOut(by=by, items=[TotalOut.model_validate(dict(row)) for row in rows])


@router.get("/{cooperative_id}")
async def read_cooperative(
    cooperative_id: Id, session: Session, caller: Caller, sealer: Seal, response: Response
) -> CooperativeOut:
    """Read a cooperative; the ETag is its version."""
    row = await queries.find_cooperative(session, cooperative_id)
    response.headers["ETag"] = f'"{row["version"]}"'
    return _shown(row, caller, sealer)


@router.patch("/{cooperative_id}")
async def change_cooperative(
    cooperative_id: Id,
    body: ChangesIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    expected: Expected,
) -> CooperativeOut:
    """Change the given fields; null makes a value unknown. Operators, and delegates of both the
    old and the new province.
    """
    values, contact = body.cleaned()
    cooperative = await cooperatives.change_cooperative(
        session,
        sealer,
        caller,
        cooperative_id,
        changes=values,
        contact_changes=contact,
        expected_version=expected,
        **body.origin(),
    )
    response.headers["ETag"] = f'"{cooperative.version}"'
    return _shown(cooperative_values(cooperative), caller, sealer)


def _shown(row: tables.Row, caller: Principal, sealer: Sealer) -> CooperativeOut:
    sees_contact = caller.has(Role.OPERATOR) or (
        caller.has(Role.DELEGATE) and row["province"] in caller.provinces
    )
    contact = contact_sealing.open_contact(sealer, row["contact_sealed"]) if sees_contact else None
    return CooperativeOut.of(row, contact)
