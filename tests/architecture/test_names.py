"""Names follow docs/glossary.md: no word that it avoids is part of a name that people meet.

A module has no name of its table of retired modules. Looked at besides are identifiers of Python,
routes and fields of the APIs, tables and columns, queues and exchanges, metrics, settings, commands
and their options, and the messages of logs. Sentences in docstrings, comments and pages are free.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import pytest

from devkit.pytest_plugin import test_settings
from shared.kernel.messaging.addresses import dead_queue
from shared.kernel.service.app import build
from shared.kernel.service.spec import installed_consumers, spec_of

NO_DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
LOG_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
METRICS = {"Counter", "Gauge", "Histogram", "Summary", "gauge"}
FOLDERS = ("shared", "services", "tools", "tests", "benchmarks", "scripts", "deploy")

# Name as it stands in code: why it may. Ordinary words only, and as few as possible.
ALLOWED: dict[str, str] = {}


class Found(NamedTuple):
    """A name, and where it stands."""

    place: str
    name: str


def avoided() -> dict[str, str]:
    """Each word that the glossary avoids, and the term to use instead."""
    words: dict[str, str] = {}
    for cells in rows(*sections("Terms", "Retired names")):
        old, use = (cells[2], cells[0]) if len(cells) == 3 else (cells[0], cells[-1])
        words |= {words_of(word): use for word in re.findall(r"`([^`]+)`", old)}
    return words


def retired_modules() -> dict[str, str]:
    """Each name that no module may have, and the name to use instead."""
    return {
        name: new
        for old, new in rows(*sections("Retired modules"))
        for name in re.findall(r"`([^`]+)`", old)
    }


def sections(*titles: str) -> list[str]:
    """The lines of these sections of the glossary."""
    parts = re.split(r"^## (.+)$", GLOSSARY.read_text(), flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [line for title in titles for line in found[title].splitlines()]


def rows(*lines: str) -> Iterator[list[str]]:
    """The cells of each row of a table, its rule left out."""
    for line in lines:
        if line.startswith("|") and not set(line) <= set("|- "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def words_of(name: str) -> str:
    """The words of a name in any style, joined by `_`: `HoldState` and `hold-state` alike."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name)
    return apart.strip("_").lower()


AVOIDED = avoided()
PATTERN = re.compile(rf"(?:^|_)({'|'.join(sorted(AVOIDED, key=len, reverse=True))})(?=_|$)")


def complaints(found: Iterable[Found]) -> list[str]:
    """One line per name that has an avoided word, with what to use."""
    return sorted(
        {
            f"{place}: `{name}` has `{word}`; the glossary says: {AVOIDED[word]}"
            for place, name in found
            if name not in ALLOWED
            for word in PATTERN.findall(words_of(name))
        }
    )


def sources() -> list[Path]:
    return sorted(
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if not {".venv", "node_modules", "__pycache__"} & set(path.parts)
        and path != Path(__file__).resolve()
    )


def modules() -> Iterator[Found]:
    """Each module and folder of Python under its own name, the prefix of a test left out."""
    for path in sources():
        yield Found(str(path.relative_to(ROOT)), path.stem.removeprefix("test_"))
        yield Found(str(path.parent.relative_to(ROOT)), path.parent.name)


@cache
def parsed() -> tuple[tuple[str, ast.Module], ...]:
    """Each module by its path from the root; parsed once for all kinds."""
    return tuple((str(path.relative_to(ROOT)), ast.parse(path.read_text())) for path in sources())


def identifiers() -> Iterator[Found]:
    """Names of functions, classes, arguments, variables and attributes that are made here."""
    for path, tree in parsed():
        for node in ast.walk(tree):
            for name in _made(node):
                yield Found(f"{path}:{getattr(node, 'lineno', 0)}", name)


def _made(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.arg():
            return [node.arg]
        case ast.keyword(arg=str() as name):
            return [name]
        case ast.Name(ctx=ast.Store()):
            return [node.id]
        case ast.Attribute(ctx=ast.Store()):
            return [node.attr]
        case ast.alias(asname=str() as name):
            return [name]
    return []


@cache
def calls() -> tuple[tuple[str, str, ast.Call, str], ...]:
    """Every call whose first argument is a text: where, of what, the call, the text."""
    return tuple(_calls())


def _calls() -> Iterator[tuple[str, str, ast.Call, str]]:
    for path, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    yield f"{path}:{node.lineno}", name, node, first.value


def log_messages() -> Iterator[Found]:
    for place, name, node, text in calls():
        if name in LOG_LEVELS and "log" in ast.unparse(node.func):
            yield Found(place, text)


def metrics() -> Iterator[Found]:
    """Names of metrics, and of their labels."""
    for place, name, node, text in calls():
        if name in METRICS and text.startswith("taawon_"):
            yield Found(place, text)
            for label in _labels(node):
                yield Found(place, label)


def _labels(made: ast.Call) -> Iterator[str]:
    for given in [*made.args[2:], *(keyword.value for keyword in made.keywords)]:
        for label in given.elts if isinstance(given, ast.List | ast.Tuple) else ():
            if isinstance(label, ast.Constant) and isinstance(label.value, str):
                yield label.value


def commands() -> Iterator[Found]:
    """Commands and options of the command line, by their declarations."""
    for place, name, _, text in calls():
        if name in {"command", "Option", "Argument"}:
            yield Found(place, text)
    groups = ("taawon.commands", "taawon.operator_commands")
    for entry in (entry for group in groups for entry in entry_points(group=group)):
        yield Found(f"command `taawon {entry.name}`", entry.name)


def settings() -> Iterator[Found]:
    for path in (ROOT / ".env.example", ROOT / "docker-compose.yml"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in re.findall(r"TAAWON_[A-Z_]+", line):
                yield Found(f"{path.name}:{number}", name)


def routes() -> Iterator[Found]:
    """Paths, parameters, schemas and fields of the OpenAPI document of each service."""
    for entry in entry_points(group="taawon.services"):
        app = build(spec_of(entry.name), test_settings(entry.name, NO_DATABASE))
        document = app.openapi()
        for path, operations in document.get("paths", {}).items():
            yield Found(f"{entry.name} API", path)
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    yield Found(f"{entry.name} API {path}", parameter["name"])
        for name, schema in document.get("components", {}).get("schemas", {}).items():
            yield Found(f"{entry.name} API schema", name)
            for field in schema.get("properties", {}):
                yield Found(f"{entry.name} API schema {name}", field)
            for value in schema.get("enum", ()):
                yield Found(f"{entry.name} API schema {name}", str(value))


def tables() -> Iterator[Found]:
    """Tables, columns, indexes and constraints: each text in the modules that declare tables."""
    for place, _, _, text in calls():
        stem = Path(place.rpartition(":")[0]).stem
        if stem in {"models", "tables", "rows", "statements"} and text.isidentifier():
            yield Found(place, text)


def queues() -> Iterator[Found]:
    for consumer in installed_consumers():
        yield Found("queue", consumer.queue)
        yield Found("dead letters of the queue", dead_queue(consumer.queue))


def exchanges() -> Iterator[Found]:
    """Exchanges, queues and arguments: texts of the modules that declare the topology."""
    for path, tree in parsed():
        if Path(path).stem != "topology" or "tests" in Path(path).parts:
            continue
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(r"[a-z]+([._-][a-z0-9#*]+)+", text):
                yield Found(f"{path}:{node.lineno}", text)


KINDS = {
    "identifiers": identifiers,
    "log messages": log_messages,
    "metrics": metrics,
    "commands": commands,
    "settings": settings,
    "routes": routes,
    "tables": tables,
    "queues": queues,
    "exchanges": exchanges,
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_has_a_word_that_the_glossary_avoids(kind: str) -> None:
    found = list(KINDS[kind]())

    assert found, f"nothing was looked at for {kind}"
    assert complaints(found) == []


def test_no_module_has_a_retired_name() -> None:
    retired = retired_modules()

    assert [
        f"{place}: the glossary says {retired[name]}"
        for place, name in sorted(set(modules()))
        if name in retired
    ] == []
    assert retired["parked"].startswith("`quarantine`")


def test_the_glossary_names_words_to_avoid_and_what_to_use() -> None:
    assert AVOIDED["parked"] == "quarantined row"
    assert AVOIDED["know_partner"] == "`store_partner`"


@pytest.mark.parametrize(
    ("name", "is_avoided"),
    [
        ("HoldState", True),
        ("outbox-parked", True),
        ("a_door_opens", True),
        ("factor", False),
        ("indoors", False),
        ("household", False),
    ],
)
def test_a_word_is_found_in_every_style_of_name_and_only_as_a_whole(
    name: str, is_avoided: bool
) -> None:
    assert bool(complaints([Found("here", name)])) is is_avoided


def test_each_allowed_name_is_in_use_and_has_a_reason() -> None:
    used = {name for _, name in identifiers()}

    assert set(ALLOWED) <= used
    assert all(ALLOWED.values())
