"""Every rule of an idea, and every forbidden move."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from itertools import product

import pytest
from pydantic import ValidationError

from ideas.ideas.domain import (
    MOVES,
    Idea,
    NotADraft,
    NotAuthor,
    OutsideTerritory,
    OwnIdea,
    State,
    require_moderator_of,
)
from shared.contracts.ideas import IdeaPublished, IdeaWithdrawn
from shared.errors import ChangedMeanwhile, IllegalMove, Invalid

from .builders import AUTHOR, COOPERATIVE, NOON, an_idea, as_author, as_moderator, some_content

SOUSS = frozenset({"MA-AGD", "MA-CHT", "MA-INE", "MA-TAR", "MA-TAT", "MA-TIZ"})


def test_publishing_a_submitted_idea_makes_an_event_of_the_whole_idea():
    idea = an_idea(state=State.SUBMITTED, version=2)

    event = idea.publish(by=as_moderator(), at=NOON)

    assert idea.state is State.PUBLISHED
    assert (event.topic, event.idea_id) == (IdeaPublished.topic, idea.id)
    assert (event.aggregate_version, event.idea.version, idea.version) == (3, 3, 3)
    assert event.idea.budget_centimes == 25_000_000
    assert event.idea.published_at == NOON


@pytest.mark.parametrize(
    ("start", "target"), [(s, t) for s, t in product(State, State) if t not in MOVES[s]]
)
def test_every_move_not_in_the_table_is_refused(start: State, target: State):
    idea = an_idea(state=start, version=7)

    with pytest.raises(IllegalMove):
        idea._move_to(target)

    assert (idea.state, idea.version) == (start, 7)


STEPS: dict[str, tuple[Callable[[Idea], object], set[State]]] = {
    "submit": (lambda idea: idea.submit(by=as_author()), {State.DRAFT}),
    "publish": (lambda idea: idea.publish(by=as_moderator(), at=NOON), {State.SUBMITTED}),
    "send back": (
        lambda idea: idea.send_back(by=as_moderator(), reason="trop court", at=NOON),
        {State.SUBMITTED},
    ),
    "withdraw": (
        lambda idea: idea.withdraw(by=as_author(), at=NOON),
        {
            State.DRAFT,
            State.SUBMITTED,
            State.PUBLISHED,
        },
    ),
}


@pytest.mark.parametrize(
    ("step", "start"), [(k, s) for k, s in product(STEPS, State) if s not in STEPS[k][1]]
)
def test_a_step_is_refused_in_every_other_state(step: str, start: State):
    idea = an_idea(state=start)

    with pytest.raises(IllegalMove):
        STEPS[step][0](idea)

    assert idea.state is start


def test_each_change_raises_the_version_by_one():
    idea = an_idea()

    idea.revise(some_content(jobs=3), by=as_author())
    idea.submit(by=as_author())
    idea.publish(by=as_moderator(), at=NOON)
    withdrawn = idea.withdraw(by=as_author(), at=NOON)

    assert idea.version == 5
    assert withdrawn is not None
    assert withdrawn.idea.version == 5


@pytest.mark.parametrize("start", [s for s in State if s is not State.DRAFT])
def test_only_a_draft_may_be_revised(start: State):
    idea = an_idea(state=start)

    with pytest.raises(NotADraft):
        idea.revise(some_content(jobs=3), by=as_author())

    assert idea.content.jobs == 14


@pytest.mark.parametrize("start", [s for s in State if s is not State.DRAFT])
def test_only_a_draft_may_be_deleted(start: State):
    with pytest.raises(NotADraft, match="withdraw it instead"):
        an_idea(state=start).require_deletable(by=as_author())


def test_an_author_cannot_publish_their_own_idea():
    idea = an_idea(state=State.SUBMITTED)

    with pytest.raises(OwnIdea):
        idea.publish(by=as_author(), at=NOON)

    assert idea.state is State.SUBMITTED


def test_an_author_cannot_return_their_own_idea():
    idea = an_idea(state=State.SUBMITTED)

    with pytest.raises(OwnIdea):
        idea.send_back(by=as_author(), reason="trop court", at=NOON)


def test_whom_an_idea_was_filed_for_cannot_judge_it_either():
    idea = an_idea(state=State.SUBMITTED, on_behalf_of=COOPERATIVE)
    member_and_moderator = frozenset({uuid.uuid4(), COOPERATIVE})

    with pytest.raises(OwnIdea):
        idea.publish(by=member_and_moderator, at=NOON)


@pytest.mark.parametrize("step", ["submit", "withdraw", "revise", "delete"])
def test_a_stranger_cannot_act_for_the_author(step: str):
    idea = an_idea()
    stranger = frozenset({uuid.uuid4()})
    act = {
        "submit": lambda: idea.submit(by=stranger),
        "withdraw": lambda: idea.withdraw(by=stranger, at=NOON),
        "revise": lambda: idea.revise(some_content(), by=stranger),
        "delete": lambda: idea.require_deletable(by=stranger),
    }[step]

    with pytest.raises(NotAuthor):
        act()


def test_the_cooperative_that_an_idea_was_filed_for_may_withdraw_it():
    idea = an_idea(on_behalf_of=COOPERATIVE)

    idea.withdraw(by=frozenset({uuid.uuid4(), COOPERATIVE}), at=NOON)

    assert idea.state is State.WITHDRAWN


@pytest.mark.parametrize("step", ["submit", "withdraw", "revise"])
def test_having_typed_an_idea_for_somebody_gives_no_say_over_it(step: str):
    idea = an_idea(on_behalf_of=COOPERATIVE)
    act = {
        "submit": lambda: idea.submit(by=as_author()),
        "withdraw": lambda: idea.withdraw(by=as_author(), at=NOON),
        "revise": lambda: idea.revise(some_content(), by=as_author()),
    }[step]

    with pytest.raises(NotAuthor):
        act()


def test_withdrawing_a_published_idea_makes_an_event_with_the_reason():
    idea = an_idea(state=State.SUBMITTED)
    idea.publish(by=as_moderator(), at=NOON)

    event = idea.withdraw(by=as_author(), at=NOON, reason="projet abandonné")

    assert isinstance(event, IdeaWithdrawn)
    assert (event.idea.state, event.reason) == ("withdrawn", "projet abandonné")
    assert event.idea.published_at == NOON


@pytest.mark.parametrize("start", [State.DRAFT, State.SUBMITTED])
def test_withdrawing_an_idea_that_was_never_published_makes_no_event(start: State):
    idea = an_idea(state=start)

    event = idea.withdraw(by=as_author(), at=NOON)

    assert event is None
    assert idea.state is State.WITHDRAWN


def test_a_returned_idea_is_a_draft_again_and_keeps_the_reason_until_it_is_submitted():
    idea = an_idea(state=State.SUBMITTED)

    idea.send_back(by=as_moderator(), reason="le budget manque", at=NOON)
    returned = (idea.state, idea.returned_because)
    idea.submit(by=as_author())

    assert returned == (State.DRAFT, "le budget manque")
    assert idea.returned_because is None


def test_a_delegate_may_judge_an_idea_of_a_region_that_the_delegation_holds_whole():
    require_moderator_of(an_idea(), SOUSS)


@pytest.mark.parametrize(
    ("places", "word"),
    [
        ({"regions": ["MA-09"]}, "MA-TIZ"),
        ({"regions": [], "provinces": ["MA-AGD", "MA-MAR"]}, "MA-MAR"),
        ({"regions": [], "provinces": []}, "nationwide"),
    ],
)
def test_a_delegate_may_not_judge_an_idea_that_reaches_further(
    places: dict[str, object], word: str
):
    idea = an_idea(content=some_content(**places))

    with pytest.raises(OutsideTerritory, match=word):
        require_moderator_of(idea, SOUSS - {"MA-TIZ"})


def test_unknown_codes_are_all_named_with_the_nearest_one_that_exists():
    content = some_content(regions=["MA-09", "MA-99"], provinces=["MA-TZ"], sectors=["ARGANE"])

    with pytest.raises(Invalid) as refusal:
        an_idea(content=content)

    assert {p.field for p in refusal.value.problems} == {"regions.1", "provinces.0", "sectors.0"}
    assert "ARGAN" in refusal.value.detail


def test_a_code_named_twice_is_refused():
    with pytest.raises(Invalid) as refusal:
        an_idea(content=some_content(sectors=["ARGAN", "ARGAN"], sdgs=[5, 5]))

    assert [p.field for p in refusal.value.problems] == ["sectors.1", "sdgs.1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sdgs": [0]},
        {"sdgs": [18]},
        {"budget_centimes": 0},
        {"budget_centimes": 10**16},
        {"budget_centimes": 1.5},
        {"jobs": -1},
        {"readiness": "ready"},
        {"title": {"fr": None, "ar": None}},
        {"title": {"fr": "Argan"}, "summary": {"ar": "فكرة"}},
        {"summary": {"fr": "x" * 8001, "ar": "ملخص"}},
    ],
)
def test_content_outside_its_bounds_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        some_content(**wrong)


def test_a_step_decided_on_an_older_version_is_refused():
    idea = an_idea(version=4)

    with pytest.raises(ChangedMeanwhile):
        idea.expect(3)


def test_searches_look_into_words_without_accents_in_both_languages():
    idea = an_idea()

    assert "huile d argane tracable" in idea.words
    assert "اركان" in idea.words


def test_the_author_of_a_draft_is_whoever_typed_it():
    assert an_idea().belongs_to(frozenset({AUTHOR}))
