"""One request of a command to one service, whose refusal ends the command in words."""

from __future__ import annotations

from typing import Any

import httpx

from cli.client import WORK_TIMEOUT, OperatorClient
from shared.errors import DomainError, Invalid
from shared.kernel.commands.terminal import language


class Refused(DomainError):
    """A service refused; the message is what it said."""


def step(
    client: OperatorClient,
    service: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    version: int | None = None,
) -> Any:
    """The JSON of a successful answer; `version` is the one that was read. Raises `Refused`."""
    url = client.urls.get(service)
    if url is None:
        raise Invalid(f"where is {service}? Name it, as in --url {service}=http://127.0.0.1:8003")
    if client.token is None:
        raise Refused(client.no_token or "no token is given: --token")
    headers = {"Authorization": f"Bearer {client.token}", "Accept-Language": language()}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    try:
        with httpx.Client(timeout=WORK_TIMEOUT, trust_env=client.stack is None) as http:
            answer = http.request(method, f"{url}{path}", json=body, headers=headers)
        details = answer.json() if answer.content else None
    except (httpx.HTTPError, ValueError):
        raise Refused(f"{service} does not answer at {url}: see `taawon doctor`") from None
    if answer.is_error:
        raise Refused(f"{service}: {_refusal(answer.status_code, details or {})}")
    return details


def _refusal(status: int, details: dict[str, Any]) -> str:
    """The detail, and the wrong fields that it does not say already."""
    detail = str(details.get("detail", status))
    wrong = [each for each in details.get("errors", []) if each["message"] not in detail]
    return " ".join([detail, "; ".join(map(_error, wrong))]).strip()


def _error(error: dict[str, str]) -> str:
    given = f" ({error['given']})" if "given" in error else ""
    return f"{error['field']}: {error['message']}{given}"
