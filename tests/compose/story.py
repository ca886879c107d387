"""The demonstration on a deployment, while its containers are restarted one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devkit.client import Client, Refused
from devkit.demo import story
from devkit.demo.participants import PARTNERS, Participants, PartnerQueue
from devkit.demo.results import PATIENCE, DemoResult
from devkit.demo.screen import Screen
from devkit.demo.seeds_and_feeds import seeds_of
from shared.business_days import today
from shared.kernel.waiting import wait_until

from .deployment import Deployment

COUNT = 2000
RESTARTED = (
    ("notifications",),
    ("rabbitmq",),
    ("postgres",),
    ("funding",),
    ("registry", "ideas"),
    ("partners-provisioner",),
    ("rabbitmq", "postgres"),
)
"""What is restarted while a call fans out, call by call; each kind of container at least once."""


@dataclass
class DemoRun:
    """What happened: the register file, the subjects, and who takes part."""

    deployment: Deployment
    operator: Client
    partners: dict[str, Client]
    partner_queues: dict[str, PartnerQueue]
    result: DemoResult
    subjects: list[str]


def begun(deployment: Deployment) -> DemoRun:
    """The demonstration's register, partners, idea and calls, while containers are restarted."""
    participants, screen, result = Participants(deployment), Screen(), DemoResult()
    operator = participants.operator()
    story.import_register(deployment, operator, result, count=COUNT, seed=1, screen=screen)
    partners = {card.slug: participants.partner(operator, card) for card in PARTNERS}
    partner_queues = {
        slug: participants.partner_queue(client, slug) for slug, client in partners.items()
    }
    demo_run = DemoRun(deployment, operator, partners, partner_queues, result, [])
    demo_run.subjects.append(published_idea(operator, participants.moderator(operator)))
    calls = seeds_of("funding")(today())
    for call, restarted in zip(calls, RESTARTED, strict=True):
        demo_run.subjects.append(opened_call(operator, call))
        deployment.restart(*restarted)
        deployment.wait_ready()
    deployment.wait_healthy()
    for subject in demo_run.subjects:
        assert wait_until(lambda subject=subject: is_fanned_out(operator, subject), within=PATIENCE)
    return demo_run


def published_idea(operator: Client, moderator: Client) -> str:
    seed = seeds_of("ideas")()[0]
    idea = operator.post("ideas", "/ideas", seed.payload)
    idea_id = str(idea["idea_id"])
    idea = operator.move("ideas", f"/ideas/{idea_id}/submit", seen=idea)
    moderator.move("ideas", f"/ideas/{idea_id}/publish", seen=idea)
    return idea_id


def a_new_call() -> Any:
    """A call like one of the demonstration's, without the key that makes it the same one."""
    return seeds_of("funding")(today())[0]


def opened_call(operator: Client, seed: Any) -> str:
    call = operator.post("funding", "/calls", seed.payload)
    call_id = str(call["call_id"])
    operator.move("funding", f"/calls/{call_id}/open", seen=call)
    return call_id


def is_fanned_out(operator: Client, subject_id: str) -> bool:
    try:
        totals = operator.get("notifications", f"/subjects/{subject_id}/totals")
    except Refused as refusal:
        if refusal.status not in {404, 503}:
            raise
        return False
    return totals["notified_version"] is not None
