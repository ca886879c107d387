"""One deployment for every test here, made by docker-compose.yml and taken down at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.pytest_plugin import SERVERS_USED

from .deployment import ComposeFailed, Deployment
from .story import DemoRun, begun

# It builds images and takes minutes, so only `make test-compose` asks for it.
collect_ignore_glob = [] if os.environ.get("TAAWON_TEST_COMPOSE") else ["test_*.py"]


@pytest.fixture(scope="session")
def deployment(run_folder: Path) -> Iterator[Deployment]:
    """Up, healthy, and empty but for what other tests of this run did."""
    deployment = Deployment(run_folder / "compose")
    try:
        try:
            deployment.up()
        except ComposeFailed as failure:
            raise ComposeFailed(f"{failure}\n{deployment.logs()[-8000:]}") from None
        SERVERS_USED.extend(deployment.versions())
        yield deployment
    finally:
        deployment.down()


@pytest.fixture(scope="session")
def demo_run(deployment: Deployment) -> DemoRun:
    """The demonstration has been run on it."""
    return begun(deployment)
