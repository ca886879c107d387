"""The commands of the registry: generating and importing a register, accounts, identities."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from devkit import pytest_plugin
from registry.identity import models
from registry.identity.cli import app as accounts
from registry.identity.usecases.accounts import email_mark
from registry.register.cli import app as register
from shared.kernel.data.database import make_engine, make_sessions
from shared.kernel.encryption.sealer import Sealer

from .builders import a_file, a_row, many_rows

runner = CliRunner()


@pytest.fixture(scope="module")
def url(databases: pytest_plugin.TestDatabases) -> str:
    return databases.fresh("registry")


@pytest.fixture
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAAWON_DATABASE_URL", url)
    monkeypatch.setenv("TAAWON_SEAL_KEYS", pytest_plugin.SEAL_KEY)


def test_a_drawn_register_is_written_to_a_file_or_to_standard_output(tmp_path: Path) -> None:
    file = tmp_path / "register.csv"

    to_file = runner.invoke(register, ["generate", "--count", "20", "--output", str(file)])
    to_output = runner.invoke(register, ["generate", "--count", "20"])

    assert (to_file.exit_code, to_output.exit_code) == (0, 0)
    assert to_output.stdout == file.read_text()


@pytest.mark.usefixtures("environment")
def test_an_import_shows_its_problems_and_writes_them_all(tmp_path: Path) -> None:
    file, problems = tmp_path / "register.csv", tmp_path / "problems.csv"
    rows = [*many_rows(3, "TPI Fès"), a_row(court="TPI Fès", local_register_no="x", province="1")]
    file.write_bytes(a_file(*rows))

    done = runner.invoke(register, ["import", str(file), "--report", str(problems)])

    assert done.exit_code == 2
    assert "4 rows read: 3 new, 0 changed, 0 as before, 1 refused" in " ".join(done.stdout.split())
    assert problems.read_text().splitlines()[1].startswith("5,province,province,refused,")


@pytest.mark.usefixtures("environment")
def test_a_cell_that_looks_like_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    file.write_bytes(a_file(a_row(court="TPI Fès", members_total="[/]9", members_women="")))

    done = runner.invoke(register, ["import", str(file), "--source", "[/]\x1b]0;x\x07"])

    assert done.exit_code == 0, done.output
    assert "'[/]9' is" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.usefixtures("environment")
def test_a_file_of_tomorrow_is_not_imported(tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    file.write_bytes(a_file(a_row()))

    done = runner.invoke(register, ["import", str(file), "--as-of", "2999-01-01"])

    assert done.exit_code == 2
    assert "in the future: check the year" in " ".join(done.stderr.split())


@pytest.mark.usefixtures("environment")
def test_an_import_reports_as_json(tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    file.write_bytes(a_file(*many_rows(3, "TPI Meknès")))

    done = runner.invoke(register, ["import", str(file), "--json"])

    report = json.loads(done.stdout)
    assert (done.exit_code, report["rows_added"], report["state"]) == (0, 3, "finished")


@pytest.mark.usefixtures("environment")
def test_the_first_operator_is_made_once() -> None:
    command = ["bootstrap", "--email", "operator@taawon.example"]

    first = runner.invoke(accounts, command)
    second = runner.invoke(accounts, command)

    assert first.exit_code == 0
    assert len(first.stdout.strip()) >= 20
    assert "operator already" in str(second.exception)


@pytest.mark.usefixtures("environment")
def test_a_short_password_is_refused() -> None:
    done = runner.invoke(
        accounts, ["bootstrap", "--email", "x@taawon.example", "--password-stdin"], input="short\n"
    )

    assert done.exit_code != 0


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TAAWON_DATABASE_URL", raising=False)
    monkeypatch.setenv("TAAWON_RUN", str(tmp_path))  # where nothing was ever started

    done = runner.invoke(accounts, ["rotate-signing-key"])

    assert isinstance(done.exception, SystemExit)
    assert "TAAWON_DATABASE_URL" in str(done.exception) + done.output


@pytest.mark.parametrize("command", [[register, "import"], [register, "generate"]])
def test_help_shows_examples(command: list[object]) -> None:
    app, name = command

    done = runner.invoke(app, [str(name), "--help"])  # type: ignore[arg-type]  # an app

    assert "Example: taawon register" in done.stdout


@pytest.mark.usefixtures("environment")
def test_an_identity_is_linked_shown_and_unlinked() -> None:
    runner.invoke(accounts, ["bootstrap", "--email", "operator@taawon.example"])
    who = ["--email", "operator@taawon.example"]
    issuer = ["--issuer", "https://id.example"]

    linked = runner.invoke(accounts, ["link", *who, "--subject", "walker", *issuer])
    shown = json.loads(runner.invoke(accounts, ["identities", *who, "--json"]).stdout)
    ended = runner.invoke(accounts, ["unlink", *who, shown[0]["identity_id"]])
    left = json.loads(runner.invoke(accounts, ["identities", *who, "--json"]).stdout)

    assert (linked.exit_code, ended.exit_code) == (0, 0), linked.output
    assert (shown[0]["issuer"], shown[0]["subject"], left) == ("https://id.example", "walker", [])


@pytest.mark.usefixtures("environment")
def test_e_mails_subjects_and_passwords_need_not_stand_on_the_command_line() -> None:
    who = "operator@taawon.example\n"

    made = runner.invoke(
        accounts, ["bootstrap", "--password-stdin"], input=who + "correct horse battery\n"
    )
    linked = runner.invoke(
        accounts, ["link", "--issuer", "https://id.example"], input=who + "walker\n"
    )
    shown = json.loads(runner.invoke(accounts, ["identities", "--json"], input=who).stdout)
    ended = runner.invoke(accounts, ["unlink", shown[0]["identity_id"]], input=who)
    nobody = runner.invoke(accounts, ["identities"], input="")

    # Another test may have made the operator: then this one was understood, and refused for that.
    assert made.exit_code == 0 or "operator already" in str(made.exception)
    assert (linked.exit_code, ended.exit_code) == (0, 0), linked.output
    assert shown[0]["subject"] == "walker"
    assert nobody.exit_code == 2


@pytest.mark.usefixtures("environment")
def test_an_identity_of_an_unsafe_issuer_is_refused() -> None:
    answer = runner.invoke(
        accounts,
        ["link", "--email", "x@y.example", "--subject", "w", "--issuer", "http://id.example"],
    )

    assert answer.exit_code == 2


@pytest.mark.usefixtures("environment")
def test_it_is_shown_whether_somebody_guesses_a_password(url: str) -> None:
    email = "operator@taawon.example"
    runner.invoke(accounts, ["bootstrap", "--email", email])
    command = ["sign-ins", "--email", email]

    before = runner.invoke(accounts, command)
    asyncio.run(fail_to_sign_in(url, email, places=["one", "one", "two"]))
    after = runner.invoke(accounts, command)
    as_json = json.loads(runner.invoke(accounts, [*command, "--json"]).stdout)

    assert before.stdout.strip() == "no unknown device failed to sign in"
    assert "3 failed sign-ins of unknown devices from 2 networks since" in after.stdout
    assert (as_json["failures"], as_json["networks"]) == (3, 2)


async def fail_to_sign_in(url: str, email: str, *, places: list[str]) -> None:
    engine = make_engine(url)
    mark = email_mark(Sealer([pytest_plugin.SEAL_KEY]), email)
    async with make_sessions(engine).begin() as session:
        rows = [{"email_mark": mark, "place": each, "by_stranger": True} for each in places]
        await session.execute(insert(models.sign_in_failure), rows)
    await engine.dispose()
