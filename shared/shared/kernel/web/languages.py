"""The language that a request asks for, in which its errors and reports are said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from starlette.responses import Response

from shared import i18n

_asked: ContextVar[str] = ContextVar("asked_language", default=i18n.ENGLISH)
VARY: Final = "Accept-Language"


@contextmanager
def answering(accept_language: str | None) -> Iterator[None]:
    """What runs inside answers in the language that this `Accept-Language` prefers."""
    token = _asked.set(i18n.asked_language(accept_language))
    try:
        yield
    finally:
        _asked.reset(token)


def asked() -> str:
    """The language of the request at hand; English where it asks for none of ours."""
    return _asked.get()


def say(text: str) -> str:
    """The sentence in the language of the request at hand."""
    return i18n.in_language(asked(), text)


def say_all(data: Any) -> Any:
    """JSON data with every sentence in it in the language of the request at hand."""
    return i18n.say_all(asked(), data)


def headers() -> dict[str, str]:
    """The headers of an answer with sentences."""
    return {"Content-Language": asked(), "Vary": VARY}


def mark(response: Response) -> None:
    """Let an answer say in which language its sentences are."""
    response.headers.update(headers())
