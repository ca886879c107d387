"""The way of a call to its alerts: which files a reader opens, in which order, and how many.

A call is opened over HTTP, relayed over a real broker and followed to the alert in a real database,
while every function of this repository that is entered is recorded, up to the statement that
inserts the alerts. A file of a service or of its contracts counts as one to open, unless `BESIDE`
names it. What it names has to be shallow: at most three functions of it are entered. The kernel is
read once and for all, so it is one step, whatever it enters.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, func, select

from devkit import pytest_plugin
from funding.app import create_app
from funding.calls import queries as call_queries
from funding.calls.domain import terms
from notifications import metrics
from notifications.app import SPEC
from notifications.audience import handlers as audience_handlers
from notifications.fanout import handlers
from notifications.fanout.domain import audience_check as audience_check_rule
from notifications.fanout.models import alert
from notifications.fanout.usecases import audience_check
from shared.contracts import funding as funding_contract
from shared.contracts.funding import CallOpened
from shared.contracts.registry import CooperativeRecord, CooperativesImported
from shared.kernel.data.database import engine_of
from shared.kernel.messaging import outbox, topology
from shared.kernel.messaging.consumers import Consumers
from shared.kernel.messaging.relay import Relay
from shared.kernel.service.consuming import keep_consuming
from shared.kernel.service.lifespan import assemble
from shared.kernel.service.spec import spec_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- the way of a call: begin -->", "<!-- the way of a call: end -->"
ACCEPT = "TAAWON_ACCEPT_DRAWING"
MOST_FILES = 9
BESIDE: dict[ModuleType, str] = {
    call_queries: "finds the call by its id",
    terms: "says in words what each track gives",
    audience_check: "leaves at once where no number was confirmed",
    audience_check_rule: "the rule for a number that was confirmed",
    metrics: "counts and times the fan-out",
}
SHALLOW = 3
"""Most functions that are entered of a file beside the way."""


def path_of(module: ModuleType) -> str:
    """The path of a module from the root."""
    assert module.__file__ is not None
    return Path(module.__file__).relative_to(ROOT).as_posix()


OUTBOX = path_of(outbox)
CONTRACT = path_of(funding_contract)


def is_recorded(file: str) -> bool:
    """Whether it is code of ours, and of no test."""
    return file.startswith(("services/", "shared/")) and "/tests/" not in file


def is_kernel(file: str) -> bool:
    """Whatever knows no service."""
    return file.startswith("shared/") and file != CONTRACT


@dataclass
class Way:
    """The functions that were entered, by file, in the order of first entry.

    `callers` has the file of a service from which each was entered first, None where no service was
    on the stack.
    """

    entered: dict[str, list[str]] = field(default_factory=dict)
    callers: dict[str, str | None] = field(default_factory=dict)
    is_over: bool = False

    def profile(self, frame: FrameType, kind: str, _: Any) -> None:
        """What `sys.setprofile` calls at each call and return."""
        if kind != "call" or self.is_over:
            return
        file = file_of(frame)
        if file is None:
            return
        self.callers.setdefault(file, caller_of(frame, file))
        functions = self.entered.setdefault(file, [])
        if frame.f_code.co_qualname not in functions:
            functions.append(frame.f_code.co_qualname)

    def end_at_alerts(self, *arguments: Any) -> None:
        """Nothing after the statement that inserts the alerts is on the way."""
        if "INSERT INTO alert " in arguments[2]:
            self.is_over = True

    @property
    def files(self) -> list[str]:
        """Those that a reader opens."""
        beside = {path_of(module) for module in BESIDE}
        return [file for file in self.entered if not is_kernel(file) and file not in beside]


def file_of(frame: FrameType) -> str | None:
    """The path from the root; None for the code of others and of tests."""
    name = Path(frame.f_code.co_filename)
    if not name.is_relative_to(ROOT):
        return None
    file = name.relative_to(ROOT).as_posix()
    return file if is_recorded(file) else None


def caller_of(frame: FrameType, file: str) -> str | None:
    """The next file up the stack that is no part of the kernel."""
    above = frame.f_back
    while above is not None:
        found = file_of(above)
        if found is not None and found != file and not is_kernel(found):
            return found
        above = above.f_back
    return None


@contextmanager
def recorded() -> Iterator[Way]:
    """What is entered meanwhile, until the alerts are inserted."""
    way = Way()
    event.listen(Engine, "before_cursor_execute", way.end_at_alerts)
    before = sys.getprofile()
    sys.setprofile(way.profile)
    try:
        yield way
    finally:
        sys.setprofile(before)
        event.remove(Engine, "before_cursor_execute", way.end_at_alerts)


A_CALL = {
    "funder_slug": "oasis",
    "funder": "Fondation Oasis",
    "title": {"fr": "Appel à projets", "ar": "طلب مشاريع"},
    "summary": {"fr": "Un appel.", "ar": "طلب."},
    "tracks": [
        {
            "name": {"fr": "Coopératives", "ar": "التعاونيات"},
            "criteria": {"provinces": ["MA-TIZ"]},
        }
    ],
}
A_COOPERATIVE = CooperativeRecord(
    cooperative_id=uuid.uuid4(),
    version=1,
    name_fr="Coopérative Tifaouine",
    region="MA-09",
    province="MA-TIZ",
    language="fr",
)


@asynccontextmanager
async def running(name: str, url: str, amqp_url: str) -> AsyncIterator[Any]:
    """The parts of a service on a database and a broker; what runs is the test's choice."""
    settings = pytest_plugin.test_settings(name, url, amqp_url=amqp_url)
    engine = engine_of(settings, name)
    runtime = assemble(spec_of(name), settings, engine)
    try:
        yield runtime
    finally:
        await runtime.publisher.close()
        await engine.dispose()


@asynccontextmanager
async def at_work(job: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(job)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="module")
async def way(
    databases: pytest_plugin.TestDatabases,
    vhosts: Callable[..., pytest_plugin.Vhost],
    tokens: pytest_plugin.Tokens,
) -> Way:
    """Open a call over HTTP, relay the event, let notifications follow it to the alert."""
    vhost = vhosts("funding", "notifications")
    consumers = Consumers("notifications")
    consumers.consumers = [
        each for each in SPEC.consumers.consumers if each.handler is handlers.follow_call
    ]
    await topology.apply(vhost.admin_url, (1.0,), consumers.consumers)
    async with (
        running("funding", databases.fresh("funding"), vhost.url("funding")) as sender,
        running(
            "notifications", databases.fresh("notifications"), vhost.url("notifications")
        ) as receiver,
        at_work(keep_consuming(receiver, consumers)),
        http_of(sender, tokens) as http,
    ):
        async with receiver.sessions.begin() as session:
            known = CooperativesImported(
                batch_id=uuid.uuid4(), import_id=uuid.uuid4(), cooperatives=(A_COOPERATIVE,)
            )
            await audience_handlers.store_imported_cooperatives(known, session)
        await pytest_plugin.eventually(lambda: receiver.consuming, within=60)
        drafted = await http.post("/calls", json=A_CALL)
        relay = Relay(sender.engine, sender.publisher, "funding")
        with recorded() as way:
            path = f"/calls/{drafted.json()['call_id']}/open"
            answer = await http.post(path, headers={"If-Match": drafted.headers["ETag"]})
            assert answer.status_code == 200, answer.text
            assert (await relay.send_batch()).count == 1
            await pytest_plugin.eventually(lambda: way.is_over, within=60)

        async def alerts() -> int:
            async with receiver.sessions() as session:
                return int(await session.scalar(select(func.count()).select_from(alert)) or 0)

        assert await pytest_plugin.eventually(alerts, within=60) == 1
        return way


@asynccontextmanager
async def http_of(runtime: Any, tokens: pytest_plugin.Tokens) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(runtime.settings)
    runtime.verifier = tokens.verifier
    app.state.runtime = runtime
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = tokens.headers("partner", partner="oasis")
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as http:
        yield http


def drawing(way: Way) -> str:
    """The way as a Mermaid flowchart: each file under its caller, with what is entered of it."""
    names = {file: f"f{number}" for number, file in enumerate(way.files)}
    lines = ["```mermaid", "flowchart TD", "    http([HTTP request]) --> f0"]
    lines += [f'    {names[file]}["{shown(file, way.entered[file])}"]' for file in way.files]
    lines.append('    kernel[["kernel: outbox row → relay → exchange → queue → inbox row"]]')
    lines.append(f"    {names[way.callers[OUTBOX] or '']} --> kernel")
    for file in way.files[1:]:
        lines.append(f"    {names.get(way.callers[file] or '', 'kernel')} --> {names[file]}")
    lines += [f"    {names[way.files[-1]]} --> alert[(alert)]", "```", ""]
    lines += ["Beside it:", ""]
    lines += [f"- `{path_of(module)}`: {reason}." for module, reason in BESIDE.items()]
    return "\n".join(lines)


def shown(file: str, functions: list[str]) -> str:
    """The path, and the functions by which others enter it."""
    public = [name for name in functions if name[0] != "_" and "<" not in name and "._" not in name]
    if file == CONTRACT:
        public = [CallOpened.__name__]
    return "<br>".join([f"<b>{file.partition('/')[2]}</b>", *public])


def test_a_reader_opens_few_files_from_the_request_to_the_alert(way: Way) -> None:
    assert len(way.files) <= MOST_FILES, way.files


def test_what_is_beside_the_way_is_entered_and_shallow(way: Way) -> None:
    entered = {file: way.entered.get(file, []) for file in map(path_of, BESIDE)}

    assert [file for file, functions in entered.items() if not 0 < len(functions) <= SHALLOW] == []


def test_the_way_is_drawn_as_it_is(way: Way) -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    drawn, _, after = rest.partition(END)
    now = f"\n{drawing(way)}\n"
    if os.environ.get(ACCEPT):
        PAGE.write_text(f"{before}{BEGIN}{now}{END}{after}", encoding="utf-8")
        return

    assert drawn == now, f"the way of a call has changed: run this test with {ACCEPT}=1"
