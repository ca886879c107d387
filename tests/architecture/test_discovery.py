"""Services are found by their entry points: no list of them stands in code."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.main import get_command

from cli import program as cli
from shared.kernel.commands.program import LazyGroup
from shared.kernel.installed import installed_services
from shared.kernel.service.spec import ServiceSpec, spec_of

ROOT = Path(__file__).parents[2]
SERVICES = frozenset(installed_services())
CODE = ("shared", "tools", "benchmarks", "scripts", "deploy", "tests")
SCRIPTS = (ROOT / "Makefile", ROOT / ".ci" / "run", *ROOT.glob("scripts/*.sh"))


def names_in(node: ast.AST) -> set[str]:
    """The services that a literal or a call names one beside the other."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return {each.value for each in node.elts if isinstance(each, ast.Constant)} & SERVICES
    if isinstance(node, ast.Call):
        return {each.value for each in node.args if isinstance(each, ast.Constant)} & SERVICES
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return set(re.findall(r"\w+", node.value)) & SERVICES
    return set()


def docstrings(tree: ast.Module) -> set[int]:
    """The nodes that are docstrings: an example may name services."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def lists_in(path: Path) -> Iterator[str]:
    """Where a module names all services in one place."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    excluded = docstrings(tree)
    for node in ast.walk(tree):
        if id(node) not in excluded and names_in(node) == SERVICES:
            yield f"{path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]  # it has


def test_no_list_of_all_services_stands_in_code() -> None:
    found = [
        where
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        for where in lists_in(path)
    ]

    assert found == [], "ask shared.kernel.installed for the services"


def test_no_script_lists_all_services() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SCRIPTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if set(re.findall(r"\w+", line)) >= SERVICES
    ]

    assert found == []


def test_a_list_of_all_services_is_seen(tmp_path: Path) -> None:
    words = ", ".join(f'"{name}"' for name in sorted(SERVICES))
    text = f"A = ({words})\nB = [{words}]\nf({words})\nC = '{' '.join(SERVICES)}'\n"

    seen = [node for node in ast.walk(ast.parse(text)) if names_in(node) == SERVICES]

    assert len(seen) == 4


def test_every_folder_of_services_is_found() -> None:
    folders = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}

    assert folders == SERVICES


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_is_found_under_the_name_that_its_spec_and_settings_have(service: str) -> None:
    spec = spec_of(service)

    assert isinstance(spec, ServiceSpec)
    assert {spec.name, spec.settings.service_name} == {service}
    assert spec.consumers is None or spec.consumers.service == service


def test_the_listed_help_of_every_command_is_that_of_the_command_itself() -> None:
    program = get_command(cli.build())
    assert isinstance(program, LazyGroup)

    listed = {name: each.get_short_help_str(200) for name, each in program.commands.items()}

    assert listed == {name: program.load(name).get_short_help_str(200) for name in listed}
    assert all(listed.values())


def test_help_imports_no_command_and_no_service() -> None:
    show = "import sys; from cli import program; program.main()"
    after = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); "

    run = subprocess.run(
        [sys.executable, "-c", after + show, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )

    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.splitlines()[-1].split())
    assert "shared.kernel.commands.program" in loaded
    heavy = {"sqlalchemy", "fastapi", "faststream", "aio_pika", "pydantic", "httpx", "rich"}
    commands = {
        entry.module
        for group in (cli.SERVICE_COMMANDS, cli.OPERATOR_COMMANDS)
        for entry in entry_points(group=group)
    }
    assert loaded & (heavy | commands) == set()
    for name in ("serve", "doctor", "why"):
        assert re.search(rf"^  {name} ", run.stdout, re.MULTILINE), name


def test_commands_and_the_operators_client_know_the_local_stack_by_entry_points_alone() -> None:
    found = [
        str(path.relative_to(ROOT))
        for folder in ("shared/shared/kernel/commands", "tools/cli/cli")
        for path in (ROOT / folder).rglob("*.py")
        if "devkit" in path.read_text(encoding="utf-8")
    ]

    assert found == []


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_that_is_served_imports_neither_rich_nor_the_local_stack(service: str) -> None:
    look = (
        "import sys; import shared.kernel.service.server;"
        "from shared.kernel.service.spec import spec_of;"
        f" spec_of({service!r}); print(*sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    loaded = run.stdout.split()
    assert [name for name in loaded if name == "rich" or name.startswith("devkit")] == []
