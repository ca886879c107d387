"""Every route that creates something takes `Idempotency-Key`; the others say why they need none."""

from __future__ import annotations

from typing import Any

import pytest

from devkit.pytest_plugin import test_settings
from shared.kernel.installed import installed_services
from shared.kernel.service.app import build
from shared.kernel.service.spec import spec_of

NO_DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
A_STEP = "It names the version that it was decided on, so a repeat finds that it was taken."
CREATES_NOTHING = {
    "/token": "A token is stored nowhere: a repeat gets another one.",
    "/previews": "It counts and changes nothing.",
    "/persons/requests/{request_id}/report": "It reads; that it was read is audited each time.",
}
"""Routes of POST without a key, and why a repeat does no harm."""


def routes_of_post() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (service, path, methods["post"])
        for service in installed_services()
        for path, methods in document_of(service)["paths"].items()
        if "post" in methods
    ]


def document_of(service: str) -> dict[str, Any]:
    return dict(build(spec_of(service), test_settings(service, NO_DATABASE)).openapi())


def headers_of(operation: dict[str, Any]) -> set[str]:
    return {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}


@pytest.mark.parametrize(
    ("service", "path", "operation"),
    [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in routes_of_post()],
)
def test_a_route_takes_a_key_or_says_why_it_needs_none(
    service: str, path: str, operation: dict[str, Any]
):
    taken = headers_of(operation)

    reasons = [
        "idempotency-key" in taken and "It takes a key.",
        "if-match" in taken and A_STEP,
        CREATES_NOTHING.get(path),
    ]

    assert sum(map(bool, reasons)) == 1, (
        f"POST {path} of {service} creates something: let it take `Once`"
        " (kernel/web/create_requests.py), or give the reason here why it need not"
    )


def test_every_named_reason_is_of_a_route_that_exists():
    assert CREATES_NOTHING.keys() <= {path for _, path, _ in routes_of_post()}


def test_the_documents_say_what_the_key_does():
    [parameter] = [
        each
        for each in document_of("ideas")["paths"]["/ideas"]["post"]["parameters"]
        if each["name"] == "idempotency-key"
    ]

    assert not parameter["required"]
    assert "as the first time" in parameter["description"]
