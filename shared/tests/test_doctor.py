"""What the doctor finds in what was seen, the next step it names, and the way of an event."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from shared import causes, cli
from shared.commands import trace as trace_command
from shared.errors import Invalid, NotFound
from shared.local.places import Place
from shared.operations import observe as observe_module
from shared.operations.diagnosis import (
    BrokerSeen,
    Observations,
    QueueSeen,
    ServiceSeen,
    Severity,
    diagnose,
)
from shared.operations.diagnosis.queues import BACKLOG
from shared.operations.doors import Answer, Doors
from shared.operations.observe import reactions_of
from shared.operations.timeline import follow, steps
from shared.operations.told import (
    DatabaseState,
    Died,
    Fact,
    Handed,
    OutboxState,
    ReactionsState,
    RelayState,
    SealedOut,
    Status,
    Taken,
    Trace,
)

QUEUE = "masonry.lay_stones"
CHECKS = {"database": True, "reactions": True, "not_paused": True}


def status(**changes: Any) -> Status:
    healthy = Status(
        service="masonry",
        version="1.0",
        revision="walls",
        newest_revision="walls",
        database=DatabaseState(answers=True, clock_skew_seconds=0.01),
        outbox=OutboxState(pending=3, oldest_seconds=0.5),
        dead_letters={},
        reactions=ReactionsState(listening=True, paused=False, queues=[QUEUE]),
        relay=RelayState(holds_lock=True, held_seconds=0.01),
        seals=True,
    )
    return healthy.model_copy(update=changes)


def service(**changes: Any) -> ServiceSeen:
    healthy = ServiceSeen(
        "masonry", "http://masonry:8000", checks=CHECKS, status=status(), log="/run/masonry.log"
    )
    return replace(healthy, **changes)


def queues(**changes: QueueSeen | None) -> tuple[QueueSeen, ...]:
    healthy = {
        "reaction": QueueSeen(QUEUE, messages=10, consumers=1),
        "dead": QueueSeen(f"{QUEUE}.dead", consumers=1),
        "retry": QueueSeen("taawon.retry.5000ms", consumers=0),
        "unrouted": QueueSeen("taawon.unrouted", consumers=0),
    }
    return tuple(queue for queue in (healthy | changes).values() if queue is not None)


def seen(*services: ServiceSeen, **changes: Any) -> Observations:
    healthy = Observations(
        services or (service(),),
        reactions=(QUEUE,),
        broker=BrokerSeen(queues()),
        signing_keys=2,
        keys_url="http://registry/keys",
        sealing=frozenset({"masonry"}),
    )
    return replace(healthy, **changes)


def with_status(**changes: Any) -> Observations:
    return seen(service(status=status(**changes)))


def with_queues(**changes: QueueSeen | None) -> Observations:
    return seen(broker=BrokerSeen(queues(**changes)))


def test_where_nothing_is_wrong_nothing_is_found():
    assert diagnose(seen()) == []


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATE = OutboxState(pending=4, oldest_seconds=95, last_errors=["TimeoutError"])
PARKED = OutboxState(parked=2, last_errors=["TooLarge"])
AHEAD = DatabaseState(answers=True, clock_skew_seconds=3.5)
NO_DATABASE = {**CHECKS, "database": False}
DEAF = {**CHECKS, "reactions": False}
PAUSED = {**CHECKS, "not_paused": False}
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

TURNED = "taawon_relay_turned_timestamp_seconds"


def of_audience(**measured: float) -> Observations:
    """Notifications measures this of itself; `__` stands before the kind of a door."""
    told = {re.sub("__(.*)", r"{door=\1}", name): value for name, value in measured.items()}
    return seen(service(name="notifications", status=status(measured=told)))


def telling(counts: dict[str, int], **names: list[str]) -> Observations:
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
        telling({"feed_gaps": 7, "held": 0}, feed_gaps=["fm5", "indh"]),
        (WARNING, "feed-gaps", "of fm5, indh dropped 7 events", "taawon partner ledger fm5"),
    ),
    "alerts are held back": (
        telling({"held": 2}, held=["everything", "0d9c8f9e"]),
        (INFO, "held-back", "2 decisions keep alerts back until", None),
    ),
    "a subject was told to nobody": (
        of_audience(taawon_subjects_untold=1),
        (ERROR, "subject-untold", "1 open ideas or calls", "taawon dead-letters list notif"),
    ),
    "the audience has not heard everything": (
        versions(70_000, 69_990),
        (WARNING, "audience-behind", "10 changes of the register", "taawon status"),
    ),
    "late matches wait": (
        of_audience(taawon_late_waiting_cooperatives=3),
        (WARNING, "late-matches-wait", "3 changed cooperatives", None),
    ),
    "nobody makes the doors of partners": (
        of_audience(taawon_doors_oldest_request_age_seconds=121),
        (WARNING, "door-not-made", "waited 121 s for its queue", "docker compose logs"),
    ),
    "entries of feeds wait": (
        of_audience(taawon_feed_oldest_age_seconds__amqp=301, taawon_feed_waiting_entries__amqp=4),
        (WARNING, "feed-behind", "4 events wait for the queues of partners", None),
    ),
    "a service lives and hangs": (
        seen(service(checks={}, unready="no answer", status=None, refused="no answer")),
        (ERROR, "readiness-unknown", "whether it is ready: no answer", "tail -n 50 /run/masonry"),
    ),
    "a service fails to tell": (
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
    "the relay does not turn": (
        with_status(at=NOON, measured={TURNED: NOON.timestamp() - 61}),
        (ERROR, "relay-still", "has not looked at its outbox for 61 s", None),
    ),
    "a snapshot failed": (
        with_status(failed_resends=1),
        (WARNING, "resend-failed", "1 snapshots or replays of masonry failed", "curl -H"),
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
        seen(service(checks=DEAF, causes={"reactions": str(causes.BROKER_LOGIN)})),
        (ERROR, "not-ready", "RabbitMQ refuses the login", "taawon broker users masonry"),
    ),
    "the broker lacks a queue": (
        seen(service(checks=DEAF, causes={"reactions": str(causes.BROKER_QUEUES)})),
        (ERROR, "not-ready", "RabbitMQ lacks a queue", "taawon topology apply"),
    ),
    "the broker of this machine lacks a queue": (
        seen(service(checks=DEAF, causes={"reactions": str(causes.BROKER_QUEUES)}), here=True),
        (ERROR, "not-ready", "RabbitMQ lacks a queue", "taawon up"),
    ),
    "a queue is missing on this machine": (
        replace(with_queues(reaction=None), here=True),
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
        seen(service(checks=NO_DATABASE, causes={"database": str(causes.DATABASE_LOGIN)})),
        (ERROR, "not-ready", "database fails: PostgreSQL refuses the login", "tail -n 50"),
    ),
    "an alarm of the broker is on": (
        seen(broker=BrokerSeen(queues(), alarms=("memory at rabbit@one",))),
        (
            ERROR,
            "broker-alarm",
            "the memory alarm of rabbit@one is on",
            "rabbitmq-diagnostics alarms",
        ),
    ),
    "no reaction listens": (
        seen(service(checks=DEAF)),
        (ERROR, "not-ready", "the check reactions fails", "tail -n 50 /run/masonry.log"),
    ),
    "a reaction is paused": (
        seen(service(checks=PAUSED)),
        (ERROR, "not-ready", "the check not_paused fails", "tail -n 50 /run/masonry.log"),
    ),
    "the token is refused": (
        seen(service(status=None, refused="403 this needs the role operator", wants_token=True)),
        (WARNING, "status-unknown", "403 this needs the role operator", None),
    ),
    "values rest under an old key": (
        seen(service(sealed=SealedOut(newest="n", keys=["n", "o"], places={"t.c": {"o": 3}}))),
        (WARNING, "sealed-under-old-key", "3 values in t.c", "taawon keys rotate masonry"),
    ),
    "values open with no key": (
        seen(service(sealed=SealedOut(newest="n", keys=["n"], places={"t": {"unreadable": 2}}))),
        (ERROR, "sealed-unreadable", "2 values in t of masonry", "taawon keys status masonry"),
    ),
    "the schema is behind": (
        with_status(newest_revision="roofs"),
        (ERROR, "schema-behind", "is at walls, its program is at roofs", "taawon migrate masonry"),
    ),
    "facts do not leave": (
        with_status(outbox=LATE),
        (ERROR, "outbox-old", "has waited 95 s (TimeoutError)", "taawon status"),
    ),
    "facts are parked": (
        with_status(outbox=PARKED),
        (ERROR, "outbox-parked", "2 facts of masonry are set aside", "taawon outbox"),
    ),
    "a batch hangs": (
        with_status(relay=RelayState(holds_lock=True, held_seconds=300)),
        (WARNING, "relay-stuck", "for 300 s", None),
    ),
    "letters are dead": (
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
    "no management API is known": (
        seen(broker=None),
        (INFO, "broker-not-asked", "queues were not looked at", None),
    ),
    "the management API does not answer": (
        seen(broker=BrokerSeen(trouble="connection refused")),
        (ERROR, "broker-unreachable", "connection refused", None),
    ),
    "a queue is missing": (
        with_queues(reaction=None),
        (ERROR, "queue-missing", f"the queue {QUEUE} does not exist", "taawon topology apply"),
    ),
    "the queue of the dead is missing": (
        with_queues(dead=None),
        (ERROR, "queue-missing", f"the queue {QUEUE}.dead does not exist", "taawon topology apply"),
    ),
    "nobody listens to a queue": (
        with_queues(reaction=QueueSeen(QUEUE, 12, consumers=0)),
        (ERROR, "queue-unheard", f"nobody listens to {QUEUE}, which holds 12", "taawon status"),
    ),
    "a queue grows": (
        with_queues(reaction=QueueSeen(QUEUE, BACKLOG + 1, consumers=1)),
        (WARNING, "queue-backlog", "holds 1001 messages", "taawon doctor"),
    ),
    "facts had no listener": (
        with_queues(unrouted=QueueSeen("taawon.unrouted", 5, consumers=0)),
        (INFO, "unrouted", "5 facts", None),
    ),
    "messages wait for another attempt": (
        with_queues(retry=QueueSeen("taawon.retry.5000ms", 2, consumers=0)),
        (WARNING, "retries-waiting", "2 messages wait in taawon.retry.5000ms", None),
    ),
    "a partner is behind": (
        seen(broker=BrokerSeen(queues(), (QueueSeen("partner.indh", 9, consumers=0),))),
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
    observations = with_queues(reaction=QueueSeen(QUEUE, 12, consumers=None))

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
        taawon_subjects_untold=0,
        taawon_late_waiting_cooperatives=0,
        taawon_doors_oldest_request_age_seconds=119,
        taawon_feed_oldest_age_seconds__amqp=299,
    )

    assert [*diagnose(quiet), *diagnose(versions(70_000, 70_000))] == []


def test_the_hold_of_everything_is_released_elsewhere_than_that_of_one_subject():
    steps = {
        held: diagnose(telling({"held": 1}, held=[held]))[0].next_step
        for held in ("everything", "0d9c8f9e")
    }

    assert "PUT /hold" in steps["everything"]
    assert "/subjects" not in steps["everything"]
    assert "PUT /subjects/{id}/hold" in steps["0d9c8f9e"]


def test_the_worst_comes_first():
    observations = seen(
        service(status=status(database=AHEAD, outbox=LATE)),
        broker=BrokerSeen(queues(unrouted=QueueSeen("taawon.unrouted", 1))),
    )

    severities = [finding.severity for finding in diagnose(observations)]

    assert severities == [ERROR, WARNING, INFO]


# What is looked at


def test_where_nothing_was_started_the_command_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TAAWON_RUN", str(tmp_path))

    with pytest.raises(NotFound, match="taawon up"):
        Doors.find(None, None)


def test_a_url_of_no_service_is_refused_with_their_names():
    with pytest.raises(Invalid, match="fundng is no service; they are registry, ideas, funding"):
        Doors.find(["fundng=http://127.0.0.1:8003"], None)


def test_the_queues_that_must_exist_are_those_that_the_services_name():
    """A container has the program of one service, and doctor looks at all of them."""
    queues = ["funding.follow_idea"]
    told = service(
        name="funding",
        status=status(reactions=ReactionsState(listening=True, paused=False, queues=queues)),
    )
    silent = service(name="notifications", status=None)

    found = reactions_of((told, silent))

    assert found[0] == "funding.follow_idea"
    assert "notifications.follow_call" in found[1:]


def test_a_named_management_api_counts_also_where_a_stack_was_started(monkeypatch, tmp_path):
    monkeypatch.setenv("TAAWON_RABBIT_MANAGEMENT_URL", "http://admin:x@127.0.0.1:1")

    broker = observe_module._see_broker(Doors({}, Place(tmp_path)), "taawon")

    assert broker is not None
    assert "refused" in (broker.trouble or "")


@dataclass(frozen=True)
class Answers(Doors):
    """One service, which answers these paths; the others get none."""

    known: dict[str, Answer] = field(default_factory=dict)

    async def ask(self, path: str, *, signed: bool = True, **_: Any) -> dict[str, Answer]:
        return {name: self.known.get(path, Answer(0)) for name in self.urls}


REGISTRY = {"registry": "http://registry:8000"}


async def test_a_service_that_hangs_lives_and_gives_the_doctor_no_checks():
    hanging = Answers(REGISTRY, token="t", known={"/healthz": Answer(204)})

    (found,) = await observe_module.see_services(hanging)

    assert (found.up, found.checks, found.unready) == (True, {}, "no answer")
    codes = [each.code for each in diagnose(seen(found, reactions=()))]
    assert codes == ["readiness-unknown"]


@pytest.mark.parametrize(("code", "wants"), [(401, True), (403, True), (500, False), (503, False)])
async def test_a_token_is_asked_for_where_one_would_help(code: int, wants: bool):
    answers = {"/healthz": Answer(204), "/status": Answer(code, {"detail": "why"})}

    (found,) = await observe_module.see_services(Answers(REGISTRY, token="t", known=answers))

    assert (found.wants_token, found.refused) == (wants, f"{code} why")


async def test_sealed_values_that_take_too_long_to_count_are_not_passed_over():
    found, silent = await observe_module._see_sealed(Answers(REGISTRY, token="t"))

    assert (found, silent) == ({}, {"registry": "no answer"})


@pytest.mark.parametrize(("seconds", "ahead"), [(99, -1), (101, 0), (104, 2)])
def test_a_clock_is_ahead_by_what_the_time_of_the_answer_does_not_excuse(seconds, ahead):
    told = status(at=datetime.fromtimestamp(seconds, UTC))

    found = observe_module._clock_ahead(told, Answer(200, None, asked=100, answered=102))

    assert found == ahead


def test_a_url_without_a_name_is_refused_with_the_right_form():
    with pytest.raises(Invalid, match="registry=http://host:8001"):
        Doors.find(["http://127.0.0.1:8001"], None)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Options that name a service which does not answer."""
    for name in ("TAAWON_RABBIT_MANAGEMENT_URL", "TAAWON_OPERATOR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return ("--url", "ideas=http://127.0.0.1:1", "--token", "none")


def test_an_error_is_told_by_the_exit_code(nobody):
    run = CliRunner().invoke(cli.build("doctor"), ["doctor", *nobody])

    assert run.exit_code == 1
    assert "ideas does not answer at http://127.0.0.1:1" in run.output.replace("\n", " ")
    assert "$ curl -i http://127.0.0.1:1/healthz" in run.output


def test_a_service_that_is_down_has_its_row(nobody):
    run = CliRunner().invoke(cli.build("status"), ["status", *nobody])

    assert run.exit_code == 0
    assert "ideas" in run.output


def test_commands_that_only_ask_load_no_server_and_no_database():
    """Each of these costs more time than all that they need together."""
    heavy = {"alembic", "sqlalchemy", "fastapi", "faststream", "aio_pika", "cryptography"}
    commands = ("doctor", "status", "trace", "publish", "resends")
    imports = ", ".join(f"shared.commands.{command}" for command in commands)
    script = f"import sys, {imports}; print(*sorted({heavy} & sys.modules.keys()))"

    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert run.stdout.split() == []


# The way of an event

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def later(milliseconds: int) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def fact(event_id: UUID, topic: str, at: int, sent: int | None, **more: Any) -> Fact:
    row = {
        "parked_at": None,
        "attempts": 0,
        "last_error": None,
        "correlation_id": "wall-7",
        "causation_id": None,
    }
    return Fact(
        event_id=event_id,
        topic=topic,
        created_at=later(at),
        published_at=None if sent is None else later(sent),
        **{**row, **more},
    )


def test_the_steps_of_an_event_are_in_the_order_of_time():
    laid, told = uuid4(), uuid4()
    masonry = Trace(
        service="masonry", facts=[fact(laid, "masonry.stone.laid.v1", 0, 12)], taken=[], dead=[]
    )
    carpentry = Trace(
        service="carpentry",
        facts=[fact(told, "carpentry.beam.cut.v1", 30, None, causation_id=str(laid))],
        taken=[Taken(queue="carpentry.saw", event_id=laid, received_at=later(20))],
        dead=[
            Died(
                number=4,
                queue="carpentry.glue",
                message_id=str(laid),
                topic="masonry.stone.laid.v1",
                error="KeyError",
                attempts=6,
                first_failed_at=later(25),
                last_failed_at=later(900),
                state="dead",
            )
        ],
    )

    found = steps([carpentry, masonry])

    assert [(s.after_ms, s.service, s.what) for s in found] == [
        (0, "masonry", "written"),
        (12, "masonry", "sent"),
        (20, "carpentry", "taken"),
        (30, "carpentry", "written"),
        (900, "carpentry", "dead"),
    ]
    assert {s.topic for s in found if s.event_id == str(laid)} == {"masonry.stone.laid.v1"}
    assert f"caused by {laid}" in found[3].detail
    assert "letter 4 of carpentry.glue" in found[4].detail


def test_what_could_not_be_sent_says_why():
    stuck = fact(uuid4(), "x.y.v1", 0, None, parked_at=later(50), attempts=3, last_error="TooLarge")

    found = steps([Trace(service="x", facts=[stuck], taken=[], dead=[])])

    assert [(s.what, s.detail) for s in found] == [
        ("written", ""),
        ("parked", "3 failed attempts, TooLarge"),
    ]


def test_what_partners_got_is_on_the_way():
    event, moment = uuid4(), later(40)
    entry = {"event_id": event, "topic": "x.y.v1", "partner": "fm5", "position": 7}
    handed = [Handed(**entry, door=None, at=moment), Handed(**entry, door="amqp", at=moment)]
    trace = Trace(service="notifications", facts=[], taken=[], dead=[], handed=handed)

    found = steps([trace, trace])

    assert [(s.what, s.topic, s.detail) for s in found] == [
        ("fed", "x.y.v1", "fm5, position 7"),
        ("handed over", "x.y.v1", "fm5, position 7, by amqp"),
    ]


@dataclass(frozen=True)
class Archive(Doors):
    """A service that knows so many events of one request, and answers about fifty at once."""

    events: int = 0
    cut: bool = False

    async def ask(self, path: str, *, signed: bool = True, **query: Any) -> dict[str, Answer]:
        ids = [UUID(int=number) for number in range(self.events)]
        asked = {UUID(event) for event in query["event"]}
        assert len(asked) <= 50
        told = Trace(
            service="masonry",
            facts=[fact(each, "x.y.v1", each.int, None) for each in ids],
            taken=[Taken(queue=QUEUE, event_id=each, received_at=START) for each in asked],
            dead=[],
            cut=self.cut,
        )
        return {"masonry": Answer(200, told.model_dump(mode="json"))}


async def test_however_many_events_a_request_caused_all_are_followed():
    way = await follow(Archive({}, events=120), "wall-7")

    taken = [step for step in way.steps if step.what == "taken"]
    assert (len(way.steps), len({step.event_id for step in taken})) == (240, 120)
    assert way.cut == ()


async def test_who_knows_more_than_it_told_is_named(monkeypatch, capsys):
    way = await follow(Archive({}, events=1, cut=True), "wall-7")
    assert way.cut == ("masonry",)

    trace_command._show(way)

    printed = capsys.readouterr()
    assert "from 2026-01-05 09:00:00.000000 UTC" in printed.out
    assert "masonry knows more than is shown" in printed.err


def test_nothing_known_is_no_step():
    assert steps([Trace(service="x", facts=[], taken=[], dead=[])]) == []
