"""The client that tests of requests of persons share."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import Api

from .client import PrivacyClient


@pytest.fixture
def privacy(api: Api, operator: dict[str, str]) -> PrivacyClient:
    return PrivacyClient(api, operator)
