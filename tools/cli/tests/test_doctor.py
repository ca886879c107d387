"""What the doctor finds in what was seen, and the next step it names."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cli.diagnosis import diagnose
from cli.diagnosis.observations import BrokerObservation, Observations, QueueObservation, Severity
from cli.diagnosis.queues import BACKLOG
from shared.kernel import outage_causes
from shared.kernel.admin.schemas import (
    DatabaseState,
    LongStatement,
    OutboxState,
    RelayState,
    SealedOut,
)

from .observations import CHECKS, QUEUE, queues, seen, service, status, with_queues, with_status


def test_where_nothing_is_wrong_nothing_is_found():
    assert diagnose(seen()) == []


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
OLD_EVENTS = OutboxState(pending=4, oldest_seconds=95, last_errors=["TimeoutError"])
QUARANTINED = OutboxState(quarantined=2, last_errors=["TooLarge"])
AHEAD = DatabaseState(answers=True, clock_skew_seconds=3.5)
NO_DATABASE = {**CHECKS, "database": False}
NOT_CONSUMING = {**CHECKS, "consumers": False}
PAUSED = {**CHECKS, "not_paused": False}
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
LAST_RUN = "taawon_relay_last_run_timestamp_seconds"


def of_audience(**measured: float) -> Observations:
    """Notifications measures this of itself; what follows `__` is the label `channel`."""
    values = {re.sub("__(.*)", r"{channel=\1}", name): value for name, value in measured.items()}
    return seen(service(name="notifications", status=status(measured=values)))


def of_notifications(counts: dict[str, int], **names: list[str]) -> Observations:
    return seen(service(name="notifications", status=status(counts=counts, names=names)))


def versions(there: float, here: float) -> Observations:
    registry, audience = (
        service(name=name, status=status(measured={metric: value}))
        for name, metric, value in (
            ("registry", "taawon_register_versions", there),
            ("notifications", "taawon_audience_versions", here),
        )
    )
    return seen(registry, audience)


CASES = {
    "queues of partners dropped events": (
        of_notifications({"feed_gaps": 7, "held": 0}, feed_gaps=["fm5", "indh"]),
        (WARNING, "feed-gaps", "of fm5, indh lack 7 events", "taawon partner ledger fm5"),
    ),
    "alerts are held back": (
        of_notifications({"held": 2}, held=["everything", "0d9c8f9e"]),
        (INFO, "held-back", "2 decisions keep alerts back until", None),
    ),
    "nobody was alerted of a subject": (
        of_audience(taawon_subjects_without_fanout=1),
        (
            ERROR,
            "subject-without-fanout",
            "1 open ideas or calls",
            "taawon dead-letters list notif",
        ),
    ),
    "the audience has not received everything": (
        versions(70_000, 69_990),
        (WARNING, "audience-behind", "10 changes of the register", "taawon status"),
    ),
    "a backfill waits": (
        of_audience(taawon_backfill_waiting_cooperatives=3),
        (WARNING, "backfill-waits", "3 changed cooperatives", None),
    ),
    "nobody makes the partner queues": (
        of_audience(taawon_partner_queues_oldest_request_age_seconds=121),
        (
            WARNING,
            "partner-queue-not-made",
            "waited 121 s to be made",
            "docker compose logs",
        ),
    ),
    "entries of feeds wait": (
        of_audience(taawon_feed_oldest_age_seconds__amqp=301, taawon_feed_waiting_entries__amqp=4),
        (WARNING, "feed-behind", "4 events wait for the queues of partners", None),
    ),
    "a service lives and hangs": (
        seen(service(checks={}, unready="no answer", status=None, refused="no answer")),
        (ERROR, "readiness-unknown", "whether it is ready: no answer", "tail -n 50 /run/masonry"),
    ),
    "a service fails to report": (
        seen(service(status=None, refused="503 the database is away")),
        (ERROR, "status-failed", "503 the database is away", "tail -n 50 /run/masonry.log"),
    ),
    "no token is given": (
        seen(service(status=None, refused="no token is given", wants_token=True)),
        (WARNING, "status-unknown", "no token is given", None),
    ),
    "not all services are named": (
        seen(not_named=("funding",)),
        (INFO, "not-looked-at", "funding and their queues were not looked at", None),
    ),
    "the schema was never made": (
        with_status(revision=None, outbox=None),
        (ERROR, "schema-behind", "was never made, its program is at walls", "taawon migrate"),
    ),
    "the schema is of a newer program": (
        with_status(revision="roofs", revision_known=False),
        (INFO, "schema-ahead", "is at roofs, which is newer than its program (walls)", None),
    ),
    "the schema is of another service": (
        with_status(revision="roofs", revision_known=False, outbox=None),
        (ERROR, "schema-behind", "is at roofs, its program is at walls", None),
    ),
    "the relay does not look at its outbox": (
        with_status(at=NOON, measured={LAST_RUN: NOON.timestamp() - 61}),
        (ERROR, "relay-still", "has not looked at its outbox for 61 s", None),
    ),
    "a statement runs for long": (
        with_status(
            long_statements=[
                LongStatement(seconds=31.4, waits_for_lock=False, statement="WITH last AS (SELECT")
            ]
        ),
        (WARNING, "statement-long", "of masonry has run for 31 s: WITH last AS", None),
    ),
    "a statement waits for a lock": (
        with_status(
            long_statements=[
                LongStatement(seconds=45, waits_for_lock=True, statement="SELECT pg_adv")
            ]
        ),
        (WARNING, "statement-long", "has waited for a lock for 45 s: SELECT pg_adv", None),
    ),
    "a snapshot failed": (
        with_status(failed_replays=1),
        (WARNING, "replay-failed", "1 snapshots or replays of masonry failed", "curl -H"),
    ),
    "sealed values are not counted": (
        seen(service(not_counted="no answer")),
        (WARNING, "sealed-not-counted", "no answer", "taawon keys status masonry"),
    ),
    "services have different clocks": (
        seen(service(clock_ahead_seconds=-1.5), service(name="carpentry", clock_ahead_seconds=0.6)),
        (WARNING, "clocks-differ", "of carpentry is 2.1 s ahead of that of masonry", "timedatectl"),
    ),
    "the broker refuses the login": (
        seen(service(checks=NOT_CONSUMING, causes={"consumers": str(outage_causes.BROKER_LOGIN)})),
        (ERROR, "not-ready", "RabbitMQ refuses the login", "taawon broker users masonry"),
    ),
    "the broker lacks a queue": (
        seen(service(checks=NOT_CONSUMING, causes={"consumers": str(outage_causes.BROKER_QUEUES)})),
        (ERROR, "not-ready", "RabbitMQ lacks a queue", "taawon topology apply"),
    ),
    "the broker of this machine lacks a queue": (
        seen(
            service(checks=NOT_CONSUMING, causes={"consumers": str(outage_causes.BROKER_QUEUES)}),
            here=True,
        ),
        (ERROR, "not-ready", "RabbitMQ lacks a queue", "taawon up"),
    ),
    "a queue is missing on this machine": (
        replace(with_queues(consumer=None), here=True),
        (ERROR, "queue-missing", f"the queue {QUEUE} does not exist", "taawon up"),
    ),
    "a service is down": (
        seen(service(up=False, checks={}, status=None, last_line="TAAWON_SEAL_KEYS is not set")),
        (ERROR, "service-down", "TAAWON_SEAL_KEYS is not set", "tail -n 50 /run/masonry.log"),
    ),
    "a service elsewhere is down": (
        seen(service(up=False, checks={}, status=None, log=None)),
        (ERROR, "service-down", "http://masonry:8000", "curl -i http://masonry:8000/healthz"),
    ),
    "the database is away": (
        seen(service(checks=NO_DATABASE)),
        (ERROR, "not-ready", "the check database fails", "tail -n 50 /run/masonry.log"),
    ),
    "the database refuses the login": (
        seen(service(checks=NO_DATABASE, causes={"database": str(outage_causes.DATABASE_LOGIN)})),
        (ERROR, "not-ready", "database fails: PostgreSQL refuses the login", "tail -n 50"),
    ),
    "an alarm of the broker is on": (
        seen(broker=BrokerObservation(queues(), alarms=("memory at rabbit@one",))),
        (
            ERROR,
            "broker-alarm",
            "the memory alarm of rabbit@one is on",
            "rabbitmq-diagnostics alarms",
        ),
    ),
    "no consumer consumes": (
        seen(service(checks=NOT_CONSUMING)),
        (ERROR, "not-ready", "the check consumers fails", "tail -n 50 /run/masonry.log"),
    ),
    "a consumer is paused": (
        seen(service(checks=PAUSED)),
        (ERROR, "not-ready", "the check not_paused fails", "tail -n 50 /run/masonry.log"),
    ),
    "the token is refused": (
        seen(service(status=None, refused="403 this needs the role operator", wants_token=True)),
        (WARNING, "status-unknown", "403 this needs the role operator", None),
    ),
    "values rest under an old key": (
        seen(service(sealed=SealedOut(newest="n", keys=["n", "o"], stores={"t.c": {"o": 3}}))),
        (WARNING, "sealed-under-old-key", "3 values in t.c", "taawon keys rotate masonry"),
    ),
    "values open with no key": (
        seen(service(sealed=SealedOut(newest="n", keys=["n"], stores={"t": {"unreadable": 2}}))),
        (ERROR, "sealed-unreadable", "2 values in t of masonry", "taawon keys status masonry"),
    ),
    "the schema is behind": (
        with_status(newest_revision="roofs"),
        (ERROR, "schema-behind", "is at walls, its program is at roofs", "taawon migrate masonry"),
    ),
    "events do not leave": (
        with_status(outbox=OLD_EVENTS),
        (ERROR, "outbox-old", "has waited 95 s (TimeoutError)", "taawon status"),
    ),
    "events are quarantined": (
        with_status(outbox=QUARANTINED),
        (ERROR, "outbox-quarantined", "2 events of masonry are set aside", "taawon outbox"),
    ),
    "a batch hangs": (
        with_status(relay=RelayState(holds_lock=True, held_seconds=300)),
        (WARNING, "relay-stuck", "for 300 s", None),
    ),
    "dead letters wait": (
        with_status(dead_letters={QUEUE: 7}),
        (ERROR, "dead-letters", f"7 dead letters of {QUEUE}", "taawon dead-letters list masonry"),
    ),
    "clocks differ": (
        with_status(database=AHEAD),
        (WARNING, "clock-skew", "3.5 s ahead of that of masonry", "timedatectl"),
    ),
    "a sealing service has no key": (
        with_status(seals=False),
        (ERROR, "seal-keys-missing", "no key to personal fields", None),
    ),
    "the signing keys can't be read": (
        seen(signing_keys=None),
        (ERROR, "signing-keys", "can't be read", "curl -i http://registry/keys"),
    ),
    "there is no signing key": (
        seen(signing_keys=0),
        (ERROR, "signing-keys", "is empty", "curl -i http://registry/keys"),
    ),
    "the provisioner does not run": (
        seen(stopped=("partners-provisioner",)),
        (ERROR, "process-stopped", "partners-provisioner does not run", "taawon up"),
    ),
    "what starts the others again has died": (
        seen(stopped=("supervisor",)),
        (ERROR, "process-stopped", "what dies is not started again", "taawon up"),
    ),
    "a service ends again and again": (
        seen(crash_loops={"masonry": 7}),
        (ERROR, "crash-loop", "ended 7 times in a row", "tail -n 50 /run/masonry.log"),
    ),
    "no management API is known": (
        seen(broker=None),
        (INFO, "broker-not-asked", "queues were not looked at", None),
    ),
    "the management API does not answer": (
        seen(broker=BrokerObservation(trouble="connection refused")),
        (ERROR, "broker-unreachable", "connection refused", None),
    ),
    "a queue is missing": (
        with_queues(consumer=None),
        (ERROR, "queue-missing", f"the queue {QUEUE} does not exist", "taawon topology apply"),
    ),
    "the dead-letter queue is missing": (
        with_queues(dead=None),
        (ERROR, "queue-missing", f"the queue {QUEUE}.dead does not exist", "taawon topology apply"),
    ),
    "nobody consumes a queue": (
        with_queues(consumer=QueueObservation(QUEUE, 12, consumers=0)),
        (
            ERROR,
            "queue-without-consumer",
            f"nobody consumes {QUEUE}, which holds 12",
            "taawon status",
        ),
    ),
    "a queue grows": (
        with_queues(consumer=QueueObservation(QUEUE, BACKLOG + 1, consumers=1)),
        (WARNING, "queue-backlog", "holds 1001 messages", "taawon doctor"),
    ),
    "events had no consumer": (
        with_queues(unrouted=QueueObservation("taawon.unrouted", 5, consumers=0)),
        (INFO, "unrouted", "5 events", None),
    ),
    "messages wait for another attempt": (
        with_queues(retry=QueueObservation("taawon.retry-tier.5000ms", 2, consumers=0)),
        (WARNING, "retries-waiting", "2 messages wait in taawon.retry-tier.5000ms", None),
    ),
    "messages can't leave a retry tier": (
        with_queues(retry=QueueObservation("taawon.retry-tier.5000ms", consumers=0, leaving=40)),
        (ERROR, "retry-tier-stuck", "40 messages have waited", "taawon topology apply"),
    ),
    "a partner is behind": (
        seen(
            broker=BrokerObservation(queues(), (QueueObservation("partner.indh", 9, consumers=0),))
        ),
        (INFO, "partner-behind", "has not fetched 9 events", None),
    ),
}


@pytest.mark.parametrize(("observations", "wanted"), CASES.values(), ids=CASES)
def test_one_thing_is_wrong(
    observations: Observations, wanted: tuple[Severity, str, str, str | None]
):
    severity, code, what, command = wanted

    (found,) = diagnose(observations)

    assert (found.severity, found.code) == (severity, code)
    assert what in found.what
    assert len(found.next_step) > 10
    assert bool(found.command) == bool(command)
    assert (found.command or "").startswith(command or "")


def test_counts_that_are_not_known_yet_are_no_finding():
    observations = with_queues(consumer=QueueObservation(QUEUE, 12, consumers=None))

    assert diagnose(observations) == []


def test_a_database_that_is_away_is_said_once():
    away = status(
        revision=None,
        database=DatabaseState(answers=False),
        outbox=None,
        dead_letters=None,
        relay=None,
    )

    found = diagnose(seen(service(checks=NO_DATABASE, status=away)))

    assert [finding.code for finding in found] == ["not-ready"]


def test_a_registry_that_is_not_ready_is_mended_before_its_keys_are():
    away = service(name="registry", checks=NO_DATABASE)

    found = {each.code: each.next_step for each in diagnose(seen(away, signing_keys=None))}

    assert "mend what else is wrong with the registry" in found["signing-keys"]


def test_what_is_measured_within_its_limits_is_no_finding():
    quiet = of_audience(
        taawon_subjects_without_fanout=0,
        taawon_backfill_waiting_cooperatives=0,
        taawon_partner_queues_oldest_request_age_seconds=119,
        taawon_feed_oldest_age_seconds__amqp=299,
    )

    assert [*diagnose(quiet), *diagnose(versions(70_000, 70_000))] == []


def test_the_approval_of_everything_is_released_elsewhere_than_that_of_one_subject():
    steps = {
        held: diagnose(of_notifications({"held": 1}, held=[held]))[0].next_step
        for held in ("everything", "0d9c8f9e")
    }

    assert "release-everything" in steps["everything"]
    assert "ID" not in steps["everything"]
    assert "release | stop ID" in steps["0d9c8f9e"]


def test_the_worst_comes_first():
    observations = seen(
        service(status=status(database=AHEAD, outbox=OLD_EVENTS)),
        broker=BrokerObservation(queues(unrouted=QueueObservation("taawon.unrouted", 1))),
    )

    severities = [finding.severity for finding in diagnose(observations)]

    assert severities == [ERROR, WARNING, INFO]
