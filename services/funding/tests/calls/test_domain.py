"""Every rule of a call, and every forbidden move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from funding.calls.domain.call import (
    MOVES,
    Call,
    DeadlineFixed,
    DeadlineOnlyForward,
    DeadlinePassed,
    NotADraft,
    NotOpen,
    PastDeadline,
    StandingCall,
    State,
)
from shared.contracts.funding import CallOpened
from shared.errors import ChangedMeanwhile, Conflict, IllegalMove

from .builders import IN_A_WEEK, NOON, a_call, a_deadline, a_track, some_terms

LATER = IN_A_WEEK + timedelta(days=7)


def test_opening_a_draft_publishes_the_whole_call():
    call = a_call()

    event = call.open(at=NOON)

    assert (event.topic, event.call_id) == (CallOpened.topic, call.id)
    assert (event.call.version, event.aggregate_version, call.version) == (2, 2, 2)
    assert (event.call.state, event.call.opened_at) == ("open", NOON)
    assert event.call.deadline == a_deadline()
    assert event.call.tracks[0].max_grant_centimes == 30_000_000


def test_every_event_of_a_call_says_in_words_what_each_track_gives():
    own_share = {**a_track(), "min_own_share_percent": 30}
    call = a_call(terms=some_terms(kind="loan", tracks=[a_track(), own_share]))

    event = call.open(at=NOON)

    assert [track.offer.model_dump() for track in event.call.tracks if track.offer] == [
        {
            "fr": "Prêt : jusqu'à 300 000 DH, 60 % du coût au plus",
            "ar": "قرض: في حدود 300.000 درهم، 60 % من التكلفة على الأكثر",
        },
        {
            "fr": "Prêt : jusqu'à 300 000 DH, 60 % du coût au plus, apport d'au moins 30 %",
            "ar": "قرض: في حدود 300.000 درهم، 60 % من التكلفة على الأكثر،"
            " مساهمة ذاتية لا تقل عن 30 %",
        },
    ]
    assert event.public_data()["call"]["tracks"][0]["offer"]["fr"].startswith("Prêt")


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 30, 22, 30, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 11, 30, 23, 30, tzinfo=UTC), date(2026, 12, 1)),
        # In Ramadan the clock in Morocco is that of UTC.
        (datetime(2026, 2, 24, 23, 30, tzinfo=UTC), date(2026, 2, 24)),
    ],
)
@pytest.mark.parametrize("zone", ["Africa/Casablanca", "Asia/Tokyo"])
def test_ages_are_measured_on_the_opening_day_in_morocco_whatever_the_zone_of_the_deadline(
    at, day, zone
):
    call = a_call(zone=zone)

    assert call.open(at=at).call.reference_on == day


def test_a_reference_day_that_the_funder_chose_is_kept():
    call = a_call(terms=some_terms(reference_on="2026-06-30"))

    event = call.open(at=NOON)

    assert event.call.reference_on == date(2026, 6, 30)


@pytest.mark.parametrize(
    ("start", "target"), [(s, t) for s, t in product(State, State) if t not in MOVES[s]]
)
def test_every_move_not_in_the_table_is_refused(start: State, target: State):
    call = a_call(state=start)
    version = call.version

    with pytest.raises(IllegalMove):
        call._move_to(target)

    assert (call.state, call.version) == (start, version)


STEPS: dict[str, tuple[Callable[[Call], object], set[State]]] = {
    "open": (lambda call: call.open(at=NOON), {State.DRAFT}),
    "revise": (lambda call: call.revise(some_terms(), a_deadline(), at=NOON), {State.DRAFT}),
    "amend": (lambda call: call.amend(some_terms(kind="prize"), None, at=NOON), {State.OPEN}),
    "extend": (lambda call: call.extend(a_deadline(LATER), reason="pluie", at=NOON), {State.OPEN}),
    "close": (lambda call: call.close(at=NOON), {State.OPEN}),
    "cancel": (lambda call: call.cancel(reason="budget", at=NOON), set(State) - {State.CANCELLED}),
}


@pytest.mark.parametrize(("step", "start"), list(product(STEPS, State)))
def test_a_step_is_taken_in_its_states_only_and_raises_the_version_by_one(step: str, start: State):
    call = a_call(state=start)
    before = (call.state, call.version)
    act, allowed = STEPS[step]

    if start in allowed:
        act(call)
        assert call.version == before[1] + 1
    else:
        with pytest.raises(Conflict):
            act(call)
        assert (call.state, call.version) == before


def test_a_call_is_not_opened_after_its_deadline():
    call = a_call()

    with pytest.raises(DeadlinePassed):
        call.open(at=IN_A_WEEK)

    assert call.state is State.DRAFT


def test_an_update_publishes_which_fields_changed():
    call = a_call(state=State.OPEN)

    event = call.amend(some_terms(edition="2026", tracks=[a_track()]), None, at=NOON)

    assert event is not None
    assert event.changed == ("edition", "tracks")
    assert (event.call.version, event.call.deadline) == (3, a_deadline())


def test_an_update_that_changes_nothing_publishes_nothing():
    call = a_call(state=State.OPEN)

    event = call.amend(some_terms(), a_deadline(), at=NOON)

    assert event is None
    assert call.version == 2


@pytest.mark.parametrize("moved", [timedelta(days=-1), timedelta(days=1)])
def test_an_update_does_not_touch_the_deadline(moved: timedelta):
    call = a_call(state=State.OPEN)

    with pytest.raises(DeadlineFixed):
        call.amend(some_terms(), a_deadline(IN_A_WEEK + moved), at=NOON)


def test_an_update_does_not_end_a_standing_call():
    call = a_call(state=State.OPEN, closes_at=None, closes_shown=None)

    with pytest.raises(DeadlineFixed):
        call.amend(some_terms(), a_deadline(), at=NOON)


@pytest.mark.parametrize(
    "step",
    [
        lambda call: call.amend(some_terms(edition="2"), None, at=IN_A_WEEK),
        lambda call: call.extend(a_deadline(LATER), reason="pluie", at=IN_A_WEEK),
    ],
)
def test_nothing_changes_after_the_deadline_even_before_the_call_is_closed(
    step: Callable[[Call], object],
):
    call = a_call(state=State.OPEN)

    with pytest.raises(DeadlinePassed):
        step(call)


def test_an_extension_publishes_the_new_and_the_previous_deadline():
    call = a_call(state=State.OPEN)

    event = call.extend(a_deadline(LATER, "8 décembre 2026"), reason="pluie", at=NOON)

    assert event.previous_deadline == a_deadline()
    assert event.call.deadline == a_deadline(LATER, "8 décembre 2026")
    assert (event.reason, event.call.version) == ("pluie", 3)


@pytest.mark.parametrize("back", [timedelta(0), timedelta(minutes=1)])
def test_a_deadline_moves_only_forward(back: timedelta):
    call = a_call(state=State.OPEN)

    with pytest.raises(DeadlineOnlyForward):
        call.extend(a_deadline(IN_A_WEEK - back), reason="erreur", at=NOON)


def test_a_standing_call_has_no_deadline_to_extend():
    call = a_call(state=State.OPEN, closes_at=None, closes_shown=None)

    with pytest.raises(StandingCall):
        call.extend(a_deadline(), reason="erreur", at=NOON)


def test_closing_a_call_publishes_its_closed_state():
    call = a_call(state=State.OPEN)

    event = call.close(at=IN_A_WEEK)

    assert (event.call.state, event.call.version) == ("closed", 3)


def test_a_call_past_its_deadline_reads_as_closed_before_it_is_closed():
    call = a_call(state=State.OPEN)

    assert call.state_at(IN_A_WEEK - timedelta(seconds=1)) is State.OPEN
    assert call.state_at(IN_A_WEEK) is State.CLOSED


@pytest.mark.parametrize("start", [State.OPEN, State.CLOSED])
def test_cancelling_a_call_that_has_opened_publishes_the_reason(start: State):
    call = a_call(state=start)

    event = call.cancel(reason="budget retiré", at=NOON)

    assert event is not None
    assert (event.call.state, event.reason) == ("cancelled", "budget retiré")


def test_cancelling_a_draft_publishes_nothing():
    call = a_call()

    event = call.cancel(reason="doublon", at=NOON)

    assert event is None
    assert call.state is State.CANCELLED


def test_the_deadline_of_an_open_call_is_not_set_as_if_it_were_a_draft():
    with pytest.raises(NotADraft):
        a_call(state=State.OPEN).set_deadline(None, at=NOON)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=1)])
def test_a_draft_takes_no_deadline_that_has_passed(late: timedelta):
    call = a_call()

    for change in (
        lambda: call.set_deadline(a_deadline(NOON), at=NOON + late),
        lambda: call.revise(some_terms(), a_deadline(NOON), at=NOON + late),
    ):
        with pytest.raises(PastDeadline) as refused:
            change()
        assert [problem.field for problem in refused.value.problems] == ["deadline"]
        assert "give a later one" in refused.value.detail
    assert (call.closes_at, call.version) == (IN_A_WEEK, 1)


@pytest.mark.parametrize("state", [state for state in State if state is not State.DRAFT])
def test_only_a_draft_may_be_deleted(state: State):
    with pytest.raises(NotADraft, match="cancel it instead"):
        a_call(state=state).require_deletable()


def test_a_draft_is_neither_updated_nor_extended():
    with pytest.raises(NotOpen):
        a_call().amend(some_terms(edition="2"), None, at=NOON)


def test_a_step_decided_on_an_older_version_is_refused():
    with pytest.raises(ChangedMeanwhile):
        a_call(state=State.OPEN).expect(1)
