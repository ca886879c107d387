"""Accounts of people."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, status
from pydantic import BaseModel, Field, SecretStr

from registry import usecases
from registry.domain import Account
from shared.auth import Role
from shared.web import Caller, Session

from .dependencies import Seal
from .partners import SLUG

router = APIRouter(prefix="/accounts", tags=["accounts"])


class AccountIn(BaseModel):
    email: str = Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$")
    password: SecretStr = Field(max_length=200)
    roles: list[Role] = Field(min_length=1, max_length=7)
    provinces: list[str] = Field(default=[], max_length=75)
    cooperatives: list[UUID] = Field(default=[], max_length=100)
    partner: str | None = Field(default=None, pattern=SLUG, max_length=40)


class AccountOut(BaseModel):
    account_id: UUID
    roles: list[Role]
    provinces: list[str]
    cooperatives: list[UUID]
    partner: str | None

    @classmethod
    def of(cls, account: Account) -> AccountOut:
        return cls(
            account_id=account.id,
            roles=[Role(role) for role in account.roles],
            provinces=account.provinces,
            cooperatives=account.cooperatives,
            partner=account.partner,
        )


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_account(
    body: AccountIn, session: Session, caller: Caller, seal: Seal
) -> AccountOut:
    """Operators only."""
    account = await usecases.create_account(
        session,
        seal,
        caller,
        email=body.email,
        password=body.password.get_secret_value(),
        roles=body.roles,
        provinces=body.provinces,
        cooperatives=body.cooperatives,
        partner=body.partner,
    )
    return AccountOut.of(account)
