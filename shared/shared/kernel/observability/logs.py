"""Structured logs: JSON outside a terminal, the same fields everywhere."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog


def configure(service: str, level: str = "INFO") -> None:
    """Log every line, of our code and of libraries, in one structured form to standard error.

    It is JSON, except on a terminal.
    """
    chain: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(_places),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "aiormq", "aio_pika", "httpx", "httpcore", "faststream"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(service=service)


def _places(exc_info: Any) -> str:
    """The classes of an error and its causes, with their lines of code and without their messages.

    A message may repeat a row, a parameter or the input, and so a person's name or phone.
    """
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    lines: list[str] = []
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        lines += [_title(error), *traceback.format_tb(error.__traceback__)]
        error = error.__cause__ or error.__context__
    return "\n".join(line.rstrip("\n") for line in lines)


def _title(error: BaseException) -> str:
    """The class of an error; of a database error also its SQLSTATE and the violated constraint."""
    details = [getattr(error, name, None) for name in ("sqlstate", "constraint_name")]
    return " ".join([type(error).__name__, *(part for part in details if isinstance(part, str))])
