"""Rules of the whole repository that no single service can hold."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from importlinter import cli as importlinter
from typer.testing import CliRunner

from cli.commands import docs
from shared.contracts import catalogue

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
LONG = 300


def code() -> list[Path]:
    """Every module of the services and the kernel, tests and migrations apart."""
    found = [*ROOT.glob("shared/shared/**/*.py"), *ROOT.glob("services/*/*/**/*.py")]
    return [path for path in found if not {"tests", "migrations"} & set(path.parts)]


def modules_of_tests() -> list[Path]:
    folders = [ROOT / "tests", ROOT / "shared" / "tests"]
    folders += [*ROOT.glob("services/*/tests"), *ROOT.glob("tools/*/tests")]
    return [path for folder in folders for path in folder.rglob("*.py")]


def called(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The dotted name of each call, as far as it has one, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_import_contracts_hold(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    result = importlinter.lint_imports(no_cache=True)

    assert result == 0, capsys.readouterr().out


def test_generated_pages_are_current():
    result = CliRunner().invoke(docs.app, ["--root", str(ROOT), "--check"])

    assert result.exit_code == 0, result.output


def test_stored_schemas_are_current():
    result = CliRunner().invoke(docs.app, ["contracts"])

    assert result.exit_code == 0, result.output


def test_a_stale_page_is_shown_with_its_difference(tmp_path):
    result = CliRunner().invoke(docs.app, ["--root", str(tmp_path), "--check"])

    assert result.exit_code == 1
    assert "+## CallOpened" in result.output
    assert "run `taawon docs`" in result.output


def test_only_the_kernels_messaging_publishes():
    found = [
        where(path, line)
        for path in code()
        if "messaging" not in path.parts
        for name, line in called(parsed(path))
        if re.search(r"(broker|exchange|channel\w*)\.(basic_)?publish$", name)
    ]

    assert found == [], "return an event from the domain; the outbox sends it"


# An import is many transactions, and one more that holds its lock and nothing else.
MANY_TRANSACTIONS = {ROOT / "services/registry/registry/register/usecases/imports.py"}


def test_use_cases_commit_nothing():
    found = [
        where(path, line)
        for path in code()
        if "usecases" in {path.stem, path.parent.name} and path not in MANY_TRANSACTIONS
        for name, line in called(parsed(path))
        if name.endswith((".commit", ".rollback"))
    ]

    assert found == [], "the request or the consumer commits"


def test_routes_raise_rules_and_not_status_codes():
    found = [
        where(path, number)
        for path in code()
        if "api" in {path.stem, path.parent.name}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "HTTPException" in line
    ]

    assert found == []


MONEY = re.compile(r"(centimes|amount|budget|grant|price)", re.IGNORECASE)


def test_money_is_never_a_float():
    found = [
        where(path, node.lineno)
        for path in code()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.AnnAssign | ast.arg)
        and node.annotation is not None
        and re.search(r"\b(float|Float|Numeric)\b", ast.unparse(node.annotation))
        and MONEY.search(node.arg if isinstance(node, ast.arg) else ast.unparse(node.target))
    ]

    assert found == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_what_it_owns_publishes_and_consumes(service):
    said = import_module(service).__doc__ or ""

    assert [word for word in ("Owns:", "Publishes:", "Consumes:") if word not in said] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_publishes_its_own_events_and_names_no_other(service):
    said = import_module(service).__doc__ or ""
    prefixes = {topic.partition(".")[0] for topic in catalogue.EVENTS}
    published_topics = said.partition("Publishes:")[2].partition("Consumes:")[0]

    assert re.findall(r"\b([a-z]+)\.[a-z_]+\.", published_topics)
    assert set(re.findall(r"\b([a-z]+)\.[a-z_]+\.", published_topics)) & prefixes == {service}


def test_every_module_says_what_it_is_for():
    silent = [where(path, 1) for path in code() if not ast.get_docstring(parsed(path))]

    assert silent == []


HARNESS = ROOT / "tests/chaos"
"""No test: it works at a pace, and its moments are drawn from a seed."""


def test_no_test_sleeps():
    found = [
        where(path, line)
        for path in modules_of_tests()
        if HARNESS not in path.parents
        for name, line in called(parsed(path))
        if name in {"time.sleep", "asyncio.sleep", "sleep"}
    ]

    assert found == [], "use `await eventually(...)`"


def test_no_code_waits_in_a_way_that_swallows_a_cancellation():
    found = [
        where(path, line)
        for path in code()
        for name, line in called(parsed(path))
        if name == "asyncio.wait_for"
    ]

    assert found == [], "use `asyncio.timeout`: see shared/kernel/sleep.py"


# These test the very use of a container engine, which not every machine has.
NEEDS_CONTAINERS = ROOT / "tools/devkit/tests/test_containers.py"


def test_no_test_is_skipped_or_replaces_what_it_tests():
    found = [
        where(path, number)
        for path in modules_of_tests()
        if path not in {Path(__file__), NEEDS_CONTAINERS}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"pytest\.skip|mark\.(skip|xfail)|unittest|import mock|MagicMock", line)
    ]

    assert found == []


KINDS = {".py", ".md", ".toml", ".yml", ".yaml", ".html", ".js", ".css", ".sh"}
NOT_OURS = {".venv", ".run", ".git", "node_modules"}


def texts() -> Iterator[Path]:
    """Every file that people wrote; what tools put beside them is not even looked into."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in NOT_OURS]
        yield from (Path(folder, name) for name in names if Path(name).suffix in KINDS)


@pytest.mark.parametrize("word", ["hand" + "book", "/wo" + "rk/", "TO" + "DO", "FIX" + "ME"])
def test_the_repository_stands_alone_and_is_finished(word):
    found = [
        where(path, number)
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if word in line
    ]

    assert found == []


def test_long_modules_are_reported():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in code()}

    for path, length in lengths.items():
        if length > LONG:
            sys.stderr.write(f"{path.relative_to(ROOT)}: {length} lines, think of a package\n")


PRINTS = {ROOT / f"shared/shared/kernel/commands/{name}.py" for name in ("terminal", "screen")}


def test_commands_print_by_what_makes_texts_harmless():
    found = [
        where(path, line)
        for path in [*code(), *ROOT.glob("tools/cli/cli/**/*.py")]
        if path not in PRINTS
        for name, line in called(parsed(path))
        if name in {"typer.echo", "click.echo", "Console", "print", "rich.print"}
    ]

    assert found == [], "use `say`, `say_json` or `Screen` of shared.kernel.commands"
