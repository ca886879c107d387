"""The four services as an attacker finds them: real sockets, real databases, real commits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from devkit.pytest_plugin import PATIENCE, SEAL_KEY, Tokens, eventually, test_settings
from devkit.stack_layout import SERVICES
from shared.kernel.auth.tokens import FetchedKeys, Verifier
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.runtime import Runtime
from shared.kernel.service.app import build
from shared.kernel.service.server import bound, config_of
from shared.kernel.service.spec import spec_of
from shared.kernel.web.openapi import METHODS
from shared.kernel.web.ports import INTERNAL

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


@cache
def document(service: str) -> dict[str, Any]:
    """What the service says of itself; nothing is connected for it."""
    return _app(service, NOWHERE).openapi()


def _app(service: str, url: str, **settings: Any) -> FastAPI:
    made = build(spec_of(service), test_settings(service, url, **settings))
    assert isinstance(made, FastAPI)
    return made


@dataclass(frozen=True)
class Operation:
    """One route with one method, as the document names it."""

    service: str
    method: str
    path: str
    about: dict[str, Any] = field(compare=False, hash=False, repr=False)

    def __str__(self) -> str:
        return f"{self.service}-{self.method.upper()}-{self.path}"

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [p for p in self.about.get("parameters", []) if p["in"] == place]

    @property
    def needs_token(self) -> bool:
        return any("HTTPBearer" in scheme for scheme in self.about.get("security", []))

    @property
    def streams(self) -> bool:
        """Whether the answer may never end."""
        return any("text/event-stream" in r.get("content", {}) for r in self.answers.values())

    @property
    def answers(self) -> dict[str, Any]:
        return dict(self.about["responses"])


def operations(*services: str) -> list[Operation]:
    """Every operation of the documents, sorted."""
    return [
        Operation(service, method, path, about)
        for service in services or SERVICES
        for path, item in sorted(document(service)["paths"].items())
        for method, about in sorted(item.items())
        if method in METHODS
    ]


@dataclass(frozen=True)
class Target:
    """A service that answers on a socket."""

    service: str
    url: str
    internal_url: str
    runtime: Runtime
    loop: asyncio.AbstractEventLoop
    http: httpx.Client = field(compare=False)

    def base(self, path: str) -> str:
        """The address of the port at which this path is answered."""
        return self.internal_url if path in INTERNAL else self.url

    def run(self, work: Callable[[Runtime], Coroutine[Any, Any, Any]]) -> Any:
        """Work on the service's own database, in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(work(self.runtime), self.loop).result(60)


@contextmanager
def running_service(service: str, url: str, keys_url: str) -> Iterator[Target]:
    """The service behind uvicorn in a thread of its own, without its broker."""
    made: list[Target] = []
    failed: list[BaseException] = []
    ready, over = threading.Event(), threading.Event()

    def serve() -> None:
        try:
            asyncio.run(_serve(service, url, keys_url, made, ready, over))
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=serve, name=f"server of {service}")
    thread.start()
    assert ready.wait(30), f"{service} does not start"
    if failed:
        raise failed[0]
    try:
        yield made[0]
    finally:
        over.set()
        thread.join(30)


async def _serve(
    service: str,
    url: str,
    keys_url: str,
    made: list[Target],
    ready: threading.Event,
    over: threading.Event,
) -> None:
    public, internal = (bound("127.0.0.1", 0) for _ in range(2))
    ports = [each.getsockname()[1] for each in (public, internal)]
    app = _app(service, url, internal_port=ports[1])
    async with _runtime(service, url, keys_url) as runtime:
        app.state.runtime = runtime
        config = config_of(app, runtime.settings)
        config.lifespan, config.timeout_graceful_shutdown = "off", 1
        server = uvicorn.Server(config)
        with contextlib.suppress(SystemExit):
            task = asyncio.create_task(_quietly(server, [public, internal]))
            await eventually(lambda: server.started)
            addresses = [f"http://127.0.0.1:{port}" for port in ports]
            with httpx.Client(base_url=addresses[0], trust_env=False, timeout=PATIENCE) as http:
                loop = asyncio.get_running_loop()
                made.append(Target(service, *addresses, runtime, loop, http))
                ready.set()
                await asyncio.to_thread(over.wait)
            server.should_exit = True
            await task


async def _quietly(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    # Not `serve`: it takes over the signals, which belong to the test run.
    await server._serve(sockets=sockets)


@contextmanager
def issuing(tokens: Tokens) -> Iterator[str]:
    """An issuer that publishes its keys over HTTP; where to find them."""
    published = orjson.dumps({"keys": [tokens.key.as_dict(private=False)]})

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(published)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        server.shutdown()
        thread.join()


@asynccontextmanager
async def _runtime(service: str, url: str, keys_url: str) -> AsyncIterator[Runtime]:
    engine = make_engine(url)
    yield Runtime(
        settings=test_settings(service, url),
        sessions=make_sessions(engine),
        verifier=Verifier(FetchedKeys(keys_url), issuer=Tokens.issuer, audience=Tokens.audience),
        sealer=Sealer([SEAL_KEY]),
    )
    await engine.dispose()


def routes(service: str) -> set[tuple[str, str]]:
    """Method and path of everything that the application answers, documented or not."""
    own = {"/openapi.json"}
    return {
        (method.lower(), found.path)
        for found in iter_route_contexts(_app(service, NOWHERE).routes)
        for method in found.methods or ()
        if found.path not in own and found.path
    }
