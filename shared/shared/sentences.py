"""Sentences for the people who use the platform: English here, other languages in catalogues.

A sentence is its English text, so whatever takes a text takes it: a log, a test, a machine. Beside
the text it keeps the template and the parameters, from which `shared.i18n.in_language` says the
same in the language that a reader asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Sentence(str):
    """A sentence with its parameters: `Sentence("give at most {most} codes", most=20)`.

    The template is written out where it is used, so that a test finds what no catalogue has. A
    parameter that is a sentence or a `Name` is said in the same language as the whole.
    """

    template: str
    parameters: Mapping[str, object]

    def __new__(cls, template: str, /, **parameters: object) -> Sentence:
        """The sentence; a template without parameters is taken as it is, braces and all."""
        english = str(template)
        made = super().__new__(cls, english.format_map(parameters) if parameters else english)
        made.template, made.parameters = english, parameters
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return from_json, (self.as_data(),)

    def as_data(self) -> dict[str, Any]:
        """The sentence as JSON that is stored; `from_json` makes it a sentence again."""
        return {"sentence": self.template} | (
            {"parameters": {name: _as_data(each) for name, each in self.parameters.items()}}
            if self.parameters
            else {}
        )

    def replace_parameters(self, **parameters: object) -> Sentence:
        """The same sentence with other values for some of its parameters."""
        known = {name: each for name, each in parameters.items() if name in self.parameters}
        return Sentence(self.template, **{**self.parameters, **known})


class Name(str):
    """A name that each language has its own of, such as that of a province; French for others."""

    ar: str

    def __new__(cls, *, fr: str, ar: str) -> Name:
        """The name in both languages that the platform's own data is in."""
        made = super().__new__(cls, fr)
        made.ar = ar
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return from_json, (self.as_data(),)

    def as_data(self) -> dict[str, str]:
        """The name as JSON that is stored."""
        return {"fr": str(self), "ar": self.ar}


def _as_data(value: object) -> Any:
    if isinstance(value, Sentence | Name):
        return value.as_data()
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)


def as_json(data: Any) -> Any:
    """JSON data with every sentence in it as data of its own; `from_json` is the way back."""
    if isinstance(data, Sentence | Name):
        return data.as_data()
    if isinstance(data, dict):
        return {key: as_json(each) for key, each in data.items()}
    return [as_json(each) for each in data] if isinstance(data, list) else data


def from_json(data: Any) -> Any:
    """The data with the sentences that it had."""
    if isinstance(data, list):
        return [from_json(each) for each in data]
    if not isinstance(data, dict):
        return data
    if data.keys() <= {"sentence", "parameters"} and data:
        return Sentence(data["sentence"], **from_json(data.get("parameters", {})))
    if data.keys() == {"fr", "ar"}:
        return Name(**data)
    return {key: from_json(each) for key, each in data.items()}


def sentence_of(error: BaseException) -> Sentence:
    """What an error was raised with, as a sentence."""
    said = error.args[0] if error.args else type(error).__name__
    return said if isinstance(said, Sentence) else Sentence(str(said))


def joined(sentences: list[Sentence], sign: str = "; ") -> Sentence:
    """Several sentences as one, in their order, with a sign between them."""
    names = [f"part{number}" for number in range(len(sentences))]
    template = sign.join(f"{{{name}}}" for name in names)
    return Sentence(template, **dict(zip(names, sentences, strict=True)))
