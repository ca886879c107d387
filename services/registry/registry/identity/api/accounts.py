"""Accounts of people: operators create and change them, owners read their own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from registry.dependencies import Foreign, Seal
from registry.partners.api import SLUG
from registry.settings import RegistrySettings
from shared.contracts.base import Id, WithoutControls
from shared.contracts.request_body import RequestBody
from shared.errors import Invalid
from shared.kernel.auth.oidc import is_safe_url
from shared.kernel.auth.tokens import Role
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.web.create_requests import Once
from shared.kernel.web.parameters import PLAIN_DIGITS
from shared.kernel.web.requests import (
    Caller,
    Expected,
    Page,
    Process,
    Session,
    Sessions,
    decode_cursor,
    encode_cursor,
)
from shared.sentences import Sentence

from .. import queries
from ..domain.accounts import Account, AccountState
from ..usecases import account_management, accounts, identities

router = APIRouter(prefix="/accounts", tags=["accounts"])

Roles = Annotated[list[Role], Field(min_length=1, max_length=7)]
Provinces = Annotated[list[str], Field(max_length=75)]
Cooperatives = Annotated[list[Id], Field(max_length=100)]
PartnerSlug = Annotated[str, Field(pattern=SLUG, max_length=40)]
Password = Annotated[SecretStr, Field(max_length=200)]


class AccountIn(RequestBody):
    """A new account. Roles that act for provinces, cooperatives or a partner name them."""

    email: Annotated[str, WithoutControls] = Field(
        max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$"
    )
    password: Password
    roles: Roles
    provinces: Provinces = Field(default=[])
    cooperatives: Cooperatives = Field(default=[])
    partner: PartnerSlug | None = None
    confirm_erased: bool = Field(
        default=False,
        description="The person had this e-mail erased, and asked since for an account."
        " 422 `erased-contact` without.",
    )


class AccountChangesIn(RequestBody):
    """The rights to be changed; what is left out stays as it is."""

    roles: Roles | None = None
    provinces: Provinces | None = None
    cooperatives: Cooperatives | None = None
    partner: PartnerSlug | None = None


class PasswordIn(RequestBody):
    """A new password; to change one's own, `current_password` is needed too."""

    password: Password
    current_password: Password | None = None


class FailedSignInsOut(BaseModel):
    """What unknown devices failed at; a new password ends it."""

    model_config = ConfigDict(from_attributes=True)

    failures: int
    networks: int = Field(description="From how many networks: a /24 of IPv4, a /48 of IPv6.")
    since: datetime = Field(description="The first of these failures, at most 30 days ago.")


class AccountOut(BaseModel):
    """An account with its e-mail; only operators and its owner may read it."""

    account_id: UUID
    email: str | None = Field(description="Null once the person was erased.")
    state: AccountState
    roles: list[Role]
    provinces: list[str]
    cooperatives: list[UUID]
    partner: str | None
    created_at: datetime
    failed_sign_ins: FailedSignInsOut | None = Field(
        default=None,
        description="Only where one account is read: null if no unknown device failed of late.",
    )

    @classmethod
    def of(cls, account: Account, sealer: Sealer) -> Self:
        """The account with its e-mail in clear."""
        return cls(
            account_id=account.id,
            email=sealer.open(account.email_sealed).get("email"),
            state=account.state,
            roles=[Role(role) for role in account.roles],
            provinces=account.provinces,
            cooperatives=account.cooperatives,
            partner=account.partner,
            created_at=account.created_at,
        )


class IdentityIn(RequestBody):
    """A subject of another issuer; without `issuer`, of the configured one."""

    subject: Annotated[str, WithoutControls] = Field(min_length=1, max_length=255)
    issuer: str | None = Field(default=None, max_length=500, pattern=r"^[^\s\x00]+$")


class IdentityOut(BaseModel):
    """A subject of another issuer that is linked to the account."""

    model_config = ConfigDict(from_attributes=True)

    identity_id: UUID = Field(validation_alias="id")
    issuer: str
    subject: str
    linked_at: datetime


class IdentitiesOut(BaseModel):
    """All that an account is linked to, oldest first."""

    items: list[IdentityOut]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_account(
    body: AccountIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    once: Once,
) -> AccountOut:
    """Create an account. Operators only."""
    account = await accounts.create_account(
        session,
        sealer,
        caller,
        email=body.email,
        password=body.password.get_secret_value(),
        roles=body.roles,
        provinces=body.provinces,
        cooperatives=body.cooperatives,
        partner=body.partner,
        confirm_erased=body.confirm_erased,
    )
    shown = AccountOut.of(account, sealer)
    return once.answer(shown, response, location=f"/accounts/{account.id}")


@router.get("")
async def list_accounts(
    session: Session,
    caller: Caller,
    sealer: Seal,
    role: Role | None = None,
    after: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200), PLAIN_DIGITS] = 50,
) -> Page[AccountOut]:
    """List accounts in the order of their ids. Operators only."""
    caller.require(Role.OPERATOR)
    last = decode_cursor(after, UUID)[0] if after else None
    found = await queries.list_accounts(session, role=role, after=last, limit=limit)
    return Page(
        items=[AccountOut.of(account, sealer) for account in found[:limit]],
        next=encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None,
    )


@router.get("/{account_id}")
async def read_account(
    account_id: Id, session: Session, caller: Caller, sealer: Seal, response: Response
) -> AccountOut:
    """Read an account; the ETag is its version. Operators, and the account itself.

    `failed_sign_ins` says whether somebody guesses its password.
    """
    account_management.require_account(caller, account_id)
    account = await queries.find_account(session, account_id)
    shown = _with_etag(account, sealer, response)
    failed = await queries.failed_sign_ins(session, sealer, account)
    shown.failed_sign_ins = FailedSignInsOut.model_validate(failed) if failed else None
    return shown


@router.patch("/{account_id}")
async def change_account(
    account_id: Id,
    body: AccountChangesIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    expected: Expected,
) -> AccountOut:
    """Change roles, provinces, cooperatives or partner. Operators only.

    Tokens that were issued before keep the old rights until they expire.
    """
    account = await account_management.change_account(
        session,
        caller,
        account_id,
        roles=body.roles,
        provinces=body.provinces,
        cooperatives=body.cooperatives,
        partner=body.partner,
        expected=expected,
    )
    return _with_etag(account, sealer, response)


@router.post("/{account_id}/disable")
async def disable_account(
    account_id: Id,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    expected: Expected,
) -> AccountOut:
    """Issue no more tokens to the account, whatever it signs in with. Operators only."""
    account = await account_management.disable_account(
        session, caller, account_id, expected=expected
    )
    return _with_etag(account, sealer, response)


@router.post("/{account_id}/enable")
async def enable_account(
    account_id: Id,
    session: Session,
    caller: Caller,
    sealer: Seal,
    response: Response,
    expected: Expected,
) -> AccountOut:
    """Let the account sign in again. Operators only."""
    account = await account_management.enable_account(
        session, caller, account_id, expected=expected
    )
    return _with_etag(account, sealer, response)


def _with_etag(account: Account, sealer: Sealer, response: Response) -> AccountOut:
    response.headers["ETag"] = f'"{account.version}"'
    return AccountOut.of(account, sealer)


@router.put("/{account_id}/password", status_code=status.HTTP_204_NO_CONTENT)
async def set_password(
    account_id: Id,
    body: PasswordIn,
    sessions: Sessions,
    caller: Caller,
    sealer: Seal,
    process: Process,
) -> None:
    """Change one's own password, or, as an operator, that of somebody who lost theirs."""
    account_management.require_account(caller, account_id)
    password = body.password.get_secret_value()
    if caller.subject == account_id:
        current = body.current_password.get_secret_value() if body.current_password else ""
        await account_management.change_password(
            sessions,
            sealer,
            RegistrySettings.of(process.settings),
            caller,
            current=current,
            password=password,
        )
        return
    async with sessions.begin() as session:
        await account_management.reset_password(
            session, sealer, caller, account_id, password=password
        )


@router.get("/{account_id}/identities")
async def list_identities(
    account_id: Id, session: Session, caller: Caller, sealer: Seal
) -> IdentitiesOut:
    """List what the account is linked to at other issuers. Operators, and the account itself."""
    account_management.require_account(caller, account_id)
    found = await queries.list_identities(session, sealer, account_id)
    return IdentitiesOut(items=[IdentityOut.model_validate(each) for each in found])


@router.post("/{account_id}/identities", status_code=status.HTTP_201_CREATED)
async def link_identity(
    account_id: Id,
    body: IdentityIn,
    session: Session,
    caller: Caller,
    sealer: Seal,
    foreign: Foreign,
    response: Response,
    once: Once,
) -> IdentityOut:
    """Let whoever signs in at the issuer as `subject` act as this account. Operators only."""
    if body.issuer is not None and not is_safe_url(body.issuer):
        raise Invalid(Sentence("an issuer is an https:// address"), field="issuer")
    identity = await identities.link_identity(
        session,
        sealer,
        caller,
        account_id,
        issuer=body.issuer or (foreign.issuer if foreign else None),
        subject=body.subject,
    )
    linked = IdentityOut(
        id=identity.id,
        issuer=identity.issuer,
        subject=body.subject,
        linked_at=identity.linked_at,
    )
    return once.answer(linked, response, location=f"/accounts/{account_id}/identities")


@router.delete("/{account_id}/identities/{identity_id}", status_code=status.HTTP_204_NO_CONTENT)
async def unlink_identity(
    account_id: Id, identity_id: Id, session: Session, caller: Caller
) -> None:
    """Issue no more tokens to a linked subject. Operators only."""
    await identities.unlink_identity(session, caller, account_id, identity_id)
