"""A real OpenID Connect issuer on loopback: discovery, keys, and tokens of any kind."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

AUDIENCE = "taawon-at-the-issuer"


class Issuer:
    """Signs what it is given, and publishes the public part of its keys."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.claimed_url = url
        self.is_down = False
        self.too_much = b""
        self.keys: dict[str, Key] = {
            "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
            "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
            "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "okp", "use": "sig"}),
        }

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        known = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
        }
        return {name: value for name, value in (known | changes).items() if value is not None}

    def token(
        self, subject: str, *, alg: str = "RS256", typ: str | None = None, **changes: Any
    ) -> str:
        """A signed token; `changes` replace claims, None leaves one out."""
        key = self.keys["Ed25519" if alg == "EdDSA" else alg]
        header = {"alg": alg, "kid": key.kid} | ({"typ": typ} if typ else {})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.encode(header, self.claims(subject, **changes), key, [alg])

    def document(self, path: str) -> bytes | None:
        if path == "/.well-known/openid-configuration":
            found = {"issuer": self.claimed_url, "jwks_uri": f"{self.url}/keys"}
            return json.dumps(found).encode() + self.too_much
        if path == "/keys":
            return json.dumps(KeySet(list(self.keys.values())).as_dict(private=False)).encode()
        return None


@contextmanager
def serving() -> Iterator[Issuer]:
    """The issuer while it runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = issuer.document(self.path)
            status = 503 if issuer.is_down else 200 if body else 404
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
