"""What is watched from outside: every rule and graph asks for what the services really report."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from devkit.stack_layout import PROVISIONER, SERVICES
from shared.errors import DomainError

from .stories import Story

DEPLOY = Path(__file__).parents[2] / "deploy"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
OF_TARGETS = {"service", "instance", "job"}
METRIC = re.compile(r"\b(?:taawon|process|python)_\w+|\bup\b")
BROKER_METRIC = re.compile(r"\brabbitmq_")
"""What RabbitMQ measures itself is looked for where its plugin runs: in the compose tests."""
SELECTOR = re.compile(r"\b(\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\bby \(([^)]*)\)")
SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_info", "_created")


@dataclass
class Live:
    """What the four services expose: each name with its labels and their values."""

    labels: dict[str, dict[str, set[str]]]

    @property
    def names(self) -> set[str]:
        return set(self.labels)


@pytest.fixture(scope="session")
async def live(story: Story) -> Live:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for service in SERVICES:
        for sample in await story.eventually(lambda service=service: whole_scrape(story, service)):
            kept = found[sample.name]
            for label, value in sample.labels.items():
                kept[label].add(value)
    found["up"] = defaultdict(set)
    return Live(found)


async def whole_scrape(story: Story, service: str) -> list[Sample]:
    """Every sample of a scrape; none where a measure was not answered in time."""
    answer = await story.http.get(f"{story.stack.internal_url(service)}/metrics")
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    is_whole = all(each.value == 1 for each in samples if each.name == "taawon_measured")
    return samples if is_whole else []


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "taawon.json").read_text())
    return found


def queries(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def wrong_in(expression: str, live: Live) -> list[str]:
    """What an expression asks for that no service reports."""
    names = set(METRIC.findall(expression))
    wrong = [f"no metric {name}" for name in names - live.names]
    if not names:
        wrong.append(f"no metric at all in {expression}")
    known = set(OF_TARGETS).union(*(live.labels[name] for name in names & live.names))
    for group in GROUPED.findall(expression):
        asked = {label.strip() for label in group.split(",")}
        wrong += [f"no label {label}" for label in asked - known]
    for name, inside in SELECTOR.findall(expression):
        wrong += _wrong_matchers(name, inside, live)
    return wrong


def _wrong_matchers(name: str, inside: str, live: Live) -> Iterator[str]:
    for label, operator, value in MATCHER.findall(inside):
        if label in OF_TARGETS:
            continue
        known = live.labels.get(name, {}).get(label, set())
        if not known:
            yield f"{name} has no label {label}"
        elif operator == "=" and value not in known | _possible(label):
            yield f"{name} never has {label}={value}"


def _possible(label: str) -> set[str]:
    """Values that come only with trouble, which a system that works does not show."""
    if label == "status":
        return {f"{n}xx" for n in range(1, 6)}
    return set(_codes(DomainError)) if label == "code" else set()


def _codes(kind: type[DomainError]) -> Iterator[str]:
    for child in kind.__subclasses__():
        yield re.sub(r"(?<!^)(?=[A-Z])", "-", child.__name__).lower()
        yield from _codes(child)


def test_every_rule_asks_for_what_is_measured(live: Live) -> None:
    of_services = [rule for rule in rules() if not BROKER_METRIC.search(rule["expr"])]
    wrong = {rule["alert"]: wrong_in(rule["expr"], live) for rule in of_services}

    assert {name: found for name, found in wrong.items() if found} == {}


def test_every_graph_asks_for_what_is_measured(live: Live) -> None:
    wrong = {query: wrong_in(query, live) for query in queries(dashboard())}

    assert {query: found for query, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    "expression",
    [
        "taawon_no_such_metric > 0",
        "sum by (nobody) (taawon_dead_letters)",
        'taawon_dead_letters{colour="red"} > 0',
        'taawon_dead_letters{state="lost"} > 0',
        "vector(1)",
    ],
)
def test_what_no_service_reports_is_found(live: Live, expression: str) -> None:
    assert wrong_in(expression, live)


def test_every_metric_of_ours_is_explained(live: Live) -> None:
    shown = {
        re.sub(rf"({'|'.join(SUFFIXES)})$", "", n) for n in live.names if n.startswith("taawon_")
    }
    page = OPERATIONS.read_text(encoding="utf-8")

    assert sorted(name for name in shown if name not in page) == []


def test_every_rule_says_when_how_bad_and_what_next() -> None:
    page = OPERATIONS.read_text(encoding="utf-8")
    anchors = {line.lstrip("# ").strip().lower() for line in page.splitlines() if line[:1] == "#"}
    found = rules()

    assert len({rule["alert"] for rule in found}) == len(found) > 20
    for rule in found:
        assert re.fullmatch(r"\d+[smhd]", rule["for"]), rule
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, rule
        assert rule["annotations"]["summary"], rule
        page_name, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (page_name, anchor in anchors) == ("docs/operations.md", True), rule


def test_the_dashboard_is_the_one_that_is_written() -> None:
    written = _maker().dashboard_text()

    assert (DEPLOY / "grafana" / "taawon.json").read_text(encoding="utf-8") == written


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard()["panels"]]
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len(ids) == len(set(ids))


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_dashboard", DEPLOY / "grafana" / "make_dashboard.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_service_of_the_compose_file_is_scraped() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]}

    named = {entry["labels"]["service"]: entry["targets"] for entry in jobs["taawon"]}

    assert named == {name: [f"{name}:9100"] for name in (*SERVICES, PROVISIONER)}
    assert "TAAWON_INTERNAL_PORT=9100" in (DEPLOY.parent / "Dockerfile").read_text()
    assert config["rule_files"] == ["alerts.yml"]


def test_no_label_names_a_partner_or_a_person(live: Live) -> None:
    labels = {
        label for name in live.names if name.startswith("taawon_") for label in live.labels[name]
    }

    assert labels <= {
        "channel", "code", "due", "kind", "le", "measure", "method", "name", "outcome", "python",
        "queue", "revision", "route", "state", "status", "verdict", "version",
    }  # fmt: skip


async def test_register_and_audience_add_up_to_the_same(story: Story) -> None:
    async def sums() -> list[float]:
        there = await story.metric("registry", "taawon_register_versions")
        here = await story.metric("notifications", "taawon_audience_versions")
        return [there] if there == here > 0 else []

    assert await story.eventually(sums)
