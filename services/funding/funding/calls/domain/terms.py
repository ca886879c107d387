"""What a call offers, to whom and on which conditions: everything but its dates and its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from pydantic import Field

from shared import reference
from shared.contracts.base import Contract, Localized, LocalizedLong, Text
from shared.contracts.criteria import Criteria
from shared.contracts.funding import CallKind, Track, TrackTerms
from shared.eligibility.codes import criteria_problems
from shared.errors import Problem, refuse_problems
from shared.offers import offer_in_words
from shared.sentences import Sentence

from .deadlines import check_year

MAX_CENTIMES = 10**13
"""A hundred billion dirhams: more is a typing error, and would not fit a consumer's integers."""


class CallTerms(Contract):
    """What is published about a call. `reference_on` is the day as of which ages are measured."""

    kind: CallKind = "grant"
    funder: Text
    programme: Text | None = None
    edition: Text | None = None
    title: Localized
    summary: LocalizedLong
    source: Text | None = None
    tracks: tuple[TrackTerms, ...] = Field(min_length=1, max_length=16)
    reference_on: date | None = None


def regions_reached(terms: CallTerms) -> tuple[str, ...]:
    """Every region in which somebody may apply; a track without territory reaches all of them."""
    reached = {code for track in terms.tracks for code in _regions_of(track.criteria)}
    return tuple(sorted(reached))


def sectors_reached(terms: CallTerms) -> tuple[str, ...]:
    """Every sector that may apply; empty if some track names none, so that all may."""
    per_track = [track.criteria.sectors for track in terms.tracks]
    return tuple(sorted({s for sectors in per_track for s in sectors})) if all(per_track) else ()


def published_tracks(terms: CallTerms) -> tuple[Track, ...]:
    """The tracks as events carry them, each with what it gives in words."""
    return tuple(Track(**dict(track), offer=_offer_of(terms.kind, track)) for track in terms.tracks)


def _offer_of(kind: CallKind, track: TrackTerms) -> Localized | None:
    values = dict(track)
    french, arabic = offer_in_words(kind, values, "fr"), offer_in_words(kind, values, "ar")
    return Localized(fr=french, ar=arabic) if french and arabic else None


def check_terms(terms: CallTerms) -> None:
    """Raise Invalid for unknown or repeated codes and absurd amounts, with a remedy for each."""
    if terms.reference_on is not None:
        check_year(terms.reference_on, "reference_on")
    refuse_problems(
        problem
        for index, track in enumerate(terms.tracks)
        for problem in _track_problems(f"tracks.{index}", track)
    )


def _regions_of(criteria: Criteria) -> Iterable[str]:
    if not (criteria.regions or criteria.provinces or criteria.communes):
        return (region.code for region in reference.regions())
    through_province = (reference.province(code).region for code in criteria.provinces)
    through_commune = (f"MA-{code[:2]}" for code in criteria.communes)
    return (*criteria.regions, *through_province, *through_commune)


def _track_problems(path: str, track: TrackTerms) -> Iterator[Problem]:
    yield from criteria_problems(f"{path}.criteria", track.criteria)
    if track.max_grant_centimes is not None and track.max_grant_centimes > MAX_CENTIMES:
        yield Problem(
            f"{path}.max_grant_centimes",
            Sentence("give at most {max_centimes} centimes", max_centimes=MAX_CENTIMES),
        )
