"""From the time that a clock shows to the instant that counts: computed once, by tz database."""

from __future__ import annotations

from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from shared.contracts.deadline import Deadline
from shared.errors import Invalid
from shared.i18n.catalogues import translate
from shared.i18n.dates import city, day
from shared.sentences import Sentence

CASABLANCA = "Africa/Casablanca"
FIRST_YEAR, LAST_YEAR = 2000, 2099


class UnknownZone(Invalid):
    """There is no such time zone: give a name of the tz database, such as Africa/Casablanca."""


class NoSuchTime(Invalid):
    """The clock skips this time on that day: give an hour before or after the change."""


class AmbiguousTime(Invalid):
    """The clock shows this time twice on that day: give `at` with an offset instead of `local`."""


class AbsurdYear(Invalid):
    """A date of a call lies in the years 2000 to 2099."""


def zone_named(name: str, *, field: str = "deadline.zone") -> ZoneInfo:
    """The time zone of that name. Raises UnknownZone, which suggests the nearest name."""
    if name not in _zone_names():
        nearest = get_close_matches(name[:64], _zone_names(), n=1, cutoff=0.5) or [CASABLANCA]
        raise UnknownZone(
            Sentence(
                "unknown time zone {name}: did you mean {nearest}?",
                name=repr(name[:64]),
                nearest=nearest[0],
            ),
            field=field,
        )
    return ZoneInfo(name)


def deadline_at_wall_clock(local: datetime, zone: str = CASABLANCA) -> Deadline:
    """The deadline at the moment when a clock in `zone` shows `local`, with its words.

    Raises NoSuchTime or AmbiguousTime if the clock never shows it or shows it twice (in Morocco
    around Ramadan), AbsurdYear and UnknownZone.
    """
    place = zone_named(zone)
    check_year(local, "deadline.local")
    candidates = {local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
    instants = [at for at in candidates if at.astimezone(place).replace(tzinfo=None) == local]
    text = f"{local:%Y-%m-%dT%H:%M} in {zone}"
    if not instants:
        raise NoSuchTime(
            Sentence(
                "{text} does not exist: the clock is put forward over it. Give an hour before or"
                " after the change",
                text=text,
            ),
            field="deadline.local",
        )
    if len(instants) > 1:
        raise AmbiguousTime(
            Sentence(
                "{text} comes twice: the clock is put back over it. Give `at` with an offset,"
                " `zone` and `shown` instead of `local`",
                text=text,
            ),
            field="deadline.local",
        )
    return Deadline(
        at=instants[0],
        zone=zone,
        shown=shown_in("fr", local, zone),
        shown_ar=shown_in("ar", local, zone),
    )


def check_deadline(deadline: Deadline) -> Deadline:
    """The same deadline with its instant in UTC. Raises UnknownZone or AbsurdYear."""
    zone_named(deadline.zone)
    check_year(deadline.at, "deadline.at")
    return deadline.model_copy(update={"at": deadline.at.astimezone(UTC)})


def shown_in(language: str, local: datetime, zone: str) -> str:
    """The words of a deadline: « 1er septembre 2027 à 16 h 00 (heure de Casablanca) »."""
    return translate(
        language,
        "deadline.shown",
        day=day(language, local.date()),
        hour=f"{local:%H}",
        minute=f"{local:%M}",
        city=city(language, zone),
    )


def check_year(when: date, field: str) -> None:
    """Raise AbsurdYear for a date outside 2000 to 2099, which can only be a typing error."""
    if not FIRST_YEAR <= when.year <= LAST_YEAR:
        raise AbsurdYear(
            Sentence("the year {year} can't be meant: check the date", year=when.year), field=field
        )


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())
