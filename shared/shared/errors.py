"""The kinds of refusal, and what each says to whoever asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: where it is, and what to do about it."""

    field: str
    message: str


class DomainError(Exception):
    """A rule refused the step. The class is named after the rule; its docstring is the message."""

    status: ClassVar[int] = 400

    def __init__(self, detail: object = None, *, field: str | None = None) -> None:
        self.detail = str(detail) if detail is not None else _docstring(type(self))
        self.problems: tuple[Problem, ...] = (Problem(field, self.detail),) if field else ()
        super().__init__(self.detail)

    @property
    def code(self) -> str:
        """The class name in kebab-case: `OwnIdea` is `own-idea`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()


class Invalid(DomainError):
    """The input breaks a rule."""

    status = 422

    @classmethod
    def many(cls, problems: list[Problem]) -> Invalid:
        """One refusal that names every wrong field."""
        error = cls("; ".join(f"{p.field}: {p.message}" for p in problems))
        error.problems = tuple(problems)
        return error


class NotFound(DomainError):
    """There is no such thing, or not yet."""

    status = 404


class Forbidden(DomainError):
    """The caller may not do this."""

    status = 403


class Conflict(DomainError):
    """The present state does not allow this."""

    status = 409


class Unauthenticated(DomainError):
    """A valid bearer token is needed: get one from POST /token of the registry."""

    status = 401


class TooLarge(DomainError):
    """The request is larger than this service takes."""

    status = 413


class TooManyRequests(DomainError):
    """Too many requests: wait, then try again. `seconds` is how long."""

    status = 429

    def __init__(self, detail: object = None, *, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = max(seconds, 1)


class Away(DomainError):
    """Something that this service needs can't be reached just now: try again in a moment."""

    status = 503


def _docstring(cls: type[DomainError]) -> str:
    return " ".join((cls.__doc__ or cls.__name__).split())
