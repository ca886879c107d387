"""The processes of every service, two of each, that may be killed, frozen and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from devkit.processes import Process
from devkit.stack import Stack
from devkit.stack_layout import PROVISIONER, SERVICES
from devkit.state import usable_port
from shared.kernel.waiting import wait_until

from ..journeys.tcp_proxy import TcpProxy

TARGETS = (*SERVICES, PROVISIONER)
AVOIDED_SECONDS = 5.0
"""How long a process that gave no answer is not called, as by a load balancer."""


class Member:
    """One process of a service."""

    def __init__(self, stack: Stack, service: str, number: int) -> None:
        self.stack = stack
        self.service = service
        self.name = service if number == 1 else f"{service}-{number}"
        self.process: Process = stack.process(self.name)
        self.settings: dict[str, str] = {}
        self.avoided_until = 0.0
        self.lines: dict[str, TcpProxy] = {}
        """Proxies of its connections to the broker and to the database, where it has them."""
        self._pid: int | None = None
        """Kept because the moment to freeze it is short; a dead child keeps it until waited for."""

    @property
    def url(self) -> str:
        return self.stack.url(self.name)

    @property
    def has_api(self) -> bool:
        return self.service in SERVICES

    def launch(self) -> None:
        """Start it without waiting; one that runs is left as it is."""
        self._pid = self.process.pid
        if self._pid is not None:
            return
        known = self.stack.environment(self.service)
        command = ["partner", "provision"]
        if self.has_api:
            command = ["serve", self.service]
            known["TAAWON_HTTP_PORT"] = str(usable_port(self.stack.folder / "ports" / self.name))
        self._pid = self.process.start(
            [sys.executable, "-m", "cli.program", *command],
            env={**known, **self.settings},
            cwd=self.stack.folder,
            spawn=self.stack.spawn,
        )

    def is_ready(self) -> bool:
        if not self.has_api:
            return self.process.is_running()
        try:
            with closing(
                HTTPConnection("127.0.0.1", int(self.url.rpartition(":")[2]), 2)
            ) as connection:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False

    def kill(self) -> None:
        self._pid = None
        self.process.kill9()

    def freeze(self) -> None:
        """Stopped where it stands, at once; seen to be stopped on return."""
        pid = self._pid
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: _state(pid) in "TXZ", within=2, every=0.0005)

    def thaw(self) -> None:
        pid = self._pid
        if pid is not None:
            os.kill(pid, signal.SIGCONT)

    def ports(self) -> set[int]:
        """The ports of this machine from which it connects to a server."""
        pid = self.process.pid
        own = _ports_of(pid) if pid is not None else set()
        return own.union(*(line.ports for line in self.lines.values()))


class Processes:
    """All members; knows whom to ask, and who talks from which port."""

    def __init__(self, stack: Stack, replicas: Mapping[str, int]) -> None:
        self.stack = stack
        self.members = [
            Member(stack, service, number)
            for service in TARGETS
            for number in range(1, replicas.get(service, 1) + 1)
        ]
        self._talkers: dict[int, Member] = {}
        self._turn = 0

    def of(self, service: str) -> list[Member]:
        return [member for member in self.members if member.service == service]

    async def start(self) -> None:
        """Everybody runs, is thawed and ready afterwards."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        for member in self.members:
            member.launch()
            member.thaw()
        for member in self.members:
            self.wait_ready(member)

    def wait_ready(self, member: Member) -> None:
        member.process.wait_for(member.is_ready, within=90)

    def pids(self) -> dict[str, int | None]:
        """The process of each member now."""
        return {member.name: member.process.pid for member in self.members}

    async def wait_unchanged(self, before: Mapping[str, int | None], killed: str | None) -> None:
        """Everybody is ready, and all but the one that was killed have the same process as before.

        A member that ends by itself would go unnoticed, for its twin does all of its work.
        """
        for member in self.members:
            await asyncio.to_thread(self.wait_ready, member)
        changed = [name for name, pid in self.pids().items() if pid != before[name]]
        strange = [name for name in changed if name != killed]
        assert not strange, f"{', '.join(strange)}: ended though nobody killed it"

    def end(self) -> None:
        for member in self.members:
            member.kill()

    def end_replicas(self) -> None:
        """Only those who are no part of the stack."""
        for member in self.members:
            if member.name not in TARGETS:
                member.kill()

    def next(self, service: str) -> Member:
        """In turns; one that gave no answer is left alone for a while, if there is another."""
        self._turn += 1
        members = self.of(service)
        willing = [m for m in members if m.avoided_until < time.monotonic()] or members
        return willing[self._turn % len(willing)]

    def avoid(self, member: Member) -> None:
        member.avoided_until = time.monotonic() + AVOIDED_SECONDS

    def talker(self, service: str, port: int) -> Member | None:
        """The member of this service whose connection has this port."""
        known = self._talkers.get(port)
        if known is None or known.service != service or not known.process.is_running():
            self._talkers = {p: member for member in self.members for p in member.ports()}
            known = self._talkers.get(port)
        return known if known is not None and known.service == service else None

    def release_ports(self) -> None:
        """What was somebody's port may be that of another by now."""
        self._talkers = {}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _ports_of(pid: int) -> set[int]:
    try:
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
        table = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return set()
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in table]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[9] in inodes}
