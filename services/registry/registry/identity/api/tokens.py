"""The token endpoint (OAuth 2.0, RFC 6749) and the keys that verify tokens (RFC 7517)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Cookie, Depends, Form, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, Field

from registry.dependencies import Foreign, Seal
from registry.settings import RegistrySettings
from shared.contracts.base import Id
from shared.errors import Kind
from shared.kernel.web import languages, openapi, problems
from shared.kernel.web.requests import ClientNetwork, Process, Session, Sessions
from shared.sentences import Sentence

from .. import queries
from ..usecases import token_exchange, tokens

router = APIRouter(tags=["tokens"])

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT_TYPES = frozenset(
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("access_token", "id_token", "jwt")
)
DEVICE_COOKIE: Final = "__Host-taawon-device"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_basic = HTTPBasic(auto_error=False)


class TokenForm(BaseModel):
    """Every field is optional here, so that each refusal can be an OAuth error."""

    grant_type: str = Field(default="", max_length=100)
    username: str = Field(default="", max_length=320)
    password: str = Field(default="", max_length=200)
    client_id: str = Field(default="", max_length=100)
    client_secret: str = Field(default="", max_length=200)
    scope: str = Field(default="", max_length=200)
    subject_token: str = Field(default="", max_length=8192)
    subject_token_type: str = Field(default="", max_length=100)
    device_token: str = Field(
        default="",
        max_length=100,
        description="With a password: what this device got at its last sign-in. Browsers send it as"
        f" the cookie {DEVICE_COOKIE}.",
    )
    on_behalf_of: Id | None = Field(
        default=None, description="With your own token: the cooperative to act for."
    )


class TokenOut(BaseModel):
    """A token and the seconds that it lives; `issued_token_type` only after an exchange,
    `device_token` only after a password.
    """

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    issued_token_type: str | None = None
    device_token: str | None = Field(
        default=None,
        description="With a password: keep it, and send it at the next sign-in. What strangers fail"
        " at does not slow down a device that is known. It gives no rights.",
    )


class OAuthProblem(openapi.Problem):
    """A problem and an OAuth error in one."""

    error: str
    error_description: str


REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": OAuthProblem, "description": "Refused, as OAuth 2.0 words it (RFC 6749)."}
    for status in (400, 401)
}


class KeysOut(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


@router.post(
    "/token",
    response_model_exclude_none=True,
    responses=REFUSED,
    openapi_extra={"security": [{}]},  # the form may name the client instead
)
async def issue_token(
    form: Annotated[TokenForm, Form()],
    basic: Annotated[HTTPBasicCredentials | None, Depends(_basic)],
    sessions: Sessions,
    sealer: Seal,
    process: Process,
    foreign: Foreign,
    network: ClientNetwork,
    response: Response,
    device: Annotated[str, Cookie(alias=DEVICE_COOKIE)] = "",
) -> TokenOut:
    """A token for a person (`grant_type=password`) or a program (`client_credentials`).

    Token exchange (RFC 8693) takes a `subject_token`: of the other configured issuer, for the
    account that its subject is linked to; or, with `on_behalf_of`, your own, for one with which an
    operator or a delegate acts for that cooperative.
    """
    response.headers.update(_NO_STORE)
    settings = RegistrySettings.of(process.settings)
    match form.grant_type:
        case "password" if form.username and form.password:
            issued = await tokens.issue_to_account(
                sessions,
                sealer,
                settings,
                email=form.username,
                password=form.password,
                network=network,
                device=form.device_token or device,
            )
            _set_device_cookie(response, issued.device or "", settings)
        case "client_credentials":
            issued = await tokens.issue_to_client(
                sessions,
                sealer,
                settings,
                client_id=basic.username if basic else form.client_id,
                secret=basic.password if basic else form.client_secret,
            )
        case token_exchange.TOKEN_EXCHANGE:
            issued = await _exchange(form, sessions, sealer, process, foreign)
            return TokenOut(
                access_token=issued.token,
                expires_in=issued.seconds,
                issued_token_type=ACCESS_TOKEN,
            )
        case "password":
            raise tokens.TokenRefused(
                "invalid_request", Sentence("username and password are needed")
            )
        case _:
            raise tokens.TokenRefused(
                "unsupported_grant_type",
                Sentence(
                    "grant_type has to be password, client_credentials or {exchange}, in a"
                    " form-encoded body",
                    exchange=token_exchange.TOKEN_EXCHANGE,
                ),
            )
    return TokenOut(
        access_token=issued.token, expires_in=issued.seconds, device_token=issued.device
    )


def _set_device_cookie(response: Response, device: str, settings: RegistrySettings) -> None:
    response.set_cookie(
        DEVICE_COOKIE,
        device,
        max_age=settings.known_device_days * 24 * 3600,
        secure=True,
        httponly=True,
        samesite="strict",
    )


async def _exchange(
    form: TokenForm, sessions: Sessions, sealer: Seal, process: Process, foreign: Foreign
) -> tokens.IssuedToken:
    settings = RegistrySettings.of(process.settings)
    if not form.subject_token or form.subject_token_type not in SUBJECT_TYPES:
        raise tokens.TokenRefused(
            "invalid_request",
            Sentence(
                "subject_token and subject_token_type are needed; the type is one of"
                " {subject_types}",
                subject_types=", ".join(sorted(SUBJECT_TYPES)),
            ),
        )
    if form.on_behalf_of is None:
        return await token_exchange.issue_to_linked(
            sessions, sealer, settings, foreign, token=form.subject_token
        )
    return await token_exchange.issue_to_act_for(
        sessions,
        sealer,
        settings,
        process.verifier,
        token=form.subject_token,
        cooperative_id=form.on_behalf_of,
    )


@router.get("/.well-known/jwks.json")
async def read_keys(session: Session, response: Response) -> KeysOut:
    """The public keys of every token that may still be valid."""
    response.headers["Cache-Control"] = "public, max-age=60"
    return KeysOut(keys=await queries.published_keys(session))


# Every other OAuth error is a 400 (RFC 6749, 5.2).
_KINDS: Final[Mapping[str, Kind]] = {
    "invalid_client": Kind.UNAUTHENTICATED,
    "temporarily_unavailable": Kind.AWAY,
}
_OAUTH_HEADERS: Final[Mapping[str, dict[str, str]]] = {
    "invalid_client": {"WWW-Authenticate": "Basic"},
    "temporarily_unavailable": {"Retry-After": "5"},
}


async def oauth_problem(_: Request, error: Exception) -> JSONResponse:
    """The answer to a refused token: a problem that is an OAuth error too (RFC 6749, 5.2).

    `error_description` is English whatever the caller reads: it is for developers, in ASCII alone.
    """
    assert isinstance(error, tokens.TokenRefused)
    status = problems.STATUS[_KINDS.get(error.error, Kind.REFUSED)]
    problem = problems.problem(status, error.error.replace("_", "-"), error.detail)
    body = orjson.loads(problem.body)
    body |= {"error": error.error, "error_description": str(error.detail)}
    headers = languages.headers() | _NO_STORE
    headers |= _OAUTH_HEADERS.get(error.error, {})
    return JSONResponse(body, status_code=status, headers=headers)
