"""Start a program that outlives us, and find, stop or kill it again from any other process."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .state import write_atomically

# A shell started in the background ignores these, and a child would inherit that.
HEARD_AGAIN = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)

DEAD = ("Z", "X")


class NotStarted(RuntimeError):
    """A program ended, or said nothing for too long, before it was ready."""


@dataclass(frozen=True)
class Identity:
    """A pid alone is handed out again; with the moment of its birth it names one process."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """None where no such process lives; one that is dead and not yet buried does not live."""
        state, born = _read_stat(pid)
        return cls(pid, born) if state not in DEAD else None

    def is_alive(self) -> bool:
        state, born = _read_stat(self.pid)
        if state == "Z" and born == self.born:
            _bury(self.pid)
        return state not in DEAD and born == self.born

    def signal(self, number: int) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


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
            kept = json.loads(self.record.read_text())
            identity = Identity(kept["pid"], kept["born"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return identity if identity.is_alive() else None

    @property
    def pid(self) -> int | None:
        identity = self.identity
        return identity.pid if identity else None

    def is_running(self) -> bool:
        return self.identity is not None

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> int:
        """The pid of the program; one that runs already is left as it is."""
        if self.pid is not None:
            return self.pid
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        pid = self._spawn(command, env, cwd or self.folder)
        self.adopt(pid)
        return pid

    def adopt(self, pid: int) -> None:
        """Record a process that somebody else started as this one."""
        identity = Identity.of(pid)
        if identity is None:
            _bury(pid)
            raise NotStarted(f"{self.name} ended at once.\n{self.log_tail()}")
        record = {"pid": identity.pid, "born": identity.born}
        write_atomically(self.record, json.dumps(record))

    def wait_for(self, ready: Callable[[], bool], *, within: float) -> None:
        """Until ready() holds; a program that ends first, or takes longer, shows its last lines."""
        if not wait_until(lambda: ready() or not self.is_running(), within=within):
            raise NotStarted(f"{self.name} is not ready after {within:g} s.\n{self.log_tail()}")
        if not self.is_running():
            raise NotStarted(f"{self.name} ended before it was ready.\n{self.log_tail()}")

    def stop(self, grace: float = 10.0, *, by: int = signal.SIGTERM) -> None:
        """Ask it to end, then what it started and left behind; when the grace is over, end all."""
        family = self._family()
        # A server knows best how to end its children, so they are asked only once it is gone.
        if _end(family[:1], by, within=grace):
            _end(family[1:], by, within=grace)
        _kill(family)
        self.record.unlink(missing_ok=True)

    def kill9(self) -> None:
        """As a power cut would: no chance to save anything, for it and all that it started."""
        _kill(self._family())
        self.record.unlink(missing_ok=True)

    def log_tail(self, lines: int = 20) -> str:
        """The end of the log, for people who ask why it did not start."""
        if not self.log.exists():
            return f"({self.log} was not written)"
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join([*text[-lines:], f"(from {self.log})"])

    def _spawn(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
        # Not subprocess: its Popen warns about a child that is meant to outlive it.
        into_log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", 'cd -- "$0" && exec "$@"', str(cwd), *command],
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), into_log, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=HEARD_AGAIN,
        )

    def _family(self) -> list[Identity]:
        """The process first, then all that descend from it, also those with a session of theirs."""
        eldest = self.identity
        if eldest is None:
            return []
        family = [eldest.pid]
        children = _children()
        for pid in family:
            family += children.get(pid, [])
        return [eldest, *filter(None, map(Identity.of, family[1:]))]


def wait_until(holds: Callable[[], bool], *, within: float, every: float = 0.05) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def _bury(pid: int) -> None:
    """A dead child keeps its pid until its parent asks for it; others bury their own."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _all_gone(family: Sequence[Identity]) -> bool:
    return not any([member.is_alive() for member in family])


def _end(members: Sequence[Identity], by: int, *, within: float) -> bool:
    for member in members:
        member.signal(by)
    return wait_until(lambda: _all_gone(members), within=within)


def _kill(family: Sequence[Identity]) -> None:
    if not _end(family, signal.SIGKILL, within=60):
        alive = [member.pid for member in family if member.is_alive()]
        raise RuntimeError(f"processes {alive} do not end, not even when killed")


def _read_stat(pid: int) -> tuple[str, str]:
    """State and birth of a process; a boot has a name of its own, as clocks start anew with it."""
    fields = _stat_fields(pid)
    if fields is None:
        return "X", ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # A dead process whose threads still end keeps its ports and files as long as they do.
    state = "ending" if fields[0] == "Z" and _has_threads(pid) else fields[0]
    return state, f"{boot}:{fields[19]}"


def _has_threads(pid: int) -> bool:
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def _stat_fields(pid: int) -> list[str] | None:
    try:
        # The name in parentheses may hold spaces, so the fields count from its end.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _stat_fields(int(entry.name)) if entry.name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children
