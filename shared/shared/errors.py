"""The kinds of refusal, and what each says to the caller.

Nothing here knows HTTP: `shared.kernel.web.problems` maps each kind to a status code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import ClassVar, Final

from .sentences import Sentence, joined

MOST_NAMED: Final = 20
"""Most problems that one refusal names: each may cost a search for the nearest valid code."""


class Kind(StrEnum):
    """The kind of a refusal. It decides the status code of the response."""

    REFUSED = "refused"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    GONE = "gone"
    TOO_SLOW = "too-slow"
    TOO_LARGE = "too-large"
    FOREIGN_FORMAT = "foreign-format"
    INVALID = "invalid"
    PRECONDITION_REQUIRED = "precondition-required"
    TOO_MANY_REQUESTS = "too-many-requests"
    AWAY = "away"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: where it is, what to do about it, and what was given.

    `given` is shown to whoever sent it: left out for what may be somebody's own.
    """

    field: str
    message: Sentence
    given: str | None = None

    @property
    def sentence(self) -> Sentence:
        """The whole problem in one sentence."""
        return Sentence("{field}: {problem}", field=self.field, problem=self.message)


class DomainError(Exception):
    """A rule refused the step. A subclass is named after its rule; its docstring is the message.

    `detail` replaces that message; `field` names the field of the request that is wrong. People
    read both in their language: the English is in the code, the others in the catalogues.
    """

    kind: ClassVar[Kind] = Kind.REFUSED

    def __init__(self, detail: object = None, *, field: str | None = None) -> None:
        self.detail = message_of(type(self)) if detail is None else _sentence(detail)
        self.problems: tuple[Problem, ...] = (Problem(field, self.detail),) if field else ()
        super().__init__(self.detail)

    @property
    def code(self) -> str:
        """The class name in kebab-case: `OwnIdea` is `own-idea`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()


class Invalid(DomainError):
    """The input breaks a rule."""

    kind = Kind.INVALID

    @classmethod
    def many(cls, problems: list[Problem]) -> Invalid:
        """One refusal that names every wrong field."""
        error = cls(joined([problem.sentence for problem in problems]))
        error.problems = tuple(problems)
        return error


def refuse_problems(problems: Iterable[Problem]) -> None:
    """Raise `Invalid` for the first `MOST_NAMED` problems, if there is any."""
    if named := list(islice(problems, MOST_NAMED)):
        raise Invalid.many(named)


class NotFound(DomainError):
    """There is no such thing, or not yet."""

    kind = Kind.NOT_FOUND


class Forbidden(DomainError):
    """The caller may not do this."""

    kind = Kind.FORBIDDEN


class Conflict(DomainError):
    """The present state does not allow this."""

    kind = Kind.CONFLICT


class IllegalMove(Conflict):
    """It is not in a state that allows this step."""


class ChangedMeanwhile(Conflict):
    """Somebody else changed this in the meantime: read it again, then repeat your change."""


class Unauthenticated(DomainError):
    """A valid bearer token is needed: get one from POST /token of the registry."""

    kind = Kind.UNAUTHENTICATED


class Gone(DomainError):
    """It was there, and is not kept any more."""

    kind = Kind.GONE


class TooLarge(DomainError):
    """The request is larger than this service takes."""

    kind = Kind.TOO_LARGE


class PreconditionRequired(DomainError):
    """The request has to say on what it was decided."""

    kind = Kind.PRECONDITION_REQUIRED


class ForeignFormat(DomainError):
    """What was sent is of a format that is not taken here."""

    kind = Kind.FOREIGN_FORMAT


class TooManyRequests(DomainError):
    """Too many requests: wait, then try again. `seconds` is how long."""

    kind = Kind.TOO_MANY_REQUESTS

    def __init__(self, detail: object = None, *, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = max(seconds, 1)


class Away(DomainError):
    """Something that this service needs can't be reached just now: try again in a moment."""

    kind = Kind.AWAY


def message_of(cls: type[DomainError]) -> Sentence:
    """What a refusal of this class says where nothing more exact is known: its docstring."""
    return Sentence(" ".join((cls.__doc__ or cls.__name__).split()))


def _sentence(detail: object) -> Sentence:
    return detail if isinstance(detail, Sentence) else Sentence(str(detail))
