"""The process of funding: settings and wiring."""

from __future__ import annotations

from fastapi import FastAPI

from shared.kernel.service.app import build
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

from .calls import api, handlers, jobs, queries, usecases
from .settings import FundingSettings

SPEC = ServiceSpec(
    name="funding",
    about="Calls for projects, prizes and other offers that institutions open to cooperatives.",
    tags={"calls": "Calls with tracks, criteria and deadlines, from the draft to the end."},
    settings=FundingSettings,
    routers=(api.router,),
    snapshots=usecases.SNAPSHOTS,
    consumers=handlers.consumers,
    jobs=(jobs.close_expired_calls,),
    owner_of=queries.owner_of,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless a test brings its own."""
    return build(SPEC, settings)
