"""The public HTTP APIs as a program uses them: signs in, calls, and says clearly what failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx


class Refused(RuntimeError):
    """A service answered with an error; the message is what it said."""

    def __init__(self, method: str, url: str, response: httpx.Response) -> None:
        try:
            detail = str(response.json().get("detail", response.text))
        except ValueError:
            detail = response.text
        super().__init__(f"{method} {url}: {response.status_code} {detail[:500]}")
        self.status = response.status_code


@dataclass
class Client:
    """One signed-in caller of all services; a token is renewed before it expires."""

    url_of: Callable[[str], str]
    credentials: dict[str, str]
    _token: str = field(default="", repr=False)
    _device: dict[str, str] = field(default_factory=dict, repr=False)
    _renew_at: float = field(default=0.0, repr=False)

    def get(self, service: str, path: str, **parameters: Any) -> Any:
        """The JSON of a successful GET; `parameters` become the query."""
        return self.call("GET", service, path, params=parameters)

    def post(self, service: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of a successful POST; `headers` are sent besides."""
        return self.call("POST", service, path, json=body, headers=headers)

    def move(self, service: str, path: str, body: Any = None, *, seen: dict[str, Any]) -> Any:
        """The JSON of a successful step of what was `seen`, if it still has that version."""
        return self.post(service, path, body, **{"If-Match": f'"{seen["version"]}"'})

    def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """The JSON of the answer, None for an empty one; `Refused` for an error."""
        url = f"{self.url_of(service)}{path}"
        response = httpx.request(
            method,
            url,
            json=json,
            params=params,
            headers={"Authorization": f"Bearer {self.token()}", **(headers or {})},
            timeout=60,
        )
        if response.is_error:
            raise Refused(method, url, response)
        return response.json() if response.content else None

    def token(self) -> str:
        """A token with at least half of its lifetime left."""
        if time.monotonic() >= self._renew_at:
            url = f"{self.url_of('registry')}/token"
            response = httpx.post(url, data=self.credentials | self._device, timeout=30)
            if response.is_error:
                raise Refused("POST", url, response)
            answer = response.json()
            self._token = answer["access_token"]
            if kept := answer.get("device_token"):
                self._device = {"device_token": kept}
            self._renew_at = time.monotonic() + answer["expires_in"] / 2
        return self._token

    def drop_token(self) -> None:
        """Forget the token, so that the next call signs in again."""
        self._renew_at = 0.0
