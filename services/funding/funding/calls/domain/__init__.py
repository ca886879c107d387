"""A funding call, its terms and its deadline. Pure Python: no database, no broker, no HTTP."""

from .call import (
    MOVES,
    Call,
    DeadlineFixed,
    DeadlineOnlyForward,
    DeadlinePassed,
    NotADraft,
    NotOpen,
    NotYourInstitution,
    StandingCall,
    State,
    UnknownCall,
)
from .deadlines import (
    CASABLANCA,
    AmbiguousTime,
    NoSuchTime,
    UnknownZone,
    check_deadline,
    deadline_at_wall_clock,
)
from .terms import CallTerms, regions_reached, sectors_reached

__all__ = [
    "CASABLANCA",
    "MOVES",
    "AmbiguousTime",
    "Call",
    "CallTerms",
    "DeadlineFixed",
    "DeadlineOnlyForward",
    "DeadlinePassed",
    "NoSuchTime",
    "NotADraft",
    "NotOpen",
    "NotYourInstitution",
    "StandingCall",
    "State",
    "UnknownCall",
    "UnknownZone",
    "check_deadline",
    "deadline_at_wall_clock",
    "regions_reached",
    "sectors_reached",
]
