"""`taawon person`: it lists what it found, asks, and does nothing before it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import func, select
from typer.testing import CliRunner

from devkit import pytest_plugin
from registry.privacy import cli, models
from registry.register.contact_sealing import open_contact
from registry.register.domain.cooperative import Contact, Entry
from registry.register.models import tables
from registry.register.usecases.cooperatives import register_cooperative
from shared.errors import Invalid
from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.data.database import Sessions, make_engine, make_sessions

from .client import SEALER

LANDLINE = "+212522000001"
EMAIL, STRANGER = "coop@taawon.example", "stranger@taawon.example"
Who = tuple[str, ...]


@pytest.fixture
def url(databases: pytest_plugin.TestDatabases, monkeypatch: pytest.MonkeyPatch) -> str:
    """A register with two cooperatives that share a landline."""
    url = databases.fresh("registry")
    monkeypatch.setenv("TAAWON_DATABASE_URL", url)
    monkeypatch.setenv("TAAWON_SEAL_KEYS", pytest_plugin.SEAL_KEY)
    on(url, register)
    return url


def on(url: str, step: Callable[[Sessions], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        engine = make_engine(url)
        try:
            return await step(make_sessions(engine))
        finally:
            await engine.dispose()

    return asyncio.run(run())


async def register(sessions: Sessions) -> None:
    for number, email in enumerate((EMAIL, STRANGER), 1):
        async with sessions.begin() as session:
            await register_cooperative(
                session,
                SEALER,
                LOCAL_OPERATOR,
                Entry(
                    court="TPI Tiznit",
                    local_register_no=str(number),
                    province="MA-TIZ",
                    name_fr="Coopérative",
                ),
                contact=Contact(phone=LANDLINE, email=email),
                source="test",
            )


async def emails(sessions: Sessions) -> set[str | None]:
    async with sessions() as session:
        sealed = await session.scalars(select(tables.cooperative.c.contact_sealed))
        return {open_contact(SEALER, each).email for each in sealed}


async def requests(sessions: Sessions) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(models.person_request)) or 0


def person(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(cli.app, list(arguments), input=answers)


@pytest.fixture
def who(tmp_path: Path) -> tuple[str, ...]:
    """The arguments that name whoever has the landline."""
    named = tmp_path / "request.json"
    named.write_text(json.dumps({"phone": LANDLINE}))
    return ("--reference", "2026/1", "--file", str(named))


def test_without_a_terminal_it_proposes_and_says_how_to_confirm(url: str, who: Who) -> None:
    done = person("erase", *who)

    assert done.exit_code == 0, done.output
    assert done.stdout.count("with others") == 2
    assert "Nothing has happened yet" in done.stderr
    assert "taawon person erase --yes" in done.stderr
    assert on(url, emails) == {EMAIL, STRANGER}


def test_a_dry_run_stores_nothing(url: str, who: Who) -> None:
    done = person("erase", *who, "--dry-run", "--json")

    assert len(json.loads(done.stdout)["records"]) == 2
    assert (on(url, requests), on(url, emails)) == (0, {EMAIL, STRANGER})


@pytest.mark.parametrize(
    ("answers", "left", "code"),
    [("y\nn\ny\n", 1, 0), ("n\nn\ny\n", 2, 0), ("y\ny\nn\n", 2, 1)],
    ids=["one is the person's", "none is", "no is no"],
)
def test_at_a_terminal_it_asks_about_each_shared_record_and_then_about_all(
    url: str, who: Who, monkeypatch: pytest.MonkeyPatch, answers: str, left: int, code: int
) -> None:
    monkeypatch.setattr(cli, "may_ask", lambda: True)

    done = person("erase", *who, answers=answers)

    assert done.exit_code == code, done.output
    assert done.output.count("Is this the person's?") == 2
    assert STRANGER in done.output
    assert len({each for each in on(url, emails) if each}) == left


def test_yes_takes_the_id_of_a_proposal_and_leaves_what_is_shared_on_request(
    url: str, who: Who
) -> None:
    proposed = json.loads(person("erase", *who, "--json").stdout)
    (theirs, _) = (each["id"] for each in proposed["records"])

    undecided = person("erase", "--yes", proposed["request_id"])
    done = person(
        "erase", "--yes", proposed["request_id"], "--include", theirs, "--leave-shared", "--json"
    )

    assert isinstance(undecided.exception, Invalid)
    assert theirs in str(undecided.exception)
    assert json.loads(done.stdout)["cooperative_ids"] == [theirs]
    assert len({each for each in on(url, emails) if each}) == 1


def test_yes_confirms_what_it_says_and_nothing_else(url: str, who: Who) -> None:
    proposed = json.loads(person("erase", *who, "--json").stdout)

    other = person("access", "--yes", proposed["request_id"])

    assert "is a request for erasure" in str(other.exception)
    assert on(url, emails) == {EMAIL, STRANGER}


def test_a_proposal_is_dropped(url: str, who: Who) -> None:
    proposed = json.loads(person("erase", *who, "--json").stdout)

    dropped = person("drop", proposed["request_id"])
    late = person("erase", "--yes", proposed["request_id"], "--leave-shared")

    assert dropped.exit_code == 0, dropped.output
    assert "it can't become opened" in str(late.exception)


@pytest.mark.usefixtures("url")
def test_a_wrong_field_is_named_without_its_value_or_an_address(tmp_path: Path) -> None:
    named = tmp_path / "request.json"
    named.write_text(json.dumps({"phone": LANDLINE, "e-mail": EMAIL}))

    done = CliRunner().invoke(
        cli.app, ["erase", "--reference", "2026/1", "--file", str(named)], env={"COLUMNS": "300"}
    )

    assert done.exit_code == 2
    assert "e-mail: Extra inputs are not permitted" in done.stderr
    assert not any(text in done.output for text in ("pydantic.dev", EMAIL, LANDLINE))
