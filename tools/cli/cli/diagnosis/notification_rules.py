"""What is wrong with alerting people and partners, by what notifications measures of itself.

The limits are those of the alerts in deploy/prometheus. Prometheus waits some minutes before it
raises one; this looks once, so its advice is often to look again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.kernel.admin.schemas import Status

from .observations import Finding, Observations, Rule, ServiceObservation, Severity

AUDIENCE, REGISTER = "notifications", "registry"
PARTNER_QUEUE_SECONDS = 120.0
"""The provisioner makes a partner queue within a second; one that waits longer is not made."""
FEED_SECONDS = 300.0
AGAIN = "look again in a minute"


def audience_behind(services: Sequence[ServiceObservation]) -> int | None:
    """How many changes of the register the audience has not received; None where nobody reports it.

    Each service keeps its count for some seconds, so while an import runs this is about right.
    """
    measured_by_service = {one.name: one.status.measured for one in services if one.status}
    there = measured_by_service.get(REGISTER, {}).get("taawon_register_versions")
    here = measured_by_service.get(AUDIENCE, {}).get("taawon_audience_versions")
    if there is None or here is None:
        return None
    return max(int(there - here), 0)


def _audience(seen: Observations) -> Iterator[Finding]:
    behind = audience_behind(seen.services)
    if behind:
        yield Finding(
            Severity.WARNING,
            "audience-behind",
            AUDIENCE,
            f"{behind} changes of the register are not in the audience",
            f"{AGAIN}: just after a change, or while an import runs, this is normal. Where the"
            " number stays, `taawon status` shows what waits in notifications.store_*; where"
            " nothing waits, have the present state sent again: docs/operations.md,"
            " TaawonAudienceBehind",
            "taawon status",
        )


def _measured(seen: Observations) -> Iterator[tuple[Status, dict[str, float]]]:
    for one in seen.services:
        if one.name == AUDIENCE and one.status is not None:
            yield one.status, one.status.measured


def _without_fanout(seen: Observations) -> Iterator[Finding]:
    for _, measured in _measured(seen):
        if without_fanout := measured.get("taawon_subjects_without_fanout"):
            yield Finding(
                Severity.ERROR,
                "subject-without-fanout",
                AUDIENCE,
                f"nobody was alerted of {without_fanout:.0f} open ideas or calls, and nobody"
                " holds them back",
                f"{AGAIN}: a large fan-out takes seconds. Where it stays, see the dead letters of"
                " notifications.follow_*, and `taawon trace` of the event that opened it",
                f"taawon dead-letters list {AUDIENCE}",
            )


def _backfill(seen: Observations) -> Iterator[Finding]:
    for _, measured in _measured(seen):
        if waiting := measured.get("taawon_backfill_waiting_cooperatives"):
            yield Finding(
                Severity.WARNING,
                "backfill-waits",
                AUDIENCE,
                f"{waiting:.0f} changed cooperatives are not matched against what is open",
                f"{AGAIN}: after an import this is normal for minutes. Where the number stays, look"
                " for `background work failed` in the log of notifications and start it again",
            )


def _partner_queues(seen: Observations) -> Iterator[Finding]:
    for _, measured in _measured(seen):
        waits = measured.get("taawon_partner_queues_oldest_request_age_seconds", 0)
        if waits > PARTNER_QUEUE_SECONDS:
            yield Finding(
                Severity.WARNING,
                "partner-queue-not-made",
                "partners-provisioner",
                f"a partner queue has waited {waits:.0f} s to be made or closed",
                "see that the partners-provisioner runs, and that the administrator's credential in"
                " its TAAWON_RABBIT_MANAGEMENT_URL is right: its log says so; then it catches up",
                "taawon up" if seen.here else "docker compose logs --tail 50 partners-provisioner",
            )


def _feeds(seen: Observations) -> Iterator[Finding]:
    for _, measured in _measured(seen):
        oldest = measured.get("taawon_feed_oldest_age_seconds{channel=amqp}", 0)
        if oldest > FEED_SECONDS:
            count = measured.get("taawon_feed_waiting_entries{channel=amqp}", 0)
            yield Finding(
                Severity.WARNING,
                "feed-behind",
                AUDIENCE,
                f"{count:.0f} events wait for the queues of partners, the oldest for"
                f" {oldest:.0f} s",
                "see that the vhost of partners can be reached with TAAWON_AMQP_PARTNERS_URL: the"
                " log says `no connection to the broker` or `partner queue waits`, with the cause",
            )


def _feed_gaps(seen: Observations) -> Iterator[Finding]:
    for status, _ in _measured(seen):
        gaps = (status.counts or {}).get("feed_gaps", 0)
        if gaps:
            slugs = (status.names or {}).get("feed_gaps", [])
            whose = f" of {', '.join(slugs)}" if slugs else ""
            yield Finding(
                Severity.WARNING,
                "feed-gaps",
                AUDIENCE,
                f"queues of partners{whose} lack {gaps} events that have not gone out again",
                "write to the partner: it reads them in its feed, or asks for them again with POST"
                " /partner-queue/replay; the ledger says which, why and when (trimmed: age had"
                " taken them from the feed as well)",
                f"taawon partner ledger {slugs[0] if slugs else 'SLUG'}",
            )


def _held_back(seen: Observations) -> Iterator[Finding]:
    for status, _ in _measured(seen):
        held = (status.counts or {}).get("held", 0)
        if not held:
            continue
        what = (status.names or {}).get("held", [])
        which = f": {', '.join(what)}" if what else ""
        paths = []
        if "everything" in what:
            paths.append("everything with `taawon approvals release-everything`")
        if set(what) != {"everything"}:
            paths.append("a single subject with `taawon approvals release | stop ID`")
        yield Finding(
            Severity.INFO,
            "held-back",
            AUDIENCE,
            f"{held} decisions keep alerts back until a person releases or stops them{which}",
            f"release it, or stop it: {'; '.join(paths)}",
        )


RULES: tuple[Rule, ...] = (
    _without_fanout,
    _audience,
    _backfill,
    _partner_queues,
    _feeds,
    _feed_gaps,
    _held_back,
)
