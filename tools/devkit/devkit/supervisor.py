"""Starts again what dies of what `taawon up` runs: services, the provisioner, private servers."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event

from shared import json_text
from shared.kernel import heartbeat

from .nodes import broker_for, postgres_for
from .processes import Process
from .stack import Say, Stack
from .stack_layout import PROVISIONER, SERVICES
from .state import write_atomically

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
CALM_SECONDS = 60.0
"""What ends a process after so long is a new matter, and no crash loop."""
LOOP_ENDS = 5
"""So many ends in a row, none of them after a calm time, are a crash loop."""
LAST_LINES = 20
LOOK_SECONDS = 0.5


@dataclass
class Restarts:
    """The ends of one process in a row. Times are seconds of the monotonic clock."""

    started_at: float
    ends: int = 0

    def ended(self, now: float) -> float:
        """Count an end; the pause until the next start, twice as long each time."""
        if self.is_calm(now):
            self.ends = 0
        self.ends += 1
        pause: float = FIRST_PAUSE * 2 ** min(self.ends - 1, 16)
        return min(pause, LONGEST_PAUSE)

    def is_calm(self, now: float) -> bool:
        """Whether it has run for so long that it has come up."""
        return now - self.started_at >= CALM_SECONDS

    @property
    def is_crash_loop(self) -> bool:
        """Whether it ends again and again, soon after each start."""
        return self.ends >= LOOP_ENDS


@dataclass
class Supervised:
    """One process, and how it is started again; `start_at` is when, once it has ended.

    Dead is a process whose record is there and names nobody alive: who ends one on purpose removes
    its record (`Process.stop`).
    """

    process: Process
    start: Callable[[], object]
    heartbeat_file: Path | None = None
    frozen_seconds: float = heartbeat.DEFAULT_SECONDS
    stillness: heartbeat.Stillness = field(default_factory=heartbeat.Stillness)
    restarts: Restarts = field(default_factory=lambda: Restarts(time.monotonic()))
    start_at: float | None = None
    is_refused: bool = False
    """Whether the last start failed, which may have removed the record."""

    @property
    def name(self) -> str:
        """The name of the process."""
        return self.process.name

    def is_dead(self) -> bool:
        """Whether it should run and does not."""
        is_wanted = self.is_refused or self.process.record.exists()
        return is_wanted and not self.process.is_running()

    def is_frozen(self) -> bool:
        """Whether its heartbeat has stood still for too long; one without any is never frozen."""
        if self.heartbeat_file is None:
            return False
        now = time.monotonic()
        self.stillness = self.stillness.after(heartbeat.read(self.heartbeat_file), now)
        return self.stillness.is_frozen(now, self.frozen_seconds)

    def has_ended(self) -> float:
        """Count an end, and wait for the next start; how many seconds."""
        now = time.monotonic()
        pause = self.restarts.ended(now)
        self.start_at = now + pause
        return pause

    def begin(self) -> None:
        """Start it; raises what made that fail."""
        self.start_at, self.is_refused = None, True
        self.restarts.started_at = time.monotonic()
        self.start()
        self.is_refused = False


@dataclass
class Supervisor:
    """Looks at everything until it is `over`; what it sees and does is said.

    `report` is the file that names the processes in a crash loop, for who looks from outside.
    """

    supervised: Sequence[Supervised]
    say: Say
    report: Path
    over: Event = field(default_factory=Event)

    def run(self) -> None:
        """Look again and again until `over` is set."""
        self.say(f"supervises {', '.join(one.name for one in self.supervised)}")
        self._write_report()
        while not self.over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Say what has ended, and start what has waited long enough."""
        for one in self.supervised:
            if self.over.is_set():
                return
            if not one.is_dead():
                self._look_at_living(one)
            elif one.start_at is None:
                self._say_end(one)
            elif time.monotonic() >= one.start_at:
                self._start(one)

    def _look_at_living(self, one: Supervised) -> None:
        one.start_at = None
        if one.is_frozen() and (identity := one.process.identity):
            self.say(f"{one.name} is frozen, and is killed")
            identity.signal(signal.SIGKILL)
        if one.restarts.ends and one.restarts.is_calm(time.monotonic()):
            one.restarts.ends = 0
            self._write_report()

    def _say_end(self, one: Supervised) -> None:
        lived = time.monotonic() - one.restarts.started_at
        self._wait_for_start(one, f"{one.name} has ended after {lived:.0f} s")
        self.say(f"the end of its log:\n{one.process.log_tail(LAST_LINES)}")

    def _start(self, one: Supervised) -> None:
        try:
            one.begin()
        except Exception as error:  # whatever it is, the others are still looked after
            self._wait_for_start(one, f"{one.name} can't be started: {error}")
        else:
            self.say(f"{one.name} is started again")

    def _wait_for_start(self, one: Supervised, what: str) -> None:
        pause = one.has_ended()
        self.say(f"{what}; it is started again in {pause:g} s")
        if one.restarts.is_crash_loop:
            self.say(
                f"{one.name} is in a crash loop: it has ended {one.restarts.ends} times in a row,"
                f" each time within {CALM_SECONDS:g} s. Mend what its log says"
            )
        self._write_report()

    def _write_report(self) -> None:
        loops = {
            one.name: one.restarts.ends for one in self.supervised if one.restarts.is_crash_loop
        }
        write_atomically(self.report, json_text.dumps(loops))


def supervisor_of(stack: Stack, say: Say) -> Supervisor:
    """Supervises what runs in the folder of this stack."""
    starts = {"postgres": postgres_for, "rabbitmq": broker_for}
    servers = [
        Supervised(stack.server(name), partial(start, stack.folder / name))
        for name, start in starts.items()
    ]
    services = [
        Supervised(stack.process(name), partial(stack.launch, name), stack.heartbeat_file(name))
        for name in (*SERVICES, PROVISIONER)
    ]
    return Supervisor([*servers, *services], say, stack.crash_loop_report)


def _say_with_time(text: str) -> None:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    sys.stdout.write(f"{now} {text}\n")
    sys.stdout.flush()


def main() -> None:
    """Supervise the stack of the folder that is given, until SIGTERM."""
    supervisor = supervisor_of(Stack(Path(sys.argv[1])), _say_with_time)
    # Not in the middle of a start: a process that nobody has recorded could not be stopped.
    signal.signal(signal.SIGTERM, lambda *_: supervisor.over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor.run()


if __name__ == "__main__":
    main()
