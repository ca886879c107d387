"""The management API of the broker, and what may answer in its place."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.kernel.messaging.management import Management, ManagementAway


class LoginPage(BaseHTTPRequestHandler):
    """What a proxy shows."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>sign in</html>")

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def test_a_page_in_its_place_is_a_management_api_that_is_away():
    with HTTPServer(("127.0.0.1", 0), LoginPage) as server:
        threading.Thread(target=server.handle_request).start()
        management = Management(f"http://127.0.0.1:{server.server_port}", "guest", "guest")

        with pytest.raises(ManagementAway, match="not with JSON"):
            management.get("overview")
