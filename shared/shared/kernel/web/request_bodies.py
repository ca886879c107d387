"""Checks of request bodies: bounded, not compressed, UTF-8, and JSON without ambiguity."""

from __future__ import annotations

from email.message import Message as Header

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from shared import json_text
from shared.errors import DomainError, ForeignFormat, Invalid, TooLarge


class BodyTooLarge(TooLarge):
    """The body is larger than this service takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes: send less, or in parts")


class PackedBody(ForeignFormat):
    """Packed bodies are not taken: send it as it is, without `Content-Encoding`."""


class SeveralContentTypes(DomainError):
    """More than one Content-Type header came: send exactly one, for the body is of one kind."""


class ForeignCharset(ForeignFormat):
    """Only UTF-8 is read: encode the body as UTF-8 and leave `charset` out."""


class InvalidRequest(Invalid):
    """The body is no JSON that can be read in one way only."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, field="body")


class BoundedBody:
    """A receive channel that raises `BodyTooLarge` after so many bytes, whatever Content-Length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise BodyTooLarge(self._limit)
        return message


async def checked(headers: Headers, receive: Receive) -> Receive:
    """The channel to read the body from; JSON is read whole and checked first.

    Two readers of one body have to see the same data, so what JSON leaves open is refused: repeated
    keys, NaN, half characters. Raises `PackedBody`, `ForeignCharset`, `SeveralContentTypes` or
    `InvalidRequest`.
    """
    if ",".join(headers.getlist("content-encoding")).strip().lower() not in {"", "identity"}:
        raise PackedBody
    if _content(headers).get_content_charset("utf-8") not in {"utf-8", "utf8", "us-ascii"}:
        raise ForeignCharset
    return await _read_and_checked(receive) if is_json(headers) else receive


def is_json(headers: Headers) -> bool:
    """Whether the headers declare a body of JSON; raises `SeveralContentTypes`."""
    kind = _content(headers).get_content_type()
    return kind == "application/json" or kind.endswith("+json")


def _content(headers: Headers) -> Header:
    """The only Content-Type: of two, this check could read one and the route the other."""
    given = headers.getlist("content-type")
    if len(given) > 1:
        raise SeveralContentTypes
    content = Header()
    content["content-type"] = given[0] if given else ""
    return content


async def _read_and_checked(receive: Receive) -> Receive:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return _once(message, receive)
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    if body:
        refuse_ambiguous(body)
    return _once({"type": "http.request", "body": body, "more_body": False}, receive)


def _once(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def refuse_ambiguous(body: bytes) -> None:
    """Raise `InvalidRequest` for what is no JSON in UTF-8, or could be read in two ways."""
    try:
        json_text.refuse_ambiguous(body)
    except json_text.NotJson as error:
        raise InvalidRequest(str(error)) from None
