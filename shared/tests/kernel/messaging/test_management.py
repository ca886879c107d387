"""The management API of the broker, and what may answer in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.kernel.messaging import management as management_module
from shared.kernel.messaging.management import Management, ManagementAway, ManagementRefused


class Broker(HTTPServer):
    """Answers every DELETE with the next of these statuses; the last is kept."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Deletes)
        self.statuses = list(statuses)
        self.deleted: list[str] = []


class Deletes(BaseHTTPRequestHandler):
    server: Broker

    def do_DELETE(self) -> None:
        self.server.deleted.append(self.path)
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[Broker, Management]]:
    """A management API that answers DELETE with these statuses, and a client of it."""
    with Broker(*statuses) as broker:
        thread = threading.Thread(target=broker.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield broker, Management(f"http://127.0.0.1:{broker.server_port}", "guest", "guest")
        finally:
            broker.shutdown()
            thread.join()


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


def test_connections_that_end_while_they_are_closed_are_closed_again():
    with answering(500, 500, 204) as (broker, management):
        management.close_connections("p-indh")

    assert broker.deleted == ["/api/connections/username/p-indh"] * 3


def test_a_user_without_connections_has_none_to_close():
    with answering(404) as (broker, management):
        management.close_connections("p-indh")

    assert len(broker.deleted) == 1


def test_a_broker_that_keeps_failing_at_it_refuses(monkeypatch):
    monkeypatch.setattr(management_module, "TIMEOUT_SECONDS", 0.2)
    with answering(500) as (_, management), pytest.raises(ManagementRefused):
        management.close_connections("p-indh")


def test_other_refusals_are_not_tried_again():
    with answering(401, 204) as (broker, management), pytest.raises(ManagementRefused):
        management.close_connections("p-indh")

    assert len(broker.deleted) == 1
