"""The base of every event that crosses the broker, and the registry of all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.fields import FieldInfo

from shared.errors import Conflict
from shared.sentences import Sentence
from shared.spelling import control_character

TOPIC_PATTERN = r"^[a-z]+\.[a-z_]+\.[a-z_]+\.v[1-9][0-9]*$"

Language = Literal["ar", "fr"]
"""The languages that events carry texts in. The list is closed on purpose: `Localized` has a field
for each, so one more would need new versions of every event with a text. The languages of readers
are open: `LanguageCode` here, and at the edges those that have a catalogue (`shared.i18n`).
"""

LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""The language that somebody reads, by its ISO 639 code: `fr`, `zgh`."""


def _without_controls(text: str) -> str:
    if found := control_character(text):
        raise ValueError(
            Sentence("the control character {found} is no text: leave it out", found=found)
        )
    return text


WithoutControls = AfterValidator(_without_controls)
"""Refuses control characters, which give orders to terminals or turn the direction of text around.

Tabs and line ends are text.
"""


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    WithoutControls,
]
LongText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=8000),
    WithoutControls,
]


def _not_nil(value: uuid.UUID) -> uuid.UUID:
    if value.int == 0:
        raise ValueError(
            Sentence("the nil UUID is the id of nothing: give the id of what is meant")
        )
    return value


Id = Annotated[uuid.UUID, AfterValidator(_not_nil)]
"""The id of something. The nil UUID, which programs send for "none", is refused."""

Audience = Annotated[int, Field(ge=0, le=10_000_000)]
"""How many recipients somebody saw before publishing: the eligible and the unknown together."""

PUBLIC_MARK = "x-public"
"""The keyword that schemas have for it; others than the standard's begin with `x-`."""
PUBLIC: dict[str, Any] = {PUBLIC_MARK: True}
"""Marks a field that partner institutions may see: `Field(json_schema_extra=PUBLIC)`."""


MOST_VERSIONS = 1_000_000
"""No aggregate changes more often; a higher version comes from a broken or hostile sender."""
LARGEST_VERSION_GAP = 1_000
"""How far a version may be ahead of the newest one that a consumer knows.

The newest version wins for good, so one that is far off would silence every true one after it.
"""

MOST_EVENT_BYTES = 1024 * 1024
"""Of an event on the wire, which is JSON in UTF-8: consumers refuse a larger one for good, so the
outbox takes none."""

Version = Annotated[int, Field(ge=1, le=MOST_VERSIONS)]


class ImplausibleVersion(Conflict):
    """This version is further ahead of the one known than changes can have come: see its sender."""


def refuse_version_gap(known: int, received: int) -> None:
    """Refuse with `ImplausibleVersion` a version too far ahead of the known one.

    It would silence every version that truly comes after the known one.
    """
    if received > known + LARGEST_VERSION_GAP:
        raise ImplausibleVersion


def new_id() -> uuid.UUID:
    """A fresh random identifier for an event or an aggregate."""
    return uuid.uuid4()


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class Contract(BaseModel):
    """Plain data of a contract: frozen, and tolerant of fields that a newer sender added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_ONE_OF_BOTH: Final[dict[str, Any]] = {
    "anyOf": [
        {"required": [language], "properties": {language: {"type": "string"}}}
        for language in LANGUAGES
    ]
}


class _InLanguages(Contract):
    """A text by language; whoever reads the other one gets the text that there is."""

    fr: str | None
    ar: str | None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.fr and not self.ar:
            raise ValueError(Sentence("write it in French or in Arabic, or in both"))
        return self

    def language_for(self, reader: Language) -> Language:
        """The language in which a reader of this one gets the text."""
        other: Language = "fr" if reader == "ar" else "ar"
        return reader if getattr(self, reader) else other

    def in_language(self, reader: Language) -> str:
        """The text in this language, or in the other one where it is written in that alone."""
        return str(getattr(self, self.language_for(reader)))

    @property
    def missing(self) -> tuple[Language, ...]:
        """The languages in which the text is still to be written."""
        return tuple(each for each in LANGUAGES if not getattr(self, each))

    def completed_by(self, other: Self) -> Self:
        """This text with the translation that another version adds; none of a rewritten one."""
        own = [each for each in LANGUAGES if getattr(self, each)]
        if any(getattr(self, each) != getattr(other, each) for each in own):
            return self
        return self.model_copy(update={each: getattr(other, each) for each in self.missing})


class PartlyLocalized(_InLanguages):
    """A text in French, in Arabic or in both, at most 500 characters each. Null is not written yet:
    readers of that language get the other one, marked as such."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_BOTH)

    fr: Text | None = None
    ar: Text | None = None


class PartlyLocalizedLong(_InLanguages):
    """A long text in French, in Arabic or in both, at most 8,000 characters each; null as above."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_BOTH)

    fr: LongText | None = None
    ar: LongText | None = None


class Localized(PartlyLocalized):
    """A text in French and Arabic, at most 500 characters each. Readers get their own language.

    Both are needed, for what institutions publish: people write `PartlyLocalized`.
    """

    model_config = ConfigDict(json_schema_extra={})

    fr: Text
    ar: Text


class LocalizedLong(PartlyLocalizedLong):
    """A long text in French and Arabic, at most 8,000 characters each. Both are needed."""

    model_config = ConfigDict(json_schema_extra={})

    fr: LongText
    ar: LongText


class Event(Contract):
    """Something that has happened. Each subclass sets `topic` and says what is true from now on.

    `topic` is `<service>.<aggregate>.<past participle>.v<N>`; it is also the routing key and the
    CloudEvents `type`. `event_id` is the message id on the broker and stays the same however often
    the event is sent. `aggregate_version` grows by one with every change of the aggregate:
    consumers keep the newest content they have seen and never rely on the order of arrival.
    """

    topic: ClassVar[str]
    any_service: ClassVar[bool] = False
    """Whether any service may publish it, by a subclass with a topic of its own.

    The first word of this class's topic, `service`, then stands for the name of the publisher.
    """
    aggregate_field: ClassVar[str]
    """Name of the field that identifies the aggregate; events of one aggregate leave in order."""
    records_field: ClassVar[str] = ""
    """Of a batch: the field that lists its records, each of which could be an event of its own."""
    record_key: ClassVar[str] = ""
    """Of a batch: the field of a record that identifies what it is about, by a UUID."""

    event_id: Id = Field(default_factory=new_id)
    occurred_at: AwareDatetime = Field(default_factory=now)
    aggregate_version: Version = 1

    @classmethod
    def routing_key(cls) -> str:
        """The routing key by which a queue is bound to these events."""
        return f"*.{cls.topic.partition('.')[2]}" if cls.is_generic() else cls.topic

    @classmethod
    def is_generic(cls) -> bool:
        """Whether any service may publish it; a subclass belongs to the service that declares it"""
        return bool(cls.__dict__.get("any_service", False))

    @classmethod
    def is_type(cls, topic: str | None) -> bool:
        """Whether this class describes the events of this topic."""
        if cls.is_generic() and topic:
            return topic.partition(".")[2] == cls.topic.partition(".")[2]
        return topic == cls.topic

    def is_from(self, topic: str | None) -> bool:
        """Whether the service that the event names, if any, is that of the topic it came under."""
        return True

    @property
    def aggregate_id(self) -> uuid.UUID:
        """The id of the aggregate, from the field that `aggregate_field` names."""
        value = getattr(self, self.aggregate_field)
        assert isinstance(value, uuid.UUID)
        return value

    def public_data(self) -> dict[str, Any]:
        """The fields a partner may see, as plain JSON data; a field not marked is left out."""
        return _public_only(self, self.model_dump(mode="json"))


def is_public(field: FieldInfo) -> bool:
    """Whether partners may see this field. The default is no."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get(PUBLIC_MARK) is True


def _public_only(model: BaseModel, data: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _public_value(getattr(model, name), data[name])
        for name, field in type(model).model_fields.items()
        if is_public(field)
    }


def _public_value(value: Any, data: Any) -> Any:
    if isinstance(value, tuple):
        return [_public_value(v, d) for v, d in zip(value, data, strict=True)]
    if isinstance(value, BaseModel) and any(
        is_public(f) for f in type(value).model_fields.values()
    ):
        return _public_only(value, data)
    return data


def all_events() -> Iterator[type[Event]]:
    """Every declared event, sorted by topic. Import the contract modules first."""

    def walk(cls: type[Event]) -> Iterator[type[Event]]:
        for child in cls.__subclasses__():
            if "topic" in child.__dict__:
                yield child
            yield from walk(child)

    return iter(sorted(walk(Event), key=lambda event: event.topic))
