"""Every rule of a call, and every forbidden move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from pydantic import ValidationError

from funding.calls.domain.call import (
    MOVES,
    Call,
    DeadlineFixed,
    DeadlineOnlyForward,
    DeadlinePassed,
    NotADraft,
    NotOpen,
    StandingCall,
    State,
)
from funding.calls.domain.deadlines import (
    AmbiguousTime,
    NoSuchTime,
    UnknownZone,
    deadline_at_wall_clock,
)
from funding.calls.domain.terms import regions_reached, sectors_reached
from shared.contracts.funding import CallOpened
from shared.errors import ChangedMeanwhile, Conflict, IllegalMove, Invalid

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


def test_ages_are_measured_on_the_opening_day_in_the_zone_of_the_call():
    call = a_call(closes_at=None, closes_shown=None)

    event = call.open(at=datetime(2026, 11, 30, 23, 30, tzinfo=UTC))

    assert event.call.reference_on == date(2026, 12, 1)


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
    "revise": (lambda call: call.revise(some_terms(), a_deadline()), {State.DRAFT}),
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
        a_call(state=State.OPEN).set_deadline(None)


def test_a_draft_is_neither_updated_nor_extended():
    with pytest.raises(NotOpen):
        a_call().amend(some_terms(edition="2"), None, at=NOON)


def test_a_step_decided_on_an_older_version_is_refused():
    with pytest.raises(ChangedMeanwhile):
        a_call(state=State.OPEN).expect(1)


@pytest.mark.parametrize(
    ("local", "utc", "shown"),
    [
        (
            datetime.fromisoformat("2022-09-02T16:00"),
            datetime(2022, 9, 2, 15, tzinfo=UTC),
            "2 septembre 2022 à 16 h 00 (heure de Casablanca)",
        ),
        (
            datetime.fromisoformat("2027-03-01T12:00"),
            datetime(2027, 3, 1, 12, tzinfo=UTC),
            "1er mars 2027 à 12 h 00 (heure de Casablanca)",
        ),
    ],
)
def test_a_wall_clock_time_becomes_an_instant_ramadan_included(
    local: datetime, utc: datetime, shown: str
):
    deadline = deadline_at_wall_clock(local)

    assert (deadline.at, deadline.shown, deadline.zone) == (utc, shown, "Africa/Casablanca")


def test_a_deadline_is_also_worded_for_arabic_readers():
    deadline = deadline_at_wall_clock(datetime.fromisoformat("2022-09-02T16:00"))

    assert deadline.in_language("ar") == "2 شتنبر 2022 على الساعة 16:00 (بتوقيت الدار البيضاء)"


def test_a_time_that_the_clock_skips_is_refused():
    with pytest.raises(NoSuchTime, match="does not exist"):
        deadline_at_wall_clock(datetime.fromisoformat("2027-03-14T02:30"))


def test_a_time_that_the_clock_shows_twice_is_refused():
    with pytest.raises(AmbiguousTime, match="twice"):
        deadline_at_wall_clock(datetime.fromisoformat("2027-02-07T02:30"))


def test_an_unknown_zone_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownZone, match="did you mean Africa/Casablanca"):
        deadline_at_wall_clock(datetime.fromisoformat("2027-09-02T16:00"), "Africa/Casablanka")


def test_unknown_codes_are_all_named_with_their_path_and_the_nearest_one():
    tracks = [a_track(provinces=["MA-AGD", "MA-TZ"], sectors=["ARGANE"]), a_track(regions=["09"])]

    with pytest.raises(Invalid) as refusal:
        a_call(terms=some_terms(tracks=tracks))

    assert {p.field for p in refusal.value.problems} == {
        "tracks.0.criteria.provinces.1",
        "tracks.0.criteria.sectors.0",
        "tracks.1.criteria.regions.0",
    }
    assert "did you mean ARGAN" in refusal.value.detail


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"communes": ["Tiznit"]}, "tracks.0.criteria.communes.0"),
        ({"communes": ["99.581.01.0"]}, "tracks.0.criteria.communes.0"),
        ({"communes": ["09.999.01.01"]}, "tracks.0.criteria.communes.0"),
        ({"branches": ["apiculture!"]}, "tracks.0.criteria.branches.0"),
        ({"sectors": ["ARGAN", "ARGAN"]}, "tracks.0.criteria.sectors.1"),
        ({"communes": ["09.581.01.0"] * 2001}, "tracks.0.criteria.communes"),
    ],
)
def test_malformed_and_repeated_codes_are_refused(wrong: dict[str, object], field: str):
    with pytest.raises(Invalid) as refusal:
        a_call(terms=some_terms(tracks=[a_track(**wrong)]))

    assert [p.field for p in refusal.value.problems] == [field]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tracks": []},
        {"tracks": [a_track()] * 17},
        {"tracks": [{**a_track(), "max_rate_percent": 101}]},
        {"tracks": [{**a_track(), "max_grant_centimes": 1.5}]},
        {"tracks": [a_track(min_members=9, max_members=5)]},
        {"kind": "gift"},
        {"title": {"fr": "Sans titre arabe"}},
    ],
)
def test_terms_outside_their_bounds_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        some_terms(**wrong)


def test_a_grant_too_large_to_be_meant_is_refused():
    with pytest.raises(Invalid, match="max_grant_centimes"):
        a_call(terms=some_terms(tracks=[{**a_track(), "max_grant_centimes": 10**14}]))


@pytest.mark.parametrize(
    ("criteria", "regions"),
    [
        ({"provinces": ["MA-TIZ", "MA-HOC"]}, ("MA-01", "MA-09")),
        ({"regions": ["MA-03"], "communes": ["09.581.01.0"]}, ("MA-03", "MA-09")),
        ({}, tuple(f"MA-{n:02}" for n in range(1, 13))),
    ],
)
def test_a_call_reaches_every_region_in_which_a_place_of_a_track_lies(
    criteria: dict[str, object], regions: tuple[str, ...]
):
    assert regions_reached(some_terms(tracks=[a_track(**criteria)])) == regions


def test_one_track_without_sectors_leaves_no_sector_out():
    narrow, wide = a_track(sectors=["ARGAN"]), a_track()

    assert sectors_reached(some_terms(tracks=[narrow])) == ("ARGAN",)
    assert sectors_reached(some_terms(tracks=[narrow, wide])) == ()
