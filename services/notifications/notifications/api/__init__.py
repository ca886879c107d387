"""Inboxes, totals and partner feeds over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from . import feeds, holds, inbox, partners, totals

router = APIRouter()
for part in (inbox, totals, holds, partners, feeds):
    router.include_router(part.router)
