"""A client of an import keeps nobody waiting, and may send its file again."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from devkit.pytest_plugin import Tokens, eventually
from registry.register.domain.imports import ImportState, RegisterImport
from shared.kernel.runtime import Runtime

from . import samples
from .running_services import Target

HEADER = "court,local_register_no,province,name_fr,phone,email,capital\n"
WRONG = "TPI Unread,{number},Nowhere,Une coopérative,no phone,no address,no amount\n"
NOBODY = "nobody@taawon.example"
ROWS = 40_000
"""So many wrong rows that a list of what is wrong would fill every buffer of a connection."""


def test_an_import_ends_although_its_client_never_reads(
    running_services: dict[str, Target], tokens: Tokens
) -> None:
    target, caller = running_services["registry"], samples.headers(tokens, "operator")
    content = (HEADER + "".join(WRONG.format(number=number) for number in range(ROWS))).encode()
    erasure = {"kind": "erasure", "ground": "person", "reference": "1", "email": NOBODY}

    with closing(unread(target, caller, content)):
        report = target.run(ended)
        erased = samples.erase(target, caller, erasure)

    assert (report.state, report.rows_refused) == (ImportState.FINISHED, ROWS)
    assert erased.status_code == 200, erased.text


async def ended(runtime: Runtime) -> RegisterImport:
    """The import of the client that never reads, once it has ended."""

    async def look() -> RegisterImport | None:
        async with runtime.sessions() as session:
            found = await session.scalar(select(RegisterImport).filter_by(source="unread"))
        return found if found is not None and found.state is not ImportState.RUNNING else None

    return await eventually(look)


def unread(target: Target, caller: dict[str, str], content: bytes) -> socket.socket:
    """A connection that has sent a whole import, and takes as little of the answer as it can."""
    address = urlsplit(target.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    connection.connect((address.hostname, address.port))
    head = {**caller, "Host": address.netloc, "Content-Type": "text/csv"}
    head["Content-Length"] = str(len(content))
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection.sendall(f"POST /imports?source=unread HTTP/1.1\r\n{lines}\r\n".encode() + content)
    return connection


def test_a_file_sent_again_with_its_key_is_imported_once(
    running_services: dict[str, Target], tokens: Tokens
) -> None:
    target = running_services["registry"]
    caller = {
        **samples.headers(tokens, "operator"),
        "Content-Type": "text/csv",
        "Idempotency-Key": str(uuid4()),
    }
    content = (HEADER + WRONG.format(number=1)).encode()

    def send(path: str = "/imports?source=repeated", more: bytes = b"") -> httpx.Response:
        return target.http.post(path, content=content + more, headers=caller)

    first = send()
    samples.import_ended(target, first, caller)
    again = send()
    others = [send(more=b"\n"), send("/imports?source=another")]

    assert (again.status_code, again.headers["location"]) == (202, first.headers["location"])
    assert again.json() == first.json()
    assert [(each.status_code, each.json()["code"]) for each in others] == [(422, "key-reused")] * 2
    assert target.run(reports_of) == 1


async def reports_of(runtime: Runtime) -> int:
    async with runtime.sessions() as session:
        query = select(func.count()).select_from(RegisterImport).filter_by(source="repeated")
        return await session.scalar(query) or 0


def test_a_repeat_is_answered_although_the_import_may_still_run(
    running_services: dict[str, Target], tokens: Tokens
) -> None:
    target = running_services["registry"]
    caller = {
        **samples.headers(tokens, "operator"),
        "Content-Type": "text/csv",
        "Idempotency-Key": str(uuid4()),
    }
    content = (HEADER + "".join(WRONG.format(number=number) for number in range(2_000))).encode()

    first, again = (target.http.post("/imports", content=content, headers=caller) for _ in range(2))

    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert again.json()["import_id"] == first.json()["import_id"]
    samples.import_ended(target, again, caller)
