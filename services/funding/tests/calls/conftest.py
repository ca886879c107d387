"""The callers that tests of funding share."""

from __future__ import annotations

import pytest

from devkit.pytest_plugin import Tokens

from .api_steps import People


@pytest.fixture
def people(tokens: Tokens) -> People:
    return People(tokens)
