"""The rules of terms and deadlines, without a database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from funding.calls.domain.deadlines import (
    AmbiguousTime,
    NoSuchTime,
    UnknownZone,
    deadline_at_wall_clock,
)
from funding.calls.domain.terms import regions_reached, sectors_reached
from shared.errors import Invalid

from .builders import a_call, a_track, some_terms


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
        ({"communes": ["00.000.00.0"]}, "tracks.0.criteria.communes.0"),
        ({"communes": ["09.581.01.07", "09.581.01.0"]}, "tracks.0.criteria.communes.1"),
        ({"communes": [""]}, "tracks.0.criteria.communes.0"),
        ({"branches": ["apiculture!"]}, "tracks.0.criteria.branches.0"),
        ({"branches": ["BEEKEEPING", "APICULTRE"]}, "tracks.0.criteria.branches.1"),
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
        {"tracks": [{**a_track(), "max_grant_centimes": 10**14}]},
        {"tracks": [a_track(min_members=2**64)]},
        {"tracks": [a_track(max_age_months=10**6)]},
        {"tracks": [a_track(min_members=9, max_members=5)]},
        {"kind": "gift"},
        {"title": {"fr": "Sans titre arabe"}},
    ],
)
def test_terms_outside_their_bounds_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        some_terms(**wrong)


@pytest.mark.parametrize(
    ("criteria", "regions"),
    [
        ({"provinces": ["MA-TIZ", "MA-HOC"]}, ("MA-01", "MA-09")),
        ({"regions": ["MA-03"], "communes": ["09.581.01.07"]}, ("MA-03", "MA-09")),
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
