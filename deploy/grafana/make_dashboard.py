"""Writes taawon.json, the dashboard to import: `python3 deploy/grafana/make_dashboard.py`.

Each panel is one line here, and a test checks that every metric in it exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("taawon.json")
SOURCE = {"type": "prometheus", "uid": "${source}"}
COLUMNS = 24
HTTP = "taawon_http_request_duration_seconds"


@dataclass(frozen=True)
class Panel:
    """One query and its graph. `legend` names each line by its labels; `width` is in columns."""

    title: str
    query: str
    legend: str = "{{service}}"
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8


def duration(metric: str, *labels: str, quantile: float = 0.95) -> str:
    """The query for the time, in seconds, within which this share of the observations lies."""
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({quantile}, sum by ({by}) (rate({metric}_bucket[5m])))"


def of_services(metric: str, *labels: str, where: str = "") -> str:
    """The query for a metric of the chosen services; replicas report the same, so the maximum."""
    matched = ", ".join(filter(None, (where, 'service=~"$service"')))
    return f"max by ({', '.join(('service', *labels))}) ({metric}{{{matched}}})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        Panel("Services that answer", 'sum(up{job="taawon"})', "", kind="stat", width=4),
        Panel("Databases that answer", "sum(taawon_database_up)", "", kind="stat", width=4),
        Panel(
            "Dead letters",
            'sum(max by (service, queue) (taawon_dead_letters{state="dead"}))',
            "",
            kind="stat",
            width=4,
        ),
        Panel(
            "Changes the audience lacks",
            "clamp_min(max(taawon_register_versions) - max(taawon_audience_versions), 0)",
            "",
            kind="stat",
            width=4,
        ),
        Panel(
            "Subjects without a fan-out",
            "max(taawon_subjects_without_fanout)",
            "",
            kind="stat",
            width=4,
        ),
        Panel(
            "Feed entries that wait",
            "sum(max by (channel) (taawon_feed_waiting_entries))",
            "",
            kind="stat",
            width=4,
        ),
    ),
    "From an event to its queue": (
        Panel("Age of the oldest event", of_services("taawon_outbox_oldest_age_seconds"), unit="s"),
        Panel("Events that wait", of_services("taawon_outbox_pending")),
        Panel("Quarantined events", of_services("taawon_outbox_quarantined")),
        Panel(
            "Events sent",
            "sum by (service) (rate(taawon_outbox_published_total[5m]))",
            unit="ops",
        ),
        Panel(
            "Events not confirmed",
            "sum by (service) (rate(taawon_outbox_failures_total[5m]))",
            unit="ops",
        ),
        Panel("A batch, 95 %", duration("taawon_relay_batch_seconds", "service"), unit="s"),
    ),
    "From a queue to its effect": (
        Panel(
            "Messages by outcome",
            "sum by (outcome) (rate(taawon_messages_total[5m]))",
            "{{outcome}}",
            unit="ops",
        ),
        Panel(
            "Messages by consumer",
            "sum by (queue) (rate(taawon_messages_total[5m]))",
            "{{queue}}",
            unit="ops",
        ),
        Panel(
            "A message, 95 %", duration("taawon_message_seconds", "queue"), "{{queue}}", unit="s"
        ),
        Panel(
            "Dead letters",
            of_services("taawon_dead_letters", "queue", where='state="dead"'),
            "{{queue}}",
        ),
        Panel("Messages held during an outage", of_services("taawon_deliveries_paused")),
        Panel("Services that consume", of_services("taawon_consumers_running")),
    ),
    "Fan-outs and alerts": (
        Panel("A fan-out, 95 %", duration("taawon_fanout_seconds", "kind"), "{{kind}}", unit="s"),
        Panel("Fan-outs in progress", "sum(taawon_fanouts_running)", "running"),
        Panel(
            "Alerts by verdict",
            "sum by (verdict) (rate(taawon_alerts_total[5m]))",
            "{{verdict}}",
            unit="ops",
        ),
        Panel("Delay of the audience, 95 %", duration("taawon_audience_delay_seconds"), "", "s"),
        Panel(
            "Cooperatives that wait for backfill",
            "max(taawon_backfill_waiting_cooperatives)",
            "cooperatives",
        ),
        Panel("Fan-out approvals", "max by (state) (taawon_fanout_approvals)", "{{state}}"),
        Panel(
            "Register and audience",
            'label_replace(max(taawon_register_cooperatives), "of", "register", "", "")'
            ' or label_replace(max(taawon_audience_cooperatives), "of", "audience", "", "")',
            "{{of}}",
        ),
    ),
    "Partners": (
        Panel(
            "Age of the oldest entry that waits",
            "max by (channel) (taawon_feed_oldest_age_seconds)",
            "{{channel}}",
            unit="s",
        ),
        Panel(
            "Entries of the partner queue furthest behind",
            "max by (channel) (taawon_feed_most_waiting_entries)",
            "{{channel}}",
        ),
        Panel("Entries that partner queues lack", "max(taawon_feed_gaps)", "entries"),
        Panel("Partner queues by state", "max by (state) (taawon_partner_queues)", "{{state}}"),
    ),
    "Requests": (
        Panel(
            "Requests by class of status",
            f'sum by (status) (rate({HTTP}_count{{service=~"$service"}}[5m]))',
            "{{status}}",
            unit="reqps",
        ),
        Panel("A request, 95 %", duration(HTTP, "service", "route"), "{{service}} {{route}}", "s"),
        Panel(
            "Refusals by reason",
            'sum by (code) (rate(taawon_refusals_total{service=~"$service"}[5m]))',
            "{{code}}",
            unit="ops",
        ),
    ),
    "Persons": (
        Panel(
            "Requests that wait, by when due", "max by (due) (taawon_person_requests)", "{{due}}"
        ),
    ),
    "Processes": (
        Panel("Memory", of_services("process_resident_memory_bytes"), unit="bytes"),
        Panel(
            "Processor",
            "sum by (service) (rate(process_cpu_seconds_total[5m]))",
            unit="percentunit",
        ),
        Panel("Versions", "taawon_build_info", "{{service}}", kind="table"),
    ),
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana 10 and newer import it."""
    return {
        "uid": "taawon",
        "title": "Taawon",
        "tags": ["taawon"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source(), _service()]},
        "panels": list(_panels()),
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}


def _service() -> dict[str, Any]:
    query = "label_values(taawon_database_up, service)"
    return {
        "name": "service",
        "label": "Service",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "services"},
        "definition": query,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for title, panels in ROWS.items():
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        number, top, left = number + 1, top + 1, 0
        for panel in panels:
            height = 4 if panel.kind == "stat" else 8
            if left + panel.width > COLUMNS:
                left, top = 0, top + height
            yield _drawn(panel, number, {"x": left, "y": top, "w": panel.width, "h": height})
            number, left = number + 1, left + panel.width
        top += height


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    target = {
        "refId": "A",
        "datasource": SOURCE,
        "expr": panel.query,
        "legendFormat": panel.legend,
        "instant": panel.kind != "timeseries",
        "format": "table" if panel.kind == "table" else "time_series",
    }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [target],
    }


def dashboard_text() -> str:
    """The text of taawon.json."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(dashboard_text(), encoding="utf-8")
