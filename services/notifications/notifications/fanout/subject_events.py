"""The events of calls and ideas: they become alerts, and entries of partner feeds."""

from __future__ import annotations

from typing import TypeAlias

from shared.contracts.funding import (
    CallCancelled,
    CallClosed,
    CallDeadlineExtended,
    CallOpened,
    CallUpdated,
)
from shared.contracts.ideas import IdeaPublished, IdeaWithdrawn

CallEvent: TypeAlias = CallOpened | CallUpdated | CallDeadlineExtended | CallClosed | CallCancelled
IdeaEvent: TypeAlias = IdeaPublished | IdeaWithdrawn
CALL_EVENTS = (CallOpened, CallUpdated, CallDeadlineExtended, CallClosed, CallCancelled)
IDEA_EVENTS = (IdeaPublished, IdeaWithdrawn)
