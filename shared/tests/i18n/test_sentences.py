"""Every sentence for people has a text in every language."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator

import pytest
from pydantic_core import _pydantic_core

from shared import i18n
from shared.i18n.catalogues import read_catalogue
from shared.i18n.languages import LANGUAGES, SENTENCES, fallback_of
from shared.i18n.sentences import sentences_of
from shared.kernel.web import validation
from shared.sentences import Name, Sentence, as_json, from_json

from . import used_sentences as source

PLACEHOLDER = re.compile(r"\{\w+\}")
COMPLETE = [language for language in LANGUAGES if fallback_of(language) is None]
SAID_ELSEWHERE = {"json_invalid", "string_pattern_mismatch", "value_error", "assertion_error"}
OF_CODE_ALONE = {
    "no_such_attribute", "needs_python_object", "recursion_loop", "recursion_depth_exceeded",
    "frozen_field", "frozen_instance", "get_attribute_error", "dataclass_exact_type",
    "named_tuple_type", "default_factory_not_called", "iteration_error", "frozen_dict_type",
    "ordered_dict_type", "counter_type", "deque_type", "set_item_not_hashable",
    "missing_sentinel_error", "ellipsis_error", "is_instance_of", "is_subclass_of",
    "callable_type", "arguments_type", "missing_argument", "unexpected_keyword_argument",
    "missing_keyword_only_argument", "unexpected_positional_argument",
    "missing_positional_only_argument", "multiple_argument_values", "fraction_type",
    "fraction_parsing",
}  # fmt: skip
"""Types of error that no field of ours can have, or that a call in Python alone can cause."""


@pytest.mark.parametrize("language", COMPLETE)
def test_every_sentence_of_the_code_has_a_text(language):
    assert sorted(source.used() - sentences_of(language).keys()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_of_a_sentence_that_the_code_lost(language):
    assert sorted(sentences_of(language).keys() - source.used()) == []
    assert list(read_catalogue(language, SENTENCES).obsolete) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_names_what_its_sentence_names(language):
    for english, text in sentences_of(language).items():
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(english)), english
        assert not re.search("[\u00a0\u202f\u200e\u200f]", text), english


def test_every_sentence_is_made_with_the_parameters_that_it_names():
    for english, parameters in source.made():
        named = {each.strip("{}") for each in PLACEHOLDER.findall(english)}
        assert not parameters or parameters == named, english


@pytest.mark.parametrize("language", COMPLETE)
@pytest.mark.parametrize("name", sorted(source.refusals()))
def test_every_refusal_has_a_message_and_a_title_in_every_language(name, language):
    if name == "DomainError":
        return
    texts = sentences_of(language)
    message = " ".join((ast.get_docstring(source.refusals()[name]) or "").split())

    assert message in texts
    assert name == "TokenRefused" or re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower() in texts


def bare() -> Iterator[str]:
    """Texts that are raised, or named as a problem, without being a sentence."""
    where = {"Problem": 1, "WrongCell": 0, "UnusableCell": 0, "TokenRefused": 1}
    where |= dict.fromkeys(source.refusals().keys() - {"TokenRefused", "UnknownCode"}, 0)
    for path, node in source.nodes(ast.Call):
        assert isinstance(node, ast.Call)
        place = where.get(source.name_of(node.func))
        if place is not None and len(node.args) > place:
            text = node.args[place]
            if isinstance(text, ast.JoinedStr) or (
                isinstance(text, ast.Constant) and isinstance(text.value, str)
            ):
                yield f"{path}:{node.lineno}"


def bare_in_classes() -> Iterator[str]:
    """The same of what classes of refusals pass on to their base."""
    for name, definition in source.refusals().items():
        for node in ast.walk(definition):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "super().__init__"
                and node.args
                and isinstance(node.args[0], ast.JoinedStr | ast.Constant)
            ):
                yield f"{name}: {ast.unparse(node.args[0])}"


def test_nothing_is_refused_in_words_of_no_catalogue():
    assert [*bare(), *bare_in_classes()] == []


def test_every_type_of_error_that_a_request_can_cause_has_a_sentence():
    known = {each["type"]: each for each in _pydantic_core.list_all_errors()}

    assert known.keys() - validation.REMEDIES.keys() - SAID_ELSEWHERE == OF_CODE_ALONE
    for kind, sentence in validation.REMEDIES.items():
        given = known[kind].get("example_context") or {}
        assert {each.strip("{}") for each in PLACEHOLDER.findall(sentence)} <= given.keys(), kind


def test_a_sentence_is_its_english_and_says_its_parameters_in_the_same_language():
    region = Name(fr="Souss-Massa", ar="سوس ماسة")
    sentence = Sentence("unknown {kind}", kind=Sentence("region"))
    named = Sentence("did you mean {code} ({name})?", code="MA-09", name=region)

    assert (sentence, named) == ("unknown region", "did you mean MA-09 (Souss-Massa)?")
    assert i18n.in_language("fr", sentence) == "valeur inconnue (région)"
    assert i18n.in_language("ar", named) == "هل تقصدون MA-09 (سوس ماسة)؟"
    assert i18n.in_language("en", named) == named


def test_a_sentence_without_parameters_keeps_its_braces():
    text = "An update leaves the deadline as it is: move it forward with POST /calls/{id}/extend."

    assert Sentence(text) == text
    assert "POST /calls/{id}/extend" in i18n.in_language("fr", Sentence(text))


def test_what_no_catalogue_has_is_said_in_english():
    assert i18n.in_language("ar", Sentence("never said")) == "never said"


def test_stored_sentences_come_back_as_they_were():
    kept = Sentence("unknown {kind}", kind=Sentence("region"))
    name = Name(fr="Agadir", ar="أكادير")
    data = {"line": 2, "reason": kept, "header": None, "more": [kept, name, "x"]}

    again = from_json(as_json(data))

    assert again == data
    assert i18n.in_language("fr", again["reason"]) == i18n.in_language("fr", kept)
    assert again["more"][1].ar == "أكادير"
    assert pickle.loads(pickle.dumps(kept)).parameters == kept.parameters


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("*", "en"),
        ("ar", "ar"),
        ("AR-ma", "ar"),
        ("fr-MA,fr;q=0.9,en;q=0.8", "fr"),
        ("en;q=0.5, ar;q=0.7", "ar"),
        ("de, fr;q=0.2", "fr"),
        ("fr;q=0", "en"),
        ("fr;q=x", "en"),
        ("fr;q=7,ar;q=nan", "en"),
        (";;;,=,fr;level=1", "fr"),
        ("xx," * 1_000 + "ar", "en"),
    ],
)
def test_the_language_is_the_preferred_one_of_ours_and_english_for_machines(header, language):
    assert i18n.asked_language(header) == language


@pytest.mark.parametrize(
    ("locales", "language"),
    [
        ((None, "fr_MA.UTF-8"), "fr"),
        (("ar", "fr_FR"), "ar"),
        (("C.UTF-8", "fr_FR"), "en"),
        (("", "ar-MA"), "ar"),
        ((None,), "en"),
        (("zz_ZZ",), "en"),
    ],
)
def test_a_command_speaks_the_language_of_the_first_locale_that_is_set(locales, language):
    assert i18n.locale_language(*locales) == language
