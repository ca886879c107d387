"""What is wrong with services, their databases and their processes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..told import Status
from .seen import Finding, Observations, Rule, ServiceSeen, Severity

OLD_SECONDS = 30.0
"""A fact leaves within a second; one that waits this long does not leave by itself."""
SKEW_SECONDS = 2.0
STILL_SECONDS = 60.0
HELD_SECONDS = 60.0
"""Longest time that a batch may take: the broker is given ten seconds to confirm."""


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
    "reactions": "its reactions listen to nothing: check that RabbitMQ runs and has the queues",
    "not_paused": "a reaction waits for something that is away and goes on by itself once it is"
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


def _remedy(remedy: str, one: ServiceSeen, *, here: bool) -> str:
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
                " PostgreSQL's log and pg_stat_activity tell; then read the log of the service",
                f"tail -n 50 {one.log}" if one.log else f"curl -i {one.url}/readyz",
            )


def _status_unknown(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.status is not None or not one.up:
            continue
        said = f"{one.name} did not tell how it stands: {one.refused or 'no answer'}"
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


def _told(seen: Observations) -> Iterator[tuple[str, Status]]:
    for one in seen.services:
        if one.status is not None:
            yield one.name, one.status


def _schema(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
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


def _outbox(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        outbox = status.outbox
        if outbox is None:
            continue
        why = f" ({', '.join(outbox.last_errors)})" if outbox.last_errors else ""
        if outbox.pending and outbox.oldest_seconds > OLD_SECONDS:
            yield Finding(
                Severity.ERROR,
                "outbox-old",
                name,
                f"{outbox.pending} facts of {name} have not left; the oldest has waited"
                f" {outbox.oldest_seconds:.0f} s{why}",
                "check that RabbitMQ runs, takes the login of the service, and has every exchange"
                " and queue; the facts leave by themselves then",
                f"taawon outbox list {name}" if outbox.parked else "taawon status",
            )
        if outbox.parked:
            yield _parked(name, outbox.parked, why)


def _parked(name: str, count: int, why: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "outbox-parked",
        name,
        f"{count} facts of {name} are set aside because they can't be sent{why}",
        "see what they are and mend the cause; then `taawon outbox release` sends them again",
        f"taawon outbox list {name}",
    )


def _relay_stuck(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        held = status.relay.held_seconds if status.relay else None
        if held is not None and held > HELD_SECONDS:
            yield Finding(
                Severity.WARNING,
                "relay-stuck",
                name,
                f"the relay of {name} has held its lock for {held:.0f} s over one batch",
                "end the process that holds it and start it again; no fact is lost by that",
            )


def _relay_still(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        turned = status.measured.get("taawon_relay_turned_timestamp_seconds")
        if not turned or status.at is None or not status.database.answers:
            continue
        still = status.at.timestamp() - turned
        if still > STILL_SECONDS:
            yield Finding(
                Severity.ERROR,
                "relay-still",
                name,
                f"the relay of {name} has not looked at its outbox for {still:.0f} s",
                "start the service again: the facts wait in the outbox and leave then",
            )


def _failed_resends(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        if status.failed_resends:
            yield Finding(
                Severity.WARNING,
                "resend-failed",
                name,
                f"{status.failed_resends} snapshots or replays of {name} failed, and nobody asked"
                " for them again",
                "GET /resends of the service says why and what was sent; ask for each once more,"
                " with `taawon snapshot` or `taawon replay`",
                'curl -H "Authorization: Bearer $TAAWON_OPERATOR_TOKEN"'
                f" {_url(seen, name)}/resends",
            )


def _url(seen: Observations, name: str) -> str:
    return next(one.url for one in seen.services if one.name == name)


def _dead_letters(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        for queue, count in (status.dead_letters or {}).items():
            yield Finding(
                Severity.ERROR,
                "dead-letters",
                queue,
                f"{count} dead letters of {queue} wait for a decision",
                "read the error of each, mend its cause, then redrive or drop it; the command wants"
                f" the settings of {name}",
                f"taawon dead-letters list {name}",
            )


def _clock_skew(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
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


def _clocks_differ(seen: Observations) -> Iterator[Finding]:
    """Between the services: that of the machine that looks may be wrong itself."""
    told = [(one.clock_ahead_seconds, one.name) for one in seen.services
            if one.clock_ahead_seconds is not None]  # fmt: skip
    if not told:
        return
    (behind, slow), (ahead, fast) = min(told), max(told)
    if ahead - behind > SKEW_SECONDS:
        yield Finding(
            Severity.WARNING,
            "clocks-differ",
            fast,
            f"the clock of {fast} is {ahead - behind:.1f} s ahead of that of {slow}",
            "set both machines by the same time server: deadlines and tokens rely on it",
            "timedatectl status",
        )


def _seal_keys(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        if name in seen.sealing and not status.seals:
            yield Finding(
                Severity.ERROR,
                "seal-keys-missing",
                name,
                f"{name} has no key to personal fields",
                "set TAAWON_SEAL_KEYS to the keys that all sealing services share, then start it"
                " again",
            )


def _sealed_values(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.not_counted is not None and one.status is not None:
            yield Finding(
                Severity.WARNING,
                "sealed-not-counted",
                one.name,
                f"{one.name} did not tell under which keys its values rest: {one.not_counted}",
                "count them where there is no limit of seconds",
                f"taawon keys status {one.name}",
            )
        for place, counts in (one.sealed.places if one.sealed else {}).items():
            yield from _sealed_in(place, counts, one)


def _sealed_in(place: str, counts: dict[str, int], one: ServiceSeen) -> Iterator[Finding]:
    assert one.sealed is not None
    openable = set(one.sealed.keys)
    if unreadable := sum(counts[key] for key in counts.keys() - openable):
        yield Finding(
            Severity.ERROR,
            "sealed-unreadable",
            one.name,
            f"{unreadable} values in {place} of {one.name} open with no key",
            "put the key that was removed back at the end of TAAWON_SEAL_KEYS, then seal"
            " everything anew before it goes; without that key these values are lost",
            f"taawon keys status {one.name}",
        )
    old = [key for key in sorted(openable - {one.sealed.newest}) if counts.get(key)]
    if old:
        yield Finding(
            Severity.WARNING,
            "sealed-under-old-key",
            one.name,
            f"{sum(counts[key] for key in old)} values in {place} of {one.name} rest under"
            f" {', '.join(old)}, which is not the newest key",
            "seal them anew; the command wants the settings of the service",
            f"taawon keys rotate {one.name}",
        )


def _signing_keys(seen: Observations) -> Iterator[Finding]:
    if seen.keys_url is None or seen.signing_keys:
        return
    state = "can't be read" if seen.signing_keys is None else "is empty"
    works = all(one.checks and all(one.checks.values()) for one in seen.services
                if one.name == "registry")  # fmt: skip
    yield Finding(
        Severity.ERROR,
        "signing-keys",
        "registry",
        f"the list of signing keys at {seen.keys_url} {state}: no token will be accepted",
        "start the registry again; it makes a key where there is none"
        if works
        else "mend what else is wrong with the registry: it tells its keys again then",
        f"curl -i {seen.keys_url}",
    )


def _stopped(seen: Observations) -> Iterator[Finding]:
    for name in seen.stopped:
        yield Finding(
            Severity.ERROR,
            "process-stopped",
            name,
            f"the process {name} does not run: doors of partners are neither opened nor shut",
            "start everything that does not run",
            "taawon up",
        )


RULES: tuple[Rule, ...] = (
    _services_down,
    _services_not_ready,
    _silent_about_readiness,
    _status_unknown,
    _schema,
    _outbox,
    _relay_stuck,
    _relay_still,
    _dead_letters,
    _seal_keys,
    _sealed_values,
    _signing_keys,
    _stopped,
    _clock_skew,
    _clocks_differ,
    _failed_resends,
    _not_named,
)
