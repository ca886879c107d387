"""Where the services of a running system are, and how an operator's command calls them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import typer

from shared.errors import Invalid, NotFound
from shared.kernel.commands.terminal import language
from shared.kernel.installed import installed_services

from .local_stack import LocalStack, find_local_stack

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        envvar="TAAWON_URLS",
        help="registry=http://host:8001, once per service; without any, what `taawon up` started.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="TAAWON_OPERATOR_TOKEN",
        help="Token of an operator; on this machine the one that `taawon up` made signs in.",
    ),
]
TIMEOUT = 5.0
"""Seconds in which a service says how it is; one that takes longer is not well."""
WORK_TIMEOUT = 60.0
"""Seconds for a request that creates something: `POST /replays` waits for the broker to confirm
events (`TAAWON_PUBLISH_TIMEOUT`, 10 s) and counts what there is to send."""
WAITS = (0.5, 2.0, 5.0)
"""Seconds before each repeat of a request that creates something and got no answer."""


class NothingHere(NotFound):
    """Nothing was ever started here: run `taawon up`, or name services with --url."""


@dataclass(frozen=True)
class OperatorClient:
    """The services by name, and the operator's token. `stack` is known on this machine only."""

    urls: Mapping[str, str]
    stack: LocalStack | None = None
    token: str | None = field(default=None, repr=False)
    no_token: str | None = None

    @classmethod
    def find(cls, urls: Sequence[str] | None, token: str | None) -> OperatorClient:
        """The named services, else those of this machine's stack; nothing is started."""
        if urls:
            named = dict(_named(url) for url in urls)
            return cls(named, token=token, no_token="no token is given")
        stack = find_local_stack()
        if stack is None or not stack.was_started():
            raise NothingHere(
                f"nothing was ever started {f'in {stack.folder}' if stack else 'here'}: run"
                " `taawon up`, or name each service, as in --url registry=http://127.0.0.1:8001"
            )
        found = {service: stack.url(service) for service in installed_services()}
        if token is not None:
            return cls(found, stack, token)
        token, trouble = _sign_in(stack)
        return cls(found, stack, token, trouble)

    async def ask(
        self, path: str, *, signed: bool = True, **query: Any
    ) -> dict[str, ServiceResponse]:
        """What each service answers to a GET of this path; all are asked at once."""
        headers = {"Authorization": f"Bearer {self.token}"} if signed and self.token else {}
        async with self._http(headers) as http:
            asked = (_get(http, f"{url}{path}", query) for url in self.urls.values())
            return dict(zip(self.urls, await asyncio.gather(*asked), strict=True))

    async def send(self, service: str, method: str, path: str, body: Any = None) -> ServiceResponse:
        """What one service answers to this request of the operator."""
        if self.token is None:
            return ServiceResponse(0, {"detail": f"{self.no_token}; give the token of an operator"})
        async with self._http({"Authorization": f"Bearer {self.token}"}) as http:
            return await _ask(http, method, f"{self.urls[service]}{path}", json=body)

    async def create(self, service: str, path: str, body: Any) -> ServiceResponse:
        """As `send` with POST, repeated under one `Idempotency-Key` while there is no answer, so
        that the thing is there once.
        """
        if self.token is None:
            return await self.send(service, "POST", path, body)
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": str(uuid4())}
        async with self._http(headers, timeout=WORK_TIMEOUT) as http:
            for pause in (*WAITS, None):
                answer = await _ask(http, "POST", f"{self.urls[service]}{path}", json=body)
                if pause is None or not answer.is_to_be_repeated:
                    break
                await asyncio.sleep(pause)
        return answer

    def _http(self, headers: dict[str, str], timeout: float = TIMEOUT) -> httpx.AsyncClient:
        # On this machine straight to the port: a proxy of the environment knows nothing of it.
        asked = headers | {"Accept-Language": language()}
        return httpx.AsyncClient(headers=asked, timeout=timeout, trust_env=self.stack is None)


@dataclass(frozen=True)
class ServiceResponse:
    """The JSON of an answer, or why there is none; status 0 means that there was no answer.

    `asked` and `answered` are seconds since 1970 by the clock of this machine.
    """

    status: int
    body: Any = None
    asked: float = 0.0
    answered: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the service answered with a status from 200 to 299."""
        return 200 <= self.status < 300

    @property
    def is_to_be_repeated(self) -> bool:
        """Whether the same request, sent again, may get another answer: there was none, the service
        is away, or the first attempt is still at work."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return self.status in {0, 502, 503, 504} or code == "still-in-flight"

    @property
    def trouble(self) -> str:
        """The status and the detail of a refusal, or that there was no answer."""
        detail = self.body.get("detail") if isinstance(self.body, dict) else None
        if self.status == 0:
            return detail or "no answer"
        return f"{self.status} {detail or ''}".strip()


async def _get(http: httpx.AsyncClient, url: str, query: dict[str, Any]) -> ServiceResponse:
    return await _ask(http, "GET", url, params=query)


async def _ask(http: httpx.AsyncClient, method: str, url: str, **content: Any) -> ServiceResponse:
    asked = time.time()
    try:
        response = await http.request(method, url, **content)
    except (httpx.HTTPError, httpx.InvalidURL):
        return ServiceResponse(0, None, asked, time.time())
    try:
        return ServiceResponse(response.status_code, response.json(), asked, time.time())
    except ValueError:
        return ServiceResponse(response.status_code, None, asked, time.time())


def _named(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not name or not url.startswith(("http://", "https://")):
        raise Invalid(f"--url {text}: write it as registry=http://host:8001", field="--url")
    known = installed_services()
    if known and name not in known:
        raise Invalid(
            f"--url {text}: {name} is no service; they are {', '.join(known)}", field="--url"
        )
    return name, url.rstrip("/")


def _sign_in(stack: LocalStack) -> tuple[str | None, str | None]:
    """The token of the stack's operator, or why there is none; nobody is made."""
    kept = stack.operator_password
    if not kept.exists():
        return None, f"there is no operator's password in {kept}: `taawon up` makes the operator"
    form = {
        "grant_type": "password",
        "username": stack.operator,
        "password": kept.read_text().strip(),
        **_known_device(kept),
    }
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as http:
            answer = http.post(f"{stack.url('registry')}/token", data=form)
    except httpx.HTTPError:
        return None, "the registry, which gives tokens, does not answer"
    if answer.is_server_error:
        return None, f"the registry gives no tokens just now ({answer.status_code})"
    if answer.is_error:
        return None, f"the registry refused the password in {kept} ({answer.status_code})"
    _keep_device(kept, answer.json())
    return str(answer.json()["access_token"]), None


def _known_device(password: Path) -> dict[str, str]:
    """What this machine is known by, kept beside the password once it has signed in."""
    kept = password.with_suffix(".device")
    try:
        return {"device_token": kept.read_text().strip()} if kept.exists() else {}
    except OSError:
        return {}


def _keep_device(password: Path, answer: dict[str, Any]) -> None:
    """Without it, what strangers fail at may slow down the next sign-in; whoever may not write
    beside the password signs in all the same."""
    kept, device = password.with_suffix(".device"), answer.get("device_token")
    if not device or _known_device(password) == {"device_token": device}:
        return
    with contextlib.suppress(OSError):
        new = kept.with_name(f"{kept.name}.{os.getpid()}.new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(device)
        new.replace(kept)
