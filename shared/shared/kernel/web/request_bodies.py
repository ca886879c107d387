"""Request bodies: read only for who may send one, bounded, UTF-8, and JSON without ambiguity."""

from __future__ import annotations

from email.message import Message as Header
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import json_text
from shared.errors import DomainError, ForeignFormat, Invalid, TooLarge
from shared.sentences import Sentence, sentence_of

from . import problems
from .callers import authenticate, needs_token

FORM: Final = "application/x-www-form-urlencoded"
MOST_ELEMENTS: Final = 10_000
"""Of one JSON body: a hundred times what the largest form has. Parsing them takes a few
milliseconds, for which nothing else in the process goes on."""
MOST_FORM_BYTES: Final = 16 * 1024
"""Of a form: it may hold a field in two bytes, and the largest has two tokens of 8 kB at most."""
DEEPEST: Final = 32
"""Lists and objects within each other; forms have at most six."""


class BodyTooLarge(TooLarge):
    """The body is larger than this service takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            Sentence("the body is larger than {limit} bytes: send less, or in parts", limit=limit)
        )


class PackedBody(ForeignFormat):
    """Packed bodies are not taken: send it as it is, without `Content-Encoding`."""


class SeveralContentTypes(DomainError):
    """More than one Content-Type header came: send exactly one, for the body is of one kind."""


class ForeignCharset(ForeignFormat):
    """Only UTF-8 is read: encode the body as UTF-8 and leave `charset` out."""


class InvalidRequest(Invalid):
    """The body is no JSON that can be read in one way only."""

    def __init__(self, detail: Sentence) -> None:
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


class CheckedBodies:
    """Refuses what headers show to be no body of ours, and checks the rest when it is read.

    `max_body_bytes` limits all bodies; `larger` are the limits of single paths for bodies that are
    not JSON, in bytes. A refused request has not been read, whatever its body is.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, larger: dict[str, int]) -> None:
        self._app = app
        self._limit = max_body_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                receive = self._body(scope, receive)
            except DomainError as error:
                await problems.refusal(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _body(self, scope: Scope, receive: Receive) -> Receive:
        """The channel to read the body from; one that is declared too large is refused unread."""
        headers = Headers(scope=scope)
        _refuse_foreign(headers)
        json = is_json(headers)
        limit = self._limit if json else self._larger.get(scope["path"], self._limit)
        if _content(headers).get_content_type() == FORM:
            limit = min(limit, MOST_FORM_BYTES)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
            raise BodyTooLarge(limit)
        return EntitledBody(scope, BoundedBody(receive, limit), json=json)


class EntitledBody:
    """A receive channel that verifies and counts the caller before it reads for the first time.

    The framework reads and parses bodies before it looks at dependencies, such as the caller.
    JSON is read whole then, and checked.
    """

    def __init__(self, scope: Scope, receive: Receive, *, json: bool) -> None:
        self._scope = scope
        self._receive = receive
        self._json = json
        self._begun = False

    async def __call__(self) -> Message:
        if not self._begun:
            if needs_token(self._scope):
                await authenticate(Request(self._scope))
            self._begun = True
            if self._json:
                self._receive = await _read_and_checked(self._receive)
        return await self._receive()


def _refuse_foreign(headers: Headers) -> None:
    """Raise `PackedBody`, `ForeignCharset` or `SeveralContentTypes`, as the headers say."""
    if ",".join(headers.getlist("content-encoding")).strip().lower() not in {"", "identity"}:
        raise PackedBody
    if _content(headers).get_content_charset("utf-8") not in {"utf-8", "utf8", "us-ascii"}:
        raise ForeignCharset


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
    """Raise `InvalidRequest` for what is no JSON in UTF-8, or could be read in two ways.

    Two readers of one body have to see the same data, so what JSON leaves open is refused: repeated
    keys, NaN, half characters. So is, unparsed, what would take long to parse.
    """
    try:
        json_text.refuse_complex(body, elements=MOST_ELEMENTS, depth=DEEPEST)
        json_text.refuse_ambiguous(body)
    except json_text.NotJson as error:
        raise InvalidRequest(sentence_of(error)) from None
