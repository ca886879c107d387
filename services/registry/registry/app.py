"""The process of the registry: settings and wiring."""

from __future__ import annotations

from fastapi import FastAPI

from shared.kernel.auth.oidc import ForeignIssuer, is_safe_url
from shared.kernel.service.app import build
from shared.kernel.service.spec import ServiceSpec
from shared.kernel.settings import Settings

from . import db_metrics, owners, snapshots
from .identity import jobs as identity_jobs
from .identity.api import accounts, api_clients, tokens
from .identity.stored_keys import stored_keys
from .identity.usecases.tokens import TokenRefused
from .partners import api as partners
from .privacy import api as persons
from .privacy import handlers
from .privacy import jobs as privacy_jobs
from .reference import api as reference
from .register import jobs as register_jobs
from .register.api import cooperatives, imports
from .register.usecases.background_imports import BackgroundImports
from .sealed_columns import SEALED_COLUMNS
from .settings import RegistrySettings

ROUTES = (tokens, accounts, partners, api_clients, cooperatives, persons, imports, reference)


def larger_bodies(settings: Settings) -> dict[str, int]:
    """Body limits in bytes by path: only a register file may exceed the kernel's limit."""
    return {"/imports": RegistrySettings.of(settings).max_import_bytes}


def complete(app: FastAPI, settings: Settings) -> None:
    """Give the application its foreign issuer and its imports, and refused tokens the form of
    RFC 6749.
    """
    app.state.imports = BackgroundImports()
    app.state.foreign_issuer = foreign_issuer(RegistrySettings.of(settings))
    app.add_exception_handler(TokenRefused, tokens.oauth_problem)


def foreign_issuer(settings: RegistrySettings) -> ForeignIssuer | None:
    """The configured OpenID Connect issuer, if there is one.

    Ends the process if its audience is missing or its address is not safe.
    """
    issuer, audience = settings.oidc_issuer, settings.oidc_audience
    if issuer is None:
        return None
    if audience is None:
        raise SystemExit("TAAWON_OIDC_ISSUER is set, TAAWON_OIDC_AUDIENCE is not: set both.")
    if not is_safe_url(issuer):
        raise SystemExit(
            "TAAWON_OIDC_ISSUER must be an https:// address (http:// on loopback only)."
        )
    return ForeignIssuer(issuer, audience, client_id=settings.oidc_client_id)


TAGS = {
    "tokens": "Tokens for people and programs, and the public keys that verify them.",
    "accounts": "Accounts of people, their roles, and their identities elsewhere.",
    "partners": "Partner institutions, and their API clients.",
    "cooperatives": "The register of cooperatives.",
    "persons": "What persons ask for: access, rectification, erasure.",
    "imports": "Imports of register files, and their reports.",
    "reference": "Regions, provinces, communes, sectors, branches and goals, by code and name.",
}

SPEC = ServiceSpec(
    name="registry",
    about="The register of cooperatives and partner institutions, and the issuer of tokens.",
    tags=TAGS,
    settings=RegistrySettings,
    routers=tuple(each.router for each in ROUTES),
    snapshots=snapshots.SNAPSHOTS,
    consumers=handlers.consumers,
    jobs=(
        register_jobs.delete_problems,
        register_jobs.interrupt_dead_imports,
        register_jobs.delete_old_erased,
        identity_jobs.delete_old_failures,
        identity_jobs.delete_expired_devices,
        privacy_jobs.delete_reports,
        privacy_jobs.expire_proposals,
    ),
    keys=stored_keys,
    sealed=SEALED_COLUMNS,
    measures=db_metrics.MEASURES,
    larger_bodies=larger_bodies,
    owner_of=owners.owner_of,
    complete=complete,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings come from the environment unless a test brings its own."""
    return build(SPEC, settings)
