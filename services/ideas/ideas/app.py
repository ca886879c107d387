"""The process of the idea bank: settings and wiring."""

from __future__ import annotations

from fastapi import FastAPI

from shared.kernel.service.app import build
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

from .ideas import api, handlers, queries, usecases
from .settings import IdeasSettings

SPEC = ServiceSpec(
    name="ideas",
    about="The bank of project ideas.",
    tags={"ideas": "Ideas, from the author's draft to publication and withdrawal."},
    settings=IdeasSettings,
    routers=(api.router,),
    snapshots=usecases.SNAPSHOTS,
    consumers=handlers.consumers,
    owner_of=queries.owner_of,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless a test brings its own."""
    return build(SPEC, settings)
