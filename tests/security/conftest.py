"""The four services on sockets, each with one of everything in its database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from devkit.pytest_plugin import TestDatabases, Tokens
from devkit.stack_layout import SERVICES

from . import samples
from .running_services import Target, issuing, running_service


@pytest.fixture(scope="session")
def running_services(databases: TestDatabases, tokens: Tokens) -> Iterator[dict[str, Target]]:
    """Each service under its name, on a database of its own."""
    with contextlib.ExitStack() as stack:
        keys_url = stack.enter_context(issuing(tokens))
        opened = {
            service: stack.enter_context(
                running_service(service, databases.fresh(service), keys_url)
            )
            for service in SERVICES
        }
        for target in opened.values():
            samples.fill(target, tokens)
        yield opened
