"""What is wrong with services, their databases and their processes."""

from __future__ import annotations

from collections.abc import Iterator

from shared.sealing.places import UNREADABLE

from ..status import Status
from .seen import Finding, Observations, Rule, Severity

OLD_SECONDS = 30.0
"""A fact leaves within a second; one that waits this long does not leave by itself."""
SKEW_SECONDS = 2.0
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
COMMANDS = {"reactions": "taawon topology apply"}


def _services_not_ready(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        for check in (name for name, passed in one.checks.items() if not passed):
            cause, _, remedy = one.causes.get(check, "").partition("; ")
            advice = remedy or NOT_READY.get(check, "read its log")
            because = f": {cause}" if cause else ""
            log = f"tail -n 50 {one.log}" if one.log else f"curl {one.url}/readyz"
            yield Finding(
                Severity.ERROR,
                "not-ready",
                one.name,
                f"{one.name} is not ready: the check {check} fails{because}",
                advice,
                COMMANDS.get(check, log),
            )


def _status_unknown(seen: Observations) -> Iterator[Finding]:
    for one in seen.services:
        if one.up and one.status is None:
            yield Finding(
                Severity.WARNING,
                "status-unknown",
                one.name,
                f"{one.name} did not tell how it stands: {one.refused or 'no answer'}",
                "mend what is wrong with the registry, if anything is, or give the token of an"
                " operator: --token, or TAAWON_OPERATOR_TOKEN",
            )


def _told(seen: Observations) -> Iterator[tuple[str, Status]]:
    for one in seen.services:
        if one.status is not None:
            yield one.name, one.status


def _schema_behind(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        if not status.database.answers or status.revision == status.newest_revision:
            continue
        yield Finding(
            Severity.ERROR,
            "schema-behind",
            name,
            f"the schema of {name} is at {status.revision}, its program is at"
            f" {status.newest_revision}",
            "migrate its database (on this machine `make migrate` does so), then start the"
            " service again; a revision that the migration does not know is of a newer program:"
            " deploy that one",
            f"taawon migrate {name}",
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
                "check that RabbitMQ runs and that every queue exists; the facts leave by"
                " themselves then",
                "taawon topology apply",
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


def _feed_gaps(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        gaps = (status.counts or {}).get("feed_gaps", 0)
        if gaps:
            yield Finding(
                Severity.WARNING,
                "feed-gaps",
                name,
                f"queues of partners dropped {gaps} events that have not gone out again",
                "tell the partner: it reads them in its feed, or asks for them again with POST"
                " /doors/amqp/resend; the ledger says which, why and when",
                "taawon partner ledger <slug>",
            )


def _held_back(seen: Observations) -> Iterator[Finding]:
    for name, status in _told(seen):
        held = (status.counts or {}).get("held", 0)
        if held:
            yield Finding(
                Severity.INFO,
                "held-back",
                name,
                f"{held} decisions keep alerts back until a person releases or stops them",
                "look at each subject's totals, then release or stop it: PUT /subjects/{id}/hold",
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
        for place, counts in (one.sealed.places if one.sealed else {}).items():
            if unreadable := counts.get(UNREADABLE, 0):
                yield Finding(
                    Severity.ERROR,
                    "sealed-unreadable",
                    one.name,
                    f"{unreadable} values in {place} of {one.name} open with no key",
                    "put the key that was removed back at the end of TAAWON_SEAL_KEYS, then seal"
                    " everything anew before it goes; without that key these values are lost",
                    f"taawon keys status {one.name}",
                )
            old = counts.keys() - {UNREADABLE, one.sealed.newest if one.sealed else ""}
            if count := sum(counts[key] for key in old):
                yield Finding(
                    Severity.WARNING,
                    "sealed-under-old-key",
                    one.name,
                    f"{count} values in {place} of {one.name} rest under {', '.join(sorted(old))},"
                    " which is not the newest key",
                    "seal them anew; the command wants the settings of the service",
                    f"taawon keys rotate {one.name}",
                )


def _signing_keys(seen: Observations) -> Iterator[Finding]:
    if seen.keys_url is None or seen.signing_keys:
        return
    state = "can't be read" if seen.signing_keys is None else "is empty"
    yield Finding(
        Severity.ERROR,
        "signing-keys",
        "registry",
        f"the list of signing keys at {seen.keys_url} {state}: no token will be accepted",
        "start the registry again; it makes a key where there is none",
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
    _status_unknown,
    _schema_behind,
    _outbox,
    _relay_stuck,
    _dead_letters,
    _seal_keys,
    _sealed_values,
    _signing_keys,
    _stopped,
    _clock_skew,
    _feed_gaps,
    _held_back,
)
