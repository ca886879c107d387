"""What is wrong with services, their databases and their processes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.kernel.admin.schemas import Status

from .observations import Finding, Observations, Rule, ServiceObservation, Severity, known_statuses

SKEW_SECONDS = 2.0
"""Largest difference of two clocks that is no finding."""


def _services_down(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.up:
            continue
        last = f"; the last line of its log: {one.last_line}" if one.last_line else ""
        yield Finding(
            Severity.ERROR,
            "service-down",
            one.name,
            f"{one.name} does not answer at {one.url}{last}",
            "read the end of its log, then start it again with `taawon up`"
            if one.log
            else "check that the process runs and that the URL is right",
            f"tail -n 50 {one.log}" if one.log else f"curl -i {one.url}/healthz",
        )


NOT_READY = {
    "database": "its database does not answer: check that PostgreSQL runs and takes its login",
    "consumers": "its consumers consume nothing: check that RabbitMQ runs and has the queues",
    "not_paused": "a consumer waits for something that is away and goes on by itself once it is"
    " back: look which, in the log",
}
_COMMAND = re.compile(r"`([^`]+)`")
MENDED_BY_UP = ("taawon topology apply", "taawon broker users", "taawon migrate")
"""Where `taawon up` started the system, it does all of that again, with the credentials it has."""

OF_ONE_SERVICE = ("taawon broker users", "taawon migrate")


def _services_not_ready(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        for check in (name for name, passed in one.checks.items() if not passed):
            cause, _, remedy = one.causes.get(check, "").partition("; ")
            advice = remedy or NOT_READY.get(check, "read its log")
            because = f": {cause}" if cause else ""
            yield Finding(
                Severity.ERROR,
                "not-ready",
                one.name,
                f"{one.name} is not ready: the check {check} fails{because}",
                advice,
                _remedy(remedy, one, here=seen.here),
            )


def _remedy(remedy: str, one: ServiceObservation, *, here: bool) -> str:
    """The command that the remedy names; where the cause is not known, a look at the log."""
    if found := _COMMAND.search(remedy):
        if here and found[1] in MENDED_BY_UP:
            return "taawon up"
        return f"{found[1]} {one.name}" if found[1] in OF_ONE_SERVICE else found[1]
    return f"tail -n 50 {one.log}" if one.log else f"curl {one.url}/readyz"


def _silent_about_readiness(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.up and not one.checks:
            yield Finding(
                Severity.ERROR,
                "readiness-unknown",
                one.name,
                f"{one.name} lives, but does not say whether it is ready: {one.unready}",
                "see whether its database hangs (a full disk, locks, no connection left):"
                " see PostgreSQL's log and pg_stat_activity; then read the log of the service",
                f"tail -n 50 {one.log}" if one.log else f"curl -i {one.url}/readyz",
            )


def _status_unknown(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.status is not None or not one.up:
            continue
        said = f"{one.name} did not report how it stands: {one.refused or 'no answer'}"
        if one.wants_token:
            yield Finding(
                Severity.WARNING,
                "status-unknown",
                one.name,
                said,
                "mend what is wrong with the registry, if anything is, or give the token of an"
                " operator: --token, or TAAWON_OPERATOR_TOKEN",
            )
        elif one.checks:  # else it hangs as a whole, which is said already
            yield Finding(
                Severity.ERROR,
                "status-failed",
                one.name,
                said,
                "look for `request failed` in its log: the line has the place and the cause",
                f"tail -n 50 {one.log}" if one.log else f"curl -i {one.url}/readyz",
            )


def _not_named(seen: Observations) -> Iterator[Finding]:
    if seen.not_named:
        named = " ".join(f"--url {name}=http://…" for name in seen.not_named)
        yield Finding(
            Severity.INFO,
            "not-looked-at",
            "services",
            f"{', '.join(seen.not_named)} and their queues were not looked at",
            f"name them as well: {named}",
        )


def _schema(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        if not status.database.answers or status.revision == status.newest_revision:
            continue
        if not status.revision_known and status.outbox is not None:
            yield _ahead(name, status)
        else:
            yield _behind(name, status, here=seen.here)


def _behind(name: str, status: Status, *, here: bool) -> Finding:
    at = f"is at {status.revision}" if status.revision else "was never made"
    return Finding(
        Severity.ERROR,
        "schema-behind",
        name,
        f"the schema of {name} {at}, its program is at {status.newest_revision}",
        "migrate its database; the service needs no new start"
        if status.revision_known
        else "give it the database that belongs to it, or the program that belongs to the schema",
        ("taawon up" if here else f"taawon migrate {name}") if status.revision_known else None,
    )


def _ahead(name: str, status: Status) -> Finding:
    return Finding(
        Severity.INFO,
        "schema-ahead",
        name,
        f"the schema of {name} is at {status.revision}, which is newer than its program"
        f" ({status.newest_revision})",
        "nothing, while you go back to an earlier program on purpose; else deploy the newer one",
    )


def _clock_skew(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        skew = status.database.clock_skew_seconds
        if skew is not None and abs(skew) > SKEW_SECONDS:
            yield Finding(
                Severity.WARNING,
                "clock-skew",
                name,
                f"the clock of the database is {abs(skew):.1f} s"
                f" {'ahead of' if skew > 0 else 'behind'} that of {name}",
                "set both clocks by the same time server: deadlines and tokens rely on them",
                "timedatectl status",
            )


def _long_statements(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        for each in status.long_statements or ():
            doing = "has waited for a lock" if each.waits_for_lock else "has run"
            yield Finding(
                Severity.WARNING,
                "statement-long",
                name,
                f"a statement of {name} {doing} for {each.seconds:.0f} s: {each.statement}",
                "see in pg_stat_activity whether it still runs, and in pg_blocking_pids who holds"
                " its lock; where it runs on, its plan is wrong: ANALYZE the tables that it names,"
                " and report it with its plan",
            )


def _clocks_differ(seen: Observations) -> Iterator[Finding]:
    """Compares the services: the clock of the machine that looks may be wrong itself."""
    offsets = [(one.clock_ahead_seconds, one.name) for one in seen.services
            if one.clock_ahead_seconds is not None]  # fmt: skip
    if not offsets:
        return
    (behind, slow), (ahead, fast) = min(offsets), max(offsets)
    if ahead - behind > SKEW_SECONDS:
        yield Finding(
            Severity.WARNING,
            "clocks-differ",
            fast,
            f"the clock of {fast} is {ahead - behind:.1f} s ahead of that of {slow}",
            "set both machines by the same time server: deadlines and tokens rely on it",
            "timedatectl status",
        )


WITHOUT = {
    "partners-provisioner": "partner queues are neither made nor removed",
    "supervisor": "what dies is not started again",
}
"""What is missing while a process beside the services does not run."""


def _stopped(seen: Observations) -> Iterator[Finding]:
    for name in seen.stopped:
        yield Finding(
            Severity.ERROR,
            "process-stopped",
            name,
            f"the process {name} does not run: {WITHOUT[name]}",
            "start everything that does not run",
            "taawon up",
        )


def _crash_loops(seen: Observations) -> Iterator[Finding]:
    logs = {one.name: one.log for one in seen.services}
    for name, ends in seen.crash_loops.items():
        log = logs.get(name)
        yield Finding(
            Severity.ERROR,
            "crash-loop",
            name,
            f"{name} is in a crash loop: it has ended {ends} times in a row, soon after each start",
            "mend what the end of its log says; it is started again every minute",
            f"tail -n 50 {log}" if log else None,
        )


RULES: tuple[Rule, ...] = (
    _services_down,
    _services_not_ready,
    _silent_about_readiness,
    _status_unknown,
    _schema,
    _stopped,
    _crash_loops,
    _clock_skew,
    _clocks_differ,
    _long_statements,
    _not_named,
)
