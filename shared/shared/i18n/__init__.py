"""Every text that people read, in each language: catalogues, dates and amounts of money.

To change a text, such as the Arabic words of an alert, edit one entry of
`locale/ar/LC_MESSAGES/taawon.po`. Its `msgid` is the key that the code names: `territory.inside`
("توجد تعاونيتكم في …"), `complete.register`, `explanation.because.alerted`. To find the key of a
text that somebody saw, search that file for the words. Names in braces are filled in by the
code and must stay as they are; an entry with several `msgstr[n]` has one form for each plural of
the language, chosen by `{count}`. Nothing is compiled: the file is read when a process first needs
it.

To add a language, add the folder `locale/<code>/LC_MESSAGES/` with a copy of a `taawon.po`, and of
a `sentences.po`, and translate them; no Python changes. The header of the first says the rest:
`Language` is the locale of the Unicode CLDR for months, numbers and the direction of writing;
`Plural-Forms` is the rule of gettext; `X-Fallback`, in every language but Arabic and French, is the
language that what is not yet translated, the contents of events and the names of places are shown
in.

Errors and other sentences of the API and the commands are keyed by their English instead, which
machines get: `sentences.po` beside `taawon.po` has them as `msgid`. They are made by `Sentence`,
and said by `in_language`.

Plain spaces throughout: a no-break space makes an SMS cost double.
"""

from .catalogues import MissingText, translate
from .dates import city, day, numeric_day
from .languages import (
    LANGUAGES,
    Direction,
    ReaderLanguage,
    content_language,
    known_language,
    reader_language,
)
from .locales import direction
from .money import dirhams
from .sentences import (
    ENGLISH,
    SENTENCE_LANGUAGES,
    asked_language,
    in_language,
    locale_language,
    say_all,
)
from .terms import Terms

__all__ = [
    "ENGLISH",
    "LANGUAGES",
    "SENTENCE_LANGUAGES",
    "Direction",
    "MissingText",
    "ReaderLanguage",
    "Terms",
    "asked_language",
    "city",
    "content_language",
    "day",
    "direction",
    "dirhams",
    "in_language",
    "known_language",
    "locale_language",
    "numeric_day",
    "reader_language",
    "say_all",
    "translate",
]
