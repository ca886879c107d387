"""When an event of a subject enters the feeds of partners: with its alerts, or at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from notifications.fanout.domain.fanout_approval import ApprovalState


class Passage(StrEnum):
    """What happens to an event: it is fed now, it waits, or no partner ever gets it."""

    NOW = "now"
    WAITS = "waits"
    NEVER = "never"


@dataclass(frozen=True, kw_only=True)
class FanoutState:
    """What is known of the fan-out of a subject.

    `version` is the newest that fan-out has seen, None before the first; `was_alerted`: recipients
    were alerted once; `is_held`: this fan-out or all of them; `approval`: the decision about this.
    """

    version: int | None
    was_alerted: bool
    is_held: bool
    approval: ApprovalState | None


def passage(version: int, state: FanoutState, *, at_once: bool, is_checked: bool) -> Passage:
    """What happens to the event of this version of a subject.

    Its publisher may want partners to have it `at_once`. Else it goes with the alerts: it waits
    while they are held, and until fan-out has seen this version where the number of recipients
    `is_checked` first; of a fan-out that was stopped before anybody was alerted, partners get
    nothing.
    """
    if at_once:
        return Passage.NOW
    if state.approval is ApprovalState.STOPPED and not state.was_alerted:
        return Passage.NEVER
    if state.is_held:
        return Passage.WAITS
    is_decided = state.approval is not None or state.was_alerted or not is_checked
    is_seen = state.version is not None and state.version >= version
    return Passage.NOW if is_decided or is_seen else Passage.WAITS
