"""Which process a pid names, whether it lives, and what descends from it."""

import contextlib
import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Identity:
    """A pid alone is handed out again; with the moment of its birth it names one process.

    `born` is in seconds since the machine started, which no change of its clock moves.
    """

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """None where no such process lives; a zombie, dead and not yet reaped, does not live."""
        try:
            identity = cls(pid, _born(psutil.Process(pid)))
        except psutil.NoSuchProcess:
            return None
        return identity if identity.is_alive() else None

    def is_alive(self) -> bool:
        """Whether the process runs, or has ended but still has threads that hold its files."""
        process = self._process()
        if process is None:
            return False
        try:
            if process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return True
            # A dead process whose threads still end keeps its ports and files as long as they do.
            is_ending = process.num_threads() > 1
        except psutil.NoSuchProcess:
            return False
        if not is_ending:
            reap(self.pid)
        return is_ending

    def signal(self, number: int) -> None:
        """Send a signal to this process, and to no other that has its pid by now."""
        if self.is_alive() and (process := self._process()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def descendants(self) -> "list[Identity]":
        """All that it started and what those started, also those with a session of their own."""
        process = self._process()
        if process is None:
            return []
        found = [each.pid for each in process.children(recursive=True)]
        return [*filter(None, map(Identity.of, found))]

    def _process(self) -> psutil.Process | None:
        """The process of this pid, if it is this one still."""
        try:
            process = psutil.Process(self.pid)
            return process if _born(process) == self.born else None
        except psutil.NoSuchProcess:
            return None


def reap(pid: int) -> None:
    """Free the pid of a dead child of ours; a child of another process is left to that one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _born(process: psutil.Process) -> float:
    return round(process.create_time() - psutil.boot_time(), 2)
