"""Signing in as the operator of this machine's system."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest

from cli.client import _sign_in


class Registry(BaseHTTPRequestHandler):
    """Issues a token to everybody, with a new device token unless one came."""

    forms: list[dict[str, list[str]]]

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.forms.append(form)
        device = form.get("device_token", ["new"])[0]
        body = json.dumps({"access_token": "t", "device_token": device}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    Registry.forms = []
    server = HTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_command_keeps_by_what_this_machine_is_known(registry: str, tmp_path: Path) -> None:
    password = tmp_path / "operator.password"
    password.write_text("correct horse battery\n")
    stack: Any = SimpleNamespace(
        operator_password=password, operator="o@taawon.example", url=lambda _: registry
    )

    for _ in range(2):
        assert _sign_in(stack) == ("t", None)

    kept = tmp_path / "operator.device"
    assert [form.get("device_token") for form in Registry.forms] == [None, ["new"]]
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("new", 0o600)
