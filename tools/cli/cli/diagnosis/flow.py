"""What is wrong with events on their way out, and with messages that were given up."""

from __future__ import annotations

from collections.abc import Iterator

from .observations import Finding, Observations, Rule, Severity, known_statuses

OLD_SECONDS = 30.0
"""An event leaves within a second; one that waits this long does not leave by itself."""
STILL_SECONDS = 60.0
"""Longest time between two looks of a relay at its outbox."""
HELD_SECONDS = 60.0
"""Longest time that a batch may take: the broker is given ten seconds to confirm."""


def _outbox(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        outbox = status.outbox
        if outbox is None:
            continue
        why = f" ({', '.join(outbox.last_errors)})" if outbox.last_errors else ""
        if outbox.pending and outbox.oldest_seconds > OLD_SECONDS:
            yield Finding(
                Severity.ERROR,
                "outbox-old",
                name,
                f"{outbox.pending} events of {name} have not left; the oldest has waited"
                f" {outbox.oldest_seconds:.0f} s{why}",
                "check that RabbitMQ runs, takes the login of the service, and has every exchange"
                " and queue; the events leave by themselves then",
                f"taawon outbox list {name}" if outbox.quarantined else "taawon status",
            )
        if outbox.quarantined:
            yield _quarantined(name, outbox.quarantined, why)


def _quarantined(name: str, count: int, why: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "outbox-quarantined",
        name,
        f"{count} events of {name} are set aside because they can't be sent{why}",
        "see what they are and mend the cause; then `taawon outbox release` sends them again",
        f"taawon outbox list {name}",
    )


def _relay_stuck(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        held = status.relay.held_seconds if status.relay else None
        if held is not None and held > HELD_SECONDS:
            yield Finding(
                Severity.WARNING,
                "relay-stuck",
                name,
                f"the relay of {name} has held its lock for {held:.0f} s over one batch",
                "end the process that holds it and start it again; no event is lost by that",
            )


def _relay_still(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        last_run = status.measured.get("taawon_relay_last_run_timestamp_seconds")
        if not last_run or status.at is None or not status.database.answers:
            continue
        still = status.at.timestamp() - last_run
        if still > STILL_SECONDS:
            yield Finding(
                Severity.ERROR,
                "relay-still",
                name,
                f"the relay of {name} has not looked at its outbox for {still:.0f} s",
                "start the service again: the events wait in the outbox and leave then",
            )


def _failed_replays(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
        if status.failed_replays:
            yield Finding(
                Severity.WARNING,
                "replay-failed",
                name,
                f"{status.failed_replays} snapshots or replays of {name} failed, and nobody asked"
                " for them again",
                "GET /replays of the service says why and what was sent; ask for each once more,"
                " with `taawon snapshot` or `taawon replay`",
                'curl -H "Authorization: Bearer $TAAWON_OPERATOR_TOKEN"'
                f" {_url(seen, name)}/replays",
            )


def _url(seen: Observations, name: str) -> str:
    return next(one.url for one in seen.services if one.name == name)


def _dead_letters(seen: Observations) -> Iterator[Finding]:
    for name, status in known_statuses(seen):
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


RULES: tuple[Rule, ...] = (_outbox, _relay_stuck, _relay_still, _dead_letters, _failed_replays)
