"""Texts for the codes of a list: one key for each code, all named in one place."""

from __future__ import annotations

from collections.abc import Iterable

from .catalogues import Value, text_of


class Terms:
    """The texts `<prefix>.<code>`, one for each code.

    Declared at the top of a module, with a literal prefix, so that a test finds all of them. Every
    text may use any of `parameters`, the same ones in each language.
    """

    def __init__(
        self, prefix: str, codes: Iterable[str], *, parameters: tuple[str, ...] = ()
    ) -> None:
        self.parameters = frozenset(parameters)
        self.ids = {str(code): f"{prefix}.{code}" for code in codes}

    def __contains__(self, code: str) -> bool:
        return str(code) in self.ids

    def text(self, language: str, code: str, /, **parameters: Value) -> str:
        """The text of this code. Raises KeyError for a code that the list does not have."""
        return text_of(language, self.ids[str(code)], parameters)

    def name(self, language: str, code: str, /) -> str:
        """The text of this code, or the code itself where a newer sender sent an unknown one."""
        return self.text(language, code) if code in self else str(code)
