"""Nobody reads patterns: each one that a field of an API has is said in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devkit.pytest_plugin import test_settings
from devkit.stack_layout import SERVICES
from shared.kernel.service.app import build
from shared.kernel.service.spec import spec_of
from shared.kernel.web.validation import SPELLINGS

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


def patterns_in(part: Any) -> Iterator[str]:
    """Every pattern of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        yield from (found for each in part.values() for found in patterns_in(each))
    if isinstance(part, list):
        yield from (found for each in part for found in patterns_in(each))


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_a_field_is_said_in_words(service: str) -> None:
    document = build(spec_of(service), test_settings(service, NOWHERE)).openapi()

    assert set(patterns_in(document)) - SPELLINGS.keys() == set()
