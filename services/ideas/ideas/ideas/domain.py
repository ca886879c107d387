"""An idea and the only ways it may change. Pure Python: no database, no broker, no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self, TypeVar
from uuid import UUID

from pydantic import Field, model_validator

from shared import reference
from shared.business_days import business_day
from shared.contracts.announcement import Announcement, AnnouncementTrack
from shared.contracts.base import (
    LANGUAGES,
    Contract,
    Language,
    Localized,
    LocalizedLong,
    PartlyLocalized,
    PartlyLocalizedLong,
    new_id,
)
from shared.contracts.criteria import Criteria
from shared.contracts.ideas import (
    IdeaPublished,
    IdeaReturned,
    IdeaSnapshot,
    IdeaState,
    IdeaWithdrawn,
    Origin,
    Readiness,
)
from shared.contracts.numbers import Amount, Goal, Jobs
from shared.errors import (
    Conflict,
    Forbidden,
    IllegalMove,
    NotFound,
    Problem,
    refuse_problems,
)
from shared.i18n import translate
from shared.lifecycle import refuse_unless_allowed, refuse_unless_expected
from shared.sentences import Sentence

MOST_OF_A_TITLE = 400
"""Characters of its title by which a returned idea is named."""


class State(StrEnum):
    """A draft is its owner's alone; submitted, moderators see it; published, everybody."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


MOVES: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.SUBMITTED, State.WITHDRAWN}),
    State.SUBMITTED: frozenset({State.PUBLISHED, State.DRAFT, State.WITHDRAWN}),
    State.PUBLISHED: frozenset({State.WITHDRAWN}),
    State.WITHDRAWN: frozenset(),
}


class UnknownIdea(NotFound):
    """There is no such idea, or it is not for you to see: check the id, or sign in as author."""


class OwnIdea(Conflict):
    """Nobody may judge an idea of their own: ask another moderator."""


class NotAuthor(Forbidden):
    """Only its owner changes, submits or withdraws an idea: whom it was filed for, else its author.

    A delegate who filed it goes on with a token that acts for them: POST /token of the registry.
    """


class OutsideTerritory(Forbidden):
    """A delegate moderates ideas that lie wholly in the delegation's provinces."""


class NotADraft(Conflict):
    """Only a draft may be changed: withdraw the idea and write a new one, or have it returned."""


class AlreadyWritten(Conflict):
    """A translation adds the language that is missing; a text that is there stays as it is."""


Texts = TypeVar("Texts", PartlyLocalized, PartlyLocalizedLong)


class Translation(Contract):
    """The texts of an idea in a language in which they were not written yet."""

    title: PartlyLocalized | None = None
    summary: PartlyLocalizedLong | None = None

    @model_validator(mode="after")
    def _translates_something(self) -> Self:
        if self.title is None and self.summary is None:
            raise ValueError(Sentence("give the title or the summary"))
        return self


def _with_translation(name: str, known: Texts, added: Texts) -> Texts:
    given = added.model_dump(exclude_none=True)
    if taken := sorted(given.keys() - known.missing):
        raise AlreadyWritten(field=f"{name}.{taken[0]}")
    return known.model_copy(update=given)


class IdeaContent(Contract):
    """What the author writes and the moderator reads; without regions and provinces, nationwide.

    Title and summary are both written in French or both in Arabic; the other language may follow.
    """

    title: PartlyLocalized
    summary: PartlyLocalizedLong
    regions: tuple[str, ...] = Field(default=(), max_length=12)
    provinces: tuple[str, ...] = Field(default=(), max_length=100)
    sectors: tuple[str, ...] = Field(default=(), max_length=100)
    budget_centimes: Amount | None = None
    jobs: Jobs | None = None
    sdgs: tuple[Goal, ...] = Field(default=(), max_length=17)
    readiness: Readiness = "raw"
    origin: Origin = "submitted"

    @model_validator(mode="after")
    def _is_whole_in_one_language(self) -> Self:
        if len(self.to_translate) == len(LANGUAGES):
            raise ValueError(Sentence("write title and summary in the same language"))
        return self

    @property
    def to_translate(self) -> tuple[Language, ...]:
        """The languages in which the title or the summary is not written yet."""
        missing = {*self.title.missing, *self.summary.missing}
        return tuple(each for each in LANGUAGES if each in missing)

    def translated(self, texts: Translation) -> IdeaContent:
        """The content with more texts. Raises AlreadyWritten for one that is there."""
        return self.model_copy(
            update={
                name: _with_translation(name, getattr(self, name), added)
                for name in ("title", "summary")
                if (added := getattr(texts, name)) is not None
            }
        )

    @property
    def is_national(self) -> bool:
        """Whether it names no territory, and so concerns the whole country."""
        return not self.regions and not self.provinces

    def all_provinces(self) -> frozenset[str]:
        """Every province that it names, or that lies in a region that it names."""
        through_region = {p.code for p in reference.provinces() if p.region in self.regions}
        return frozenset(self.provinces) | through_region

    def lies_within(self, provinces: frozenset[str]) -> bool:
        """Whether it concerns no province but these; a nationwide one never does."""
        return not self.is_national and self.all_provinces() <= provinces


@dataclass(eq=False, kw_only=True)
class Idea:
    """An idea of the bank. `version` grows by one with every change, published or not.

    `author_id` is who typed it; `on_behalf_of` is the person or cooperative that it belongs to, if
    it was filed for them. Neither may judge it, and only whom it belongs to may change it.
    """

    id: UUID
    author_id: UUID
    content: IdeaContent
    created_at: datetime
    on_behalf_of: UUID | None = None
    state: State = State.DRAFT
    version: int = 1
    was_submitted: bool = False
    published_at: datetime | None = None
    returned_because: str | None = None
    confirmed_audience: int | None = None
    words: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._set_content(self.content)

    def belongs_to(self, identities: frozenset[UUID]) -> bool:
        """Whether one of these identities (an account, its cooperatives) typed or owns the idea."""
        return bool(identities & {self.author_id, self.on_behalf_of})

    @property
    def is_known_to_moderators(self) -> bool:
        """Whether moderators may see it: not a draft, nor one withdrawn before it was submitted."""
        never_submitted = self.state is State.WITHDRAWN and not self.was_submitted
        return self.state is not State.DRAFT and not never_submitted

    def expect(self, version: int | None) -> None:
        """Raise ChangedMeanwhile if a step was decided on another version; None is no condition."""
        refuse_unless_expected("idea", self.version, version)

    def revise(self, content: IdeaContent, *, by: frozenset[UUID]) -> None:
        """Replace the content of a draft. Raises NotAuthor, NotADraft or Invalid."""
        self._require_owner(by)
        if self.state is not State.DRAFT:
            raise NotADraft(
                Sentence(
                    "the idea is {state}: only a draft may be changed", state=Sentence(self.state)
                )
            )
        self._set_content(content)
        self.version += 1

    def require_deletable(self, *, by: frozenset[UUID]) -> None:
        """Raise NotAuthor, or NotADraft for what is more than a draft: others read it.

        Nobody was alerted of a draft, so its end is no event.
        """
        self._require_owner(by)
        if self.state is not State.DRAFT:
            raise NotADraft(
                Sentence(
                    "the idea is {state}: only a draft may be deleted; withdraw it instead",
                    state=Sentence(self.state),
                )
            )

    def submit(self, *, by: frozenset[UUID]) -> None:
        """Hand the draft to the moderators. Raises NotAuthor or IllegalMove."""
        self._require_owner(by)
        self._move_to(State.SUBMITTED)
        self.was_submitted = True
        self.returned_because = None

    def publish(
        self, *, by: frozenset[UUID], at: datetime, confirmed_audience: int | None = None
    ) -> IdeaPublished:
        """Make a submitted idea public. Raises OwnIdea or IllegalMove.

        `confirmed_audience` is how many recipients the moderator saw in a preview; every event of
        the idea carries it.
        """
        self._require_unrelated(by)
        self._move_to(State.PUBLISHED)
        self.published_at = at
        self.confirmed_audience = confirmed_audience
        return IdeaPublished(
            idea_id=self.id,
            idea=self._snapshot("published"),
            occurred_at=at,
            aggregate_version=self.version,
        )

    def send_back(self, *, by: frozenset[UUID], reason: str, at: datetime) -> IdeaReturned | None:
        """Make a submitted idea a draft again, with the reason for its owner.

        The event alerts whom it was filed for; None where an account wrote it for itself, for it
        has no inbox. Raises OwnIdea or IllegalMove.
        """
        self._require_unrelated(by)
        if self.state is not State.SUBMITTED:
            raise IllegalMove(
                Sentence(
                    "the idea is {state}: only a submitted idea can be returned",
                    state=Sentence(self.state),
                )
            )
        self._move_to(State.DRAFT)
        self.returned_because = reason
        return self._returned(reason, at) if self.on_behalf_of is not None else None

    def translate(
        self, texts: Translation, *, by: frozenset[UUID], at: datetime, is_operator: bool
    ) -> IdeaPublished | None:
        """Add texts in a language that is missing: its owner, or an operator. Nothing else changes.

        The event of a public idea; None of another, which nobody has read. Raises NotAuthor,
        AlreadyWritten, or IllegalMove for one that was withdrawn.
        """
        if not is_operator:
            self._require_owner(by)
        if self.state is State.WITHDRAWN:
            raise IllegalMove(Sentence("the idea was withdrawn: nothing of it is translated"))
        self._set_content(self.content.translated(texts))
        self.version += 1
        if self.state is not State.PUBLISHED:
            return None
        return IdeaPublished(
            idea_id=self.id,
            idea=self._snapshot("published"),
            occurred_at=at,
            aggregate_version=self.version,
        )

    def withdraw(
        self, *, by: frozenset[UUID], at: datetime, reason: str | None = None
    ) -> IdeaWithdrawn | None:
        """Take the idea back for good. Raises NotAuthor or IllegalMove.

        None unless it was published: then nobody has been alerted of it.
        """
        self._require_owner(by)
        was_public = self.state is State.PUBLISHED
        self._move_to(State.WITHDRAWN)
        if not was_public:
            return None
        return IdeaWithdrawn(
            idea_id=self.id,
            idea=self._snapshot("withdrawn"),
            reason=reason,
            occurred_at=at,
            aggregate_version=self.version,
        )

    def newest_event(self) -> IdeaPublished | IdeaWithdrawn:
        """The event of the present state, for consumers that rebuild their copy of a public idea.

        The reason of a withdrawal is published once and is not stored, so it is left out here.
        """
        assert self.published_at is not None
        if self.state is State.WITHDRAWN:
            return IdeaWithdrawn(
                idea_id=self.id, idea=self._snapshot("withdrawn"), aggregate_version=self.version
            )
        return IdeaPublished(
            idea_id=self.id,
            idea=self._snapshot("published"),
            occurred_at=self.published_at,
            aggregate_version=self.version,
        )

    def _returned(self, reason: str, at: datetime) -> IdeaReturned:
        announcement_id = new_id()
        return IdeaReturned(
            announcement_id=announcement_id,
            announcement=Announcement(
                announcement_id=announcement_id,
                service="ideas",
                kind="returned_idea",
                version=1,
                state="open",
                title=Localized(**{each: self._returned_title(each) for each in LANGUAGES}),
                text=LocalizedLong(
                    **{each: translate(each, "idea.returned", reason=reason) for each in LANGUAGES}
                ),
                tracks=(AnnouncementTrack(criteria=Criteria()),),
                reference_on=business_day(at),
                addressed_to=self.on_behalf_of,
            ),
            occurred_at=at,
        )

    def _returned_title(self, language: Language) -> str:
        title = self.content.title.in_language(language)[:MOST_OF_A_TITLE]
        return translate(language, "idea.returned.title", title=title)

    def _require_owner(self, by: frozenset[UUID]) -> None:
        if (self.on_behalf_of or self.author_id) not in by:
            raise NotAuthor

    def _require_unrelated(self, by: frozenset[UUID]) -> None:
        if self.belongs_to(by):
            raise OwnIdea

    def _move_to(self, target: State) -> None:
        refuse_unless_allowed(MOVES, "idea", self.state, target)
        self.state = target
        self.version += 1

    def _set_content(self, content: IdeaContent) -> None:
        check_codes(content)
        self.content = content
        texts = (content.title.fr, content.title.ar, content.summary.fr, content.summary.ar)
        self.words = reference.fold(" ".join(text for text in texts if text))

    def _snapshot(self, state: IdeaState) -> IdeaSnapshot:
        return IdeaSnapshot(
            idea_id=self.id,
            version=self.version,
            state=state,
            published_at=self.published_at,
            author_id=self.author_id,
            on_behalf_of=self.on_behalf_of,
            confirmed_audience=self.confirmed_audience,
            to_translate=self.content.to_translate,
            **dict(self.content),
        )


def require_moderator_of(idea: Idea, provinces: frozenset[str]) -> None:
    """Raise OutsideTerritory unless the idea lies wholly in a delegate's provinces.

    A nationwide idea lies in nobody's.
    """
    content = idea.content
    outside = sorted(content.all_provinces() - provinces)
    if content.is_national:
        raise OutsideTerritory(Sentence("the idea is nationwide: an operator has to judge it"))
    if outside:
        raise OutsideTerritory(
            Sentence(
                "the idea also concerns {outside}, outside your delegation: an operator has to"
                " judge it",
                outside=", ".join(outside[:5]),
            )
        )


def check_codes(content: IdeaContent) -> None:
    """Raise Invalid for unknown and repeated codes, with each field and the nearest real code."""
    refuse_problems(_code_problems(content))


def _code_problems(content: IdeaContent) -> Iterator[Problem]:
    for name, find in (
        ("regions", reference.region),
        ("provinces", reference.province),
        ("sectors", reference.sector),
    ):
        yield from _problems_of(name, getattr(content, name), find)
    yield from _repeats("sdgs", content.sdgs)


def _problems_of(
    name: str, codes: tuple[str, ...], find: Callable[[str], object]
) -> Iterator[Problem]:
    yield from _repeats(name, codes)
    for index, code in enumerate(codes):
        try:
            find(code)
        except reference.UnknownCode as error:
            yield Problem(f"{name}.{index}", error.detail)


def _repeats(name: str, values: Sequence[object]) -> list[Problem]:
    return [
        Problem(f"{name}.{index}", Sentence("{value} is named twice: leave one out", value=value))
        for index, value in enumerate(values)
        if value in values[:index]
    ]
