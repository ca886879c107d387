"""What the operator's commands send: repeats create nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli import client as client_module
from cli.client import OperatorClient
from shared.kernel.settings import Settings

LOST, AWAY, AT_WORK = 0, 503, 409


class Service:
    """A service that answers in turn with what it was told, and 201 from then on."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.keys: list[str | None] = []
        self.url = ""

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["content-length"]))
        self.keys.append(handler.headers.get("idempotency-key"))
        status = self.answers.pop(0) if self.answers else 201
        if status == LOST:
            handler.close_connection = True
            return
        code = "still-in-flight" if status == AT_WORK else "illegal-move"
        body = f'{{"code": "{code}"}}'.encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.take(self)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(client_module, "WAITS", (0.0, 0.0, 0.0))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join()


def operator(service: Service) -> OperatorClient:
    return OperatorClient({"registry": service.url}, token="t")


@pytest.mark.parametrize("answers", [[LOST], [AWAY, LOST], [LOST, AT_WORK, AT_WORK]])
async def test_a_request_without_an_answer_is_repeated_with_its_key(
    service: Service, answers: list[int]
):
    service.answers = [*answers]

    answer = await operator(service).create("registry", "/replays", {})

    assert answer.status == 201
    assert len(service.keys) == len(answers) + 1
    assert len(set(service.keys)) == 1
    assert service.keys[0]


async def test_two_requests_have_two_keys(service: Service):
    for _ in range(2):
        await operator(service).create("registry", "/replays", {})

    assert len(set(service.keys)) == 2


async def test_a_refusal_is_an_answer(service: Service):
    service.answers = [422]

    answer = await operator(service).create("registry", "/replays", {})

    assert (answer.status, len(service.keys)) == (422, 1)


async def test_a_service_that_stays_away_is_given_up_on(service: Service):
    service.answers = [AWAY] * 9

    answer = await operator(service).create("registry", "/replays", {})

    assert (answer.status, len(service.keys)) == (AWAY, 4)


def test_a_request_that_creates_is_given_more_time_than_the_broker_takes_to_confirm():
    confirmed_within = Settings.model_fields["publish_timeout"].default

    assert 3 * confirmed_within < client_module.WORK_TIMEOUT
