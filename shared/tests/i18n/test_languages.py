"""A folder with a catalogue is a language: no Python code lists them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from shared import i18n
from shared.sentences import Sentence

STANDARD_AMAZIGH = """
msgid ""
msgstr ""
"Language: zgh\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"
"X-Fallback: ar\\n"

msgid "register.field.sector"
msgstr "ⵉⴳⵔ"

msgid "list.comma"
msgstr ""

msgid "count.members"
msgid_plural "count.members"
msgstr[0] ""
msgstr[1] ""
"""


@pytest.fixture
def with_amazigh(tmp_path, monkeypatch):
    """A copy of the package with one more language."""
    copy = tmp_path / "i18n_with_amazigh"
    shutil.copytree(Path(i18n.__file__).parent, copy, ignore=shutil.ignore_patterns("*.pyc"))
    file = copy / "locale" / "zgh" / "LC_MESSAGES" / "taawon.po"
    file.parent.mkdir(parents=True)
    file.write_text(STANDARD_AMAZIGH, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return import_module(copy.name)


def test_a_folder_with_a_catalogue_is_a_language(with_amazigh):
    assert with_amazigh.LANGUAGES == ("ar", "fr", "zgh")
    assert with_amazigh.reader_language("zgh") == "zgh"
    assert with_amazigh.translate("zgh", "register.field.sector") == "ⵉⴳⵔ"
    assert with_amazigh.direction("zgh") == "ltr"
    unknown = Sentence("unknown {kind}", kind=Sentence("region"))
    assert with_amazigh.asked_language("zgh-MA, fr;q=0.5") == "zgh"
    assert with_amazigh.in_language("zgh", unknown) == i18n.in_language("ar", unknown)
    assert with_amazigh.day("zgh", date(2027, 9, 2)) == "2 ⵛⵓⵜⴰⵏⴱⵉⵔ 2027"
    accepted = TypeAdapter(with_amazigh.ReaderLanguage)
    assert accepted.validate_python("zgh") == "zgh"
    assert accepted.json_schema() == {"type": "string", "enum": ["ar", "fr", "zgh"]}


def test_a_missing_text_is_shown_in_the_fallback_language_of_the_header(with_amazigh):
    shown = with_amazigh.translate("zgh", "count.members", count=2)

    assert shown == "عضوان"
    assert with_amazigh.translate("zgh", "list.comma") == "، "
    assert with_amazigh.content_language("zgh") == "ar"


def test_a_language_without_a_catalogue_is_refused_and_its_readers_get_arabic():
    with pytest.raises(ValidationError, match="choose one of ar, fr"):
        TypeAdapter(i18n.ReaderLanguage).validate_python("zgh")
    assert i18n.reader_language("zgh") == "ar"


def test_babel_is_loaded_with_the_first_text_and_not_before():
    program = """
import sys, shared.i18n
assert "babel" not in sys.modules
shared.i18n.translate("fr", "list.comma")
assert "babel" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_each_language_has_its_direction():
    assert [i18n.direction(language) for language in ("ar", "fr")] == ["rtl", "ltr"]


def test_a_key_that_no_catalogue_has_is_an_error():
    with pytest.raises(i18n.MissingText, match=r"no\.such\.text"):
        i18n.translate("fr", "no.such.text")
