"""Start a program that outlives us, and find, stop or kill it again from any other process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from shared import json_text
from shared.kernel.waiting import wait_until

from .state import write_atomically

if TYPE_CHECKING:
    from .identity import Identity

# A shell started in the background ignores these, and a child would inherit that.
SIGNALS_RESTORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


class NotStarted(RuntimeError):
    """A program ended, or said nothing for too long, before it was ready."""


Spawn = Callable[[Sequence[str], Mapping[str, str], Path, Path], int]
"""Starts a command in its folder with this environment, its output into this log; its pid."""


class Process:
    """One detached program: its own session, its log, and a record that any process can read."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.record = folder / f"{name}.pid"
        self.log = folder / f"{name}.log"

    @property
    def identity(self) -> Identity | None:
        """The living process of the record; a record left by a crash or a reboot names none."""
        try:
            kept = json_text.loads(self.record.read_bytes())
            pid, born = int(kept["pid"]), float(kept["born"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        from .identity import Identity  # of the extra `local`; an image starts no programs

        identity = Identity(pid, born)
        return identity if identity.is_alive() else None

    @property
    def pid(self) -> int | None:
        """The pid of the living process; None where there is none."""
        identity = self.identity
        return identity.pid if identity else None

    def is_running(self) -> bool:
        """Whether the recorded process lives."""
        return self.identity is not None

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        spawn: Spawn | None = None,
    ) -> int:
        """The pid of the program; one that runs already is left as it is."""
        if self.pid is not None:
            return self.pid
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        pid = (spawn or spawn_program)(command, env, cwd or self.folder, self.log)
        self.adopt(pid)
        return pid

    def adopt(self, pid: int) -> None:
        """Record a process that somebody else started as this one."""
        from .identity import Identity, reap  # as above

        identity = Identity.of(pid)
        if identity is None:
            reap(pid)
            raise NotStarted(f"{self.name} ended at once.\n{self.log_tail()}")
        write_atomically(self.record, json_text.dumps(asdict(identity)))

    def wait_for(self, ready: Callable[[], bool], *, within: float) -> None:
        """Until ready() holds; a program that ends first, or takes longer, shows its last lines."""
        if not wait_until(lambda: ready() or not self.is_running(), within=within):
            raise NotStarted(f"{self.name} is not ready after {within:g} s.\n{self.log_tail()}")
        if not self.is_running():
            raise NotStarted(f"{self.name} ended before it was ready.\n{self.log_tail()}")

    def stop(
        self, grace: float = 10.0, *, by: int = signal.SIGTERM, is_alone: bool = False
    ) -> None:
        """Ask it to end, then what it started and left behind; when the grace is over, end all.

        What it started goes on where `is_alone` says that this process alone is meant.
        """
        processes = self._process_tree()[: 1 if is_alone else None]
        # A server knows best how to end its children, so they are asked only once it is gone.
        if _end(processes[:1], by, within=grace):
            _end(processes[1:], by, within=grace)
        _kill(processes)
        self.record.unlink(missing_ok=True)

    def kill9(self) -> None:
        """As a power cut would: no chance to save anything, for it and all that it started."""
        _kill(self._process_tree())
        self.record.unlink(missing_ok=True)

    def log_tail(self, lines: int = 20) -> str:
        """The end of the log, for people who ask why it did not start."""
        if not self.log.exists():
            return f"({self.log} was not written)"
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join([*text[-lines:], f"(from {self.log})"])

    def _process_tree(self) -> list[Identity]:
        """The process first, then all that descend from it, also those with a session of theirs."""
        root = self.identity
        return [root, *root.descendants()] if root else []


def spawn_program(command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a program in a session of its own, whose output goes into its log; its pid."""
    # Not subprocess: its Popen warns about a child that is meant to outlive it.
    into_log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", 'cd -- "$0" && exec "$@"', str(cwd), *command],
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), into_log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=SIGNALS_RESTORED,
    )


def _all_gone(processes: Sequence[Identity]) -> bool:
    return not any([process.is_alive() for process in processes])


def _end(processes: Sequence[Identity], by: int, *, within: float) -> bool:
    for process in processes:
        process.signal(by)
    return wait_until(lambda: _all_gone(processes), within=within)


def _kill(processes: Sequence[Identity]) -> None:
    if not _end(processes, signal.SIGKILL, within=60):
        alive = [process.pid for process in processes if process.is_alive()]
        raise RuntimeError(f"processes {alive} do not end, not even when killed")
