"""The few calls of RabbitMQ's management API that set up virtual hosts, users and rights."""

import ssl
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import httpx

from shared import json_text
from shared.kernel.waiting import wait_until

TIMEOUT_SECONDS: Final = 10.0
"""How long each step of a call may take: connecting, sending, waiting for more of the response."""


class ManagementAway(OSError):
    """The management API can't be reached, or the connection broke during the response."""


class ManagementRefused(RuntimeError):
    """The broker answered with an error; `status` says which."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        super().__init__(f"{method} {path} was answered with {status}: {body}")
        self.status = status


class Management:
    """A client of one broker's management API, as an administrator.

    Every call may raise `ManagementAway` or `ManagementRefused`.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self.password = password
        # The system's certificate authorities; loaded only where needed, for it takes milliseconds.
        self._authorities = ssl.create_default_context() if url.startswith("https:") else False

    @classmethod
    def of_url(cls, url: str) -> "Management":
        """From `http://admin:password@host:15672`."""
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return cls(
            f"{parts.scheme}://{parts.hostname}{port}{parts.path}",
            unquote(parts.username or "guest"),
            unquote(parts.password or "guest"),
        )

    def put_vhost(self, vhost: str) -> None:
        """Make the virtual host, if it does not exist."""
        self.put(f"vhosts/{_part(vhost)}", {})

    def delete_vhost(self, vhost: str) -> None:
        """Delete the virtual host with all that is in it, if it exists."""
        self.delete(f"vhosts/{_part(vhost)}")

    def put_user(self, name: str, password: str, tags: str = "") -> None:
        """Make the user, or give it this password and these tags."""
        self.put(f"users/{_part(name)}", {"password": password, "tags": tags})

    def put_hashed_user(self, name: str, password_hash: str, tags: str = "") -> None:
        """As `put_user`, for a password of which only the broker's salted hash is known."""
        body = {
            "password_hash": password_hash,
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": tags,
        }
        self.put(f"users/{_part(name)}", body)

    def bind(self, vhost: str, exchange: str, queue: str, routing_key: str = "") -> None:
        """Bind the queue to the exchange by this routing key. Safe to repeat."""
        path = f"bindings/{_part(vhost)}/e/{_part(exchange)}/q/{_part(queue)}"
        self._call("POST", path, {"routing_key": routing_key, "arguments": {}})

    def delete_user(self, name: str) -> None:
        """Delete the user, if it exists."""
        self.delete(f"users/{_part(name)}")

    def close_connections(self, user: str) -> None:
        """Close the open connections of this user, if there are any.

        RabbitMQ answers 500 where one of them ends by itself in the same moment, as all do after
        `delete_user`: it is then asked again, for at most `TIMEOUT_SECONDS`.
        """
        path = f"connections/username/{_part(user)}"
        if not wait_until(lambda: self._is_deleted(path), within=TIMEOUT_SECONDS):
            self.delete(path)

    def put_permissions(
        self, vhost: str, user: str, *, configure: str = "^$", write: str = "^$", read: str = "^$"
    ) -> None:
        """Give the user these rights, as patterns of names; a right that is not given is none."""
        rights = {"configure": configure, "write": write, "read": read}
        self.put(f"permissions/{_part(vhost)}/{_part(user)}", rights)

    def put_topic_permissions(
        self, vhost: str, user: str, exchange: str, *, write: str = "^$", read: str = "^$"
    ) -> None:
        """Give the user rights on one exchange, as patterns of routing keys; by default none."""
        rights = {"exchange": exchange, "write": write, "read": read}
        self.put(f"topic-permissions/{_part(vhost)}/{_part(user)}", rights)

    def get(self, path: str) -> Any:
        """The JSON data at a path of the API; names in it must be percent-encoded."""
        return self._call("GET", path)

    def put(self, path: str, body: Any) -> None:
        """Put JSON data at a path of the API; names in it must be percent-encoded."""
        self._call("PUT", path, body)

    def delete(self, path: str) -> None:
        """Delete what is at a path of the API, if it exists."""
        try:
            self._call("DELETE", path)
        except ManagementRefused as refusal:
            if refusal.status != 404:
                raise

    def _is_deleted(self, path: str) -> bool:
        """As `delete`, False where the broker failed at it."""
        try:
            self.delete(path)
        except ManagementRefused as refusal:
            if refusal.status != 500:
                raise
            return False
        return True

    def is_answering(self) -> bool:
        """Whether the API answers and accepts the name and the password."""
        try:
            self.get("whoami")
        except (ManagementAway, ManagementRefused):
            return False
        return True

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json_text.dumps(body)
        try:
            # No proxy from the environment is used: it could not reach this machine.
            with httpx.Client(
                auth=(self.user, self.password),
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
                verify=self._authorities,
            ) as client:
                answer = client.request(method, f"{self.url}/api/{path}", content=content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ManagementAway(str(error) or type(error).__name__) from error
        if answer.status_code >= 300:
            raise ManagementRefused(method, path, answer.status_code, answer.text)
        try:
            return json_text.loads(answer.content) if answer.content else None
        except json_text.NotJson as error:  # something else answers at this address
            raise ManagementAway(f"{self.url} answers, but not with JSON") from error


def _part(name: str) -> str:
    return quote(name, safe="")
