"""Every sentence of the code in English, read from its source.

A sentence is written out where it is made; a refusal that has none of its own says the docstring of
its class, and is titled by its code. States and the things that have them are words of their own.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = [
    ROOT / "shared" / "shared",
    *sorted(path.parent / path.parent.name for path in ROOT.glob("services/*/pyproject.toml")),
]
MADE = ("Sentence",)
TITLES_OF_PROBLEMS = (
    "invalid-request", "http-error", "method-not-allowed", "away-for-a-moment", "no-room",
    "our-fault",
)  # fmt: skip
"""Codes of problems that are no class."""
COLUMNS = ("court", "local_register_no", "province", "name_fr")
"""Columns that every register file has; a missing one is named."""


@cache
def trees() -> dict[Path, ast.Module]:
    """Every module of what people meet, by its path."""
    paths = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
    return {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in paths}


def nodes(kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of this kind with the path of its module."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield path, node


def name_of(function: ast.expr) -> str:
    """The last part of a dotted name: `Sentence` of `sentences.Sentence`."""
    return ast.unparse(function).rpartition(".")[2]


def made() -> Iterator[tuple[str, frozenset[str]]]:
    """Every sentence that is written out, with the names of its parameters."""
    for _, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if name_of(node.func) in MADE and node.args and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value, frozenset(str(each.arg) for each in node.keywords)


@cache
def refusals() -> dict[str, ast.ClassDef]:
    """Every class of refusal by name."""
    classes = {node.name: node for _, node in nodes(ast.ClassDef) if isinstance(node, ast.ClassDef)}
    return {name: node for name, node in classes.items() if _is_refusal(name, classes)}


def _is_refusal(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    if name == "DomainError":
        return True
    return name in classes and any(
        _is_refusal(name_of(base), classes) for base in classes[name].bases if name_of(base) != name
    )


def messages() -> Iterator[str]:
    """What each refusal says unless it is made with a sentence of its own."""
    names = refusals()
    for _, node in nodes(ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        if node.name in names and node.name != "DomainError":
            yield " ".join(inspect.cleandoc(ast.get_docstring(node) or node.name).split())


def titles() -> Iterator[str]:
    """The title of each problem: its code in words."""
    for name in refusals().keys() - {"DomainError", "TokenRefused"}:
        yield re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
    codes = [*TITLES_OF_PROBLEMS, *oauth_errors()]
    yield from (code.replace("-", " ").replace("_", " ") for code in codes)


def oauth_errors() -> Iterator[str]:
    """The error codes of OAuth that the registry answers with."""
    for path, node in nodes(ast.Assign):
        assert isinstance(node, ast.Assign)
        if path.name == "tokens.py" and ast.unparse(node.targets[0]) == "OAuthError":
            yield from re.findall(r"'(\w+)'", ast.unparse(node.value))


def words() -> Iterator[str]:
    """States of lifecycles, and the things that have them."""
    for _, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        name, place = name_of(node.func), {"refuse_unless_allowed": 1, "refuse_unless_expected": 0}
        if name in place and isinstance(node.args[place[name]], ast.Constant):
            yield node.args[place[name]].value
    yield from states()
    yield from COLUMNS


def states() -> Iterator[str]:
    """The values of every enumeration that a table of moves, `MOVES`, is about."""
    for path, node in nodes(ast.AnnAssign):
        assert isinstance(node, ast.AnnAssign)
        if ast.unparse(node.target) == "MOVES":
            names = re.findall(r"\w+", ast.unparse(node.annotation))
            for enum in trees()[path].body:
                if isinstance(enum, ast.ClassDef) and enum.name in names:
                    yield from _values(enum)


def _values(enum: ast.ClassDef) -> Iterator[str]:
    for each in enum.body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant):
            yield str(each.value.value)


@cache
def used() -> frozenset[str]:
    """Every sentence of the code."""
    return frozenset([*(text for text, _ in made()), *messages(), *titles(), *words()])
