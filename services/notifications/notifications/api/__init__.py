"""Inboxes, totals and partner feeds over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from . import approvals, feeds, inbox, ledger, partner_ledger, partners, totals, why

router = APIRouter()
for part in (inbox, totals, why, ledger, approvals, partners, feeds, partner_ledger):
    router.include_router(part.router)
