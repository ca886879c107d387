"""Cooperatives, partners, accounts and the token issuer over HTTP."""

from fastapi import APIRouter

from . import accounts, cooperatives, imports, partners, persons, tokens
from .tokens import oauth_problem

router = APIRouter()
for part in (tokens, accounts, partners, cooperatives, persons, imports):
    router.include_router(part.router)

__all__ = ["oauth_problem", "router"]
