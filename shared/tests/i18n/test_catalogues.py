"""Every catalogue has every text that the code uses, complete, and no other.

Which texts the code uses is read from it: calls of `translate` with their keywords, and the `Terms`
at the top of modules. Keys are therefore written out at the call, never put together.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from babel import Locale

from shared.i18n.catalogues import COUNT, catalogue_of, read_catalogue
from shared.i18n.languages import LANGUAGES, fallback_of
from shared.i18n.terms import Terms

ROOT = Path(__file__).parents[3]
PACKAGES = [
    ROOT / "shared" / "shared",
    *sorted(path.parent / path.parent.name for path in ROOT.glob("services/*/pyproject.toml")),
]
USES = r"translate\(|Terms\(|text_of\("
ARABIC = "[\u0600-\u06ff]"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
NUMBERS = range(1_200)
COMPLETE = [language for language in LANGUAGES if fallback_of(language) is None]
"""The others may lack texts, which are shown in the fallback language."""

WITH_ARABIC = (
    "shared/shared/reference/folding.py",
    "tools/devkit/devkit/demo/",
    "services/registry/registry/register/register_file/",
    "services/registry/registry/register/generator/",
    "services/funding/funding/calls/seeds/",
    "services/ideas/ideas/ideas/seeds.py",
)
"""Modules with spellings in files, or with data of the demo; neither is a text of ours."""


@dataclass(frozen=True)
class Asked:
    """What the code fills in: exactly these names, or any of them for one of a list of codes."""

    parameters: frozenset[str]
    is_exact: bool


@cache
def modules(mentioning: str) -> dict[Path, ast.Module]:
    """The modules whose source matches this regular expression."""
    paths = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
    sources = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in paths}
    wanted = re.compile(mentioning)
    return {path: ast.parse(text) for path, text in sources.items() if wanted.search(text)}


def called(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def terms_of(path: Path, tree: ast.Module) -> Iterator[Terms]:
    """The Terms at the top of a module; the module is imported, for their codes are computed."""
    if not any(called(tree, "Terms")):
        return
    names = path.parts[2:] if path.parts[0] == "services" else path.parts[1:]
    module = import_module(".".join(names).removesuffix(".py"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(called(node, "Terms")):
            assert isinstance(node.targets[0], ast.Name), f"{path}: give Terms a name"
            found = getattr(module, node.targets[0].id)
            assert isinstance(found, Terms)
            yield found


@cache
def asked() -> dict[str, Asked]:
    """Every key with the parameters that the code fills in."""
    keywords: dict[str, set[frozenset[str]]] = defaultdict(set)
    wanted: dict[str, Asked] = {}
    for path, tree in modules(USES).items():
        for call in called(tree, "translate"):
            assert isinstance(call.args[1], ast.Constant), f"{path}:{call.lineno}"
            given = frozenset(str(keyword.arg) for keyword in call.keywords)
            keywords[call.args[1].value].add(given)
        for terms in terms_of(path, tree):
            wanted |= {key: Asked(terms.parameters, is_exact=False) for key in terms.ids.values()}
    for key, sets in keywords.items():
        assert len(sets) == 1, f"{key} is filled in differently at different places: {sets}"
        wanted[key] = Asked(next(iter(sets)), is_exact=True)
    return wanted


def texts_of(language: str, key: str) -> tuple[str, ...]:
    found = catalogue_of(language).texts[key]
    return (found,) if isinstance(found, str) else tuple(found)


def placeholders(language: str, key: str) -> frozenset[str]:
    texts = texts_of(language, key)
    return frozenset(name for text in texts for name in PLACEHOLDER.findall(text))


def test_keys_are_written_out_and_lists_of_keys_stand_at_the_top_of_a_module():
    for path, tree in modules(USES).items():
        for call in called(tree, "translate"):
            place = f"{path}:{call.lineno}"
            assert is_literal(call.args[1]), f"{place}: write the key out, or use Terms"
            assert all(keyword.arg for keyword in call.keywords), f"{place}: name the parameters"
        at_top = sum(
            len(list(called(node, "Terms"))) for node in tree.body if isinstance(node, ast.Assign)
        )
        assert at_top == len(list(called(tree, "Terms"))), f"{path}: declare Terms at the top"
        assert all(is_literal(call.args[0]) for call in called(tree, "Terms")), path
        assert "i18n" in path.parts or not any(called(tree, "text_of")), path


@pytest.mark.parametrize("language", COMPLETE)
def test_no_text_is_missing(language):
    assert sorted(asked().keys() - catalogue_of(language).texts.keys()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_unused(language):
    assert sorted(catalogue_of(language).texts.keys() - asked().keys()) == []
    assert list(read_catalogue(language).obsolete) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_complete_and_in_plain_characters(language):
    read = read_catalogue(language)
    for message in read:
        is_blank = not any(message.string)
        if not message.id or (is_blank and language not in COMPLETE):
            continue
        texts = (message.string,) if isinstance(message.string, str) else message.string
        forms = read.num_plurals if message.pluralizable else 1
        assert not message.fuzzy, f"{message.id}: check it and remove the mark `fuzzy`"
        assert len(texts) == forms, f"{message.id}: {forms} forms are needed"
        assert all(text and text.strip() for text in texts), f"{message.id}: not translated"
        assert not re.search("[\u00a0\u202f\u200e\u200f]", "".join(texts)), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_placeholders_that_the_code_fills_in(language):
    known = catalogue_of(COMPLETE[0]).texts.keys() & asked().keys()
    for key in known & catalogue_of(language).texts.keys():
        wanted, found = asked()[key], placeholders(language, key)
        missing = wanted.parameters - found if wanted.is_exact else frozenset()
        assert (key, found - wanted.parameters, missing) == (key, frozenset(), frozenset())
        assert found == placeholders(COMPLETE[0], key), f"{key}: not as in {COMPLETE[0]}"
        bare = [PLACEHOLDER.sub("", text) for text in texts_of(language, key)]
        assert not set("".join(bare)) & set("{}"), f"{key}: a brace that names nothing"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_form_leaves_out_a_name_only_if_it_stands_for_one_number(language):
    catalogue = catalogue_of(language)
    numbers = defaultdict(list)
    for number in NUMBERS:
        numbers[catalogue.form_for(number)].append(number)
    for key in catalogue.texts:
        for form, text in enumerate(texts_of(language, key)):
            lacking = placeholders(language, key) - set(PLACEHOLDER.findall(text))
            allowed = {COUNT} if len(numbers[form]) == 1 else set()
            assert lacking <= allowed, f"{key}[{form}]"


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_forms_are_those_of_the_cldr(language):
    catalogue = catalogue_of(language)
    rule = Locale.parse(catalogue.locale).plural_form
    pairs = {(rule(number), catalogue.form_for(number)) for number in NUMBERS}

    # The CLDR has no plurals of some languages, such as zgh: there the header alone counts.
    assert not rule.tags or len(pairs) == len({tag for tag, _ in pairs}) == len(
        {form for _, form in pairs}
    )


def test_no_text_in_arabic_is_written_in_python():
    written = [
        f"{path}:{node.lineno}"
        for path, tree in modules(ARABIC).items()
        if not str(path).startswith(WITH_ARABIC)
        for node in strings(tree)
        if re.search(ARABIC, node.value)
    ]

    assert written == []


def strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """The texts in a module that are no docstrings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node
