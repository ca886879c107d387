"""Lets messages through whose properties the client library can't decode.

AMQP texts may hold any bytes, its times any 64 bits, its tables any depth. The client library takes
a header that it can't decode for a broken connection and closes it, whereupon the broker delivers
the same message again: one such message would stop every consumer of a service, and the
collector of its dead letters, for good. So the size in the header is kept, the properties are
dropped, and the message is refused like any other wrong one.

This replaces a method of pamqp 4.0, for which it has no hook. The fault was reported at
https://github.com/gmr/pamqp/issues/32, and is fixed there for the bytes of texts, not for times,
depth and tables. When a newer pamqp is installed, `test_library_patches` fails: look whether the
messages of `test_attacks` that the client can't decode get through without this module; if so,
remove it, else raise `TRIED_WITH`.
"""

from __future__ import annotations

import structlog
from pamqp import commands
from pamqp.header import ContentHeader

log = structlog.get_logger()

TRIED_WITH = {"pamqp": "4.0.1", "aiormq": "7.2.4"}
"""The versions of the patched library, and of the library that calls it, that this was tried with.
"""
UNDECODABLE = "x-taawon-undecodable"
"""Header in place of properties that could not be decoded; its value is the class of the error."""

_unmarshal = ContentHeader.unmarshal


def _tolerant(header: ContentHeader, data: bytes) -> None:
    try:
        _unmarshal(header, data)
    except (ValueError, OverflowError, OSError, RecursionError) as error:
        if header.class_id is None:  # not even the size of the body: nothing can be done
            raise
        log.warning("properties of a message can't be decoded", error=type(error).__name__)
        header.properties = commands.Basic.Properties(headers={UNDECODABLE: type(error).__name__})


def install() -> None:
    """Make the client library tolerant, in this process. Safe to repeat."""
    ContentHeader.unmarshal = _tolerant  # type: ignore[method-assign, assignment]  # there is no hook for it


install()
