"""The barest server of an inbox: FastAPI and asyncpg, one statement, no texts and no rights."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

PAGE = """
SELECT a.*, s.kind AS subject_kind, s.state AS subject_state, h.content, h.reference_on, h.reason,
       coalesce(m.state, 'unread') AS read_state, p.*
  FROM alert AS a
  JOIN subject AS s USING (subject_id)
  JOIN subject_history AS h ON h.subject_id = a.subject_id AND h.version = a.subject_version
  JOIN audience_history AS p
    ON p.cooperative_id = a.cooperative_id AND p.version = a.audience_version
  LEFT JOIN alert_state AS m ON m.cooperative_id = a.cooperative_id AND m.seq = a.seq
 WHERE a.cooperative_id = $1 AND a.seq < $2
 ORDER BY a.seq DESC LIMIT 51
"""
CONNECTIONS = 20
"""As many as a service has at most."""


@asynccontextmanager
async def with_pool(app: FastAPI) -> AsyncIterator[None]:
    """Open connections of its own for as long as it serves."""
    url = os.environ["BENCH_DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=10, max_size=CONNECTIONS) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=with_pool, openapi_url=None)


@app.get("/cooperatives/{cooperative_id}/alerts")
async def list_alerts(request: Request, cooperative_id: UUID, before: int = 2**63 - 1) -> Response:
    """The rows of a page as they are; contents stay the text that the driver gives."""
    rows = await request.app.state.pool.fetch(PAGE, cooperative_id, before)
    body = orjson.dumps([dict(row) for row in rows], default=str)
    return Response(body, media_type="application/json")


if __name__ == "__main__":
    config = uvicorn.Config(app, access_log=False, log_level="warning")
    uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[1]))])
