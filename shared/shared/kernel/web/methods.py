"""Methods that every path has without a route of its own: HEAD where GET is, and OPTIONS."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ROUTED: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")
"""Methods that a route can have."""


class AnswersHead:
    """Answers HEAD as GET: the same checks, limits, status and headers, and no body.

    A body that is a stream is ended at its start, for nobody would read it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        has_answered = False

        async def send_head(message: Message) -> None:
            nonlocal has_answered
            if has_answered:
                await asyncio.sleep(0)  # a stream that waits for nothing is to notice its end
                return
            has_answered = True
            scope["method"] = "HEAD"  # by which the server knows that no body follows
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_until_answered() -> Message:
            return {"type": "http.disconnect"} if has_answered else await receive()

        # The same dict, not a copy: what is around looks in it for the route that was found.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive_until_answered, send_head)
        finally:
            scope["method"] = "HEAD"


def allowed(request: Request) -> str:
    """The value of `Allow` for the path of this request: every method that it takes."""
    routed = [method for method in ROUTED if _is_routed(request, method)]
    return ", ".join(sorted([*routed, "OPTIONS", *(["HEAD"] if "GET" in routed else [])]))


def answer_options(request: Request) -> Response:
    """The answer to OPTIONS: which methods the path takes."""
    return Response(status_code=204, headers={"Allow": allowed(request)})


def _is_routed(request: Request, method: str) -> bool:
    place = {name: request.scope.get(name, "") for name in ("type", "path", "root_path")}
    scope = {**place, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
