"""A kind of subject without code of its own is alerted of, explained, corrected and withdrawn."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from notifications.fanout.domain.subjects import OfAnotherService
from shared.contracts.announcement import Announcement, AnnouncementPublished
from shared.contracts.deadline import Deadline

from ..builders import OCTOBER, SEPTEMBER, a_call, a_record, opened
from ..commands import ask_why, decide, follow, inbox, read_ledger, register

SESSION = {
    "announcement_id": uuid.UUID(int=71),
    "service": "academy",
    "kind": "training_session",
    "version": 1,
    "state": "open",
    "title": {"fr": "Formation à la vente en ligne", "ar": "تكوين في البيع عبر الإنترنت"},
    "text": {"fr": "Deux jours à Tiznit.", "ar": "يومان في تيزنيت."},
    "tracks": [
        {
            "name": {"fr": "Coopératives de femmes", "ar": "تعاونيات نسائية"},
            "criteria": {"provinces": ["MA-TIZ"], "min_share_women": {"percent": 50}},
        }
    ],
    "reference_on": date(2026, 11, 24),
    "starts_at": datetime(2027, 9, 14, 8, tzinfo=UTC),
    "deadline": SEPTEMBER.model_dump(),
    "url": "https://example.org/sessions/71",
    "details": [
        {
            "code": "seats",
            "value": 20,
            "label": {"fr": "Places", "ar": "المقاعد"},
            "shown": {"fr": "20 places", "ar": "20 مقعدا"},
        }
    ],
}


class SessionPublished(AnnouncementPublished):
    """A service unknown to notifications publishes a training session."""

    topic: ClassVar[str] = "academy.announcement.published.v1"


def a_session(**changes: Any) -> SessionPublished:
    published = Announcement.model_validate({**SESSION, **changes})
    return SessionPublished(
        aggregate_version=published.version,
        announcement_id=published.announcement_id,
        announcement=published,
    )


def extended_to(deadline: Deadline, version: int = 2) -> SessionPublished:
    return a_session(version=version, deadline=deadline.model_dump(), reason="salle trouvée")


async def test_who_matches_is_alerted_in_the_words_of_the_announcement_with_reasons(api, tokens):
    women, men = a_record(), a_record(members_women=1)
    await register(api, women, men)

    await follow(api, a_session())

    (alert,) = (await inbox(api, tokens, women, language="ar"))["items"]
    assert (alert["kind"], alert["subject_kind"]) == ("published", "training_session")
    assert (alert["title"], alert["summary"]) == (SESSION["title"]["ar"], SESSION["text"]["ar"])
    assert (alert["verdict"], alert["why"][0]["track"]) == ("eligible", "تعاونيات نسائية")
    assert (await inbox(api, tokens, men))["items"] == []


async def test_why_and_why_not_are_explained(api, tokens):
    women, men = a_record(), a_record(members_women=1)
    await register(api, women, men)
    await follow(api, a_session())

    why, why_not = [
        await ask_why(api, tokens, SESSION["announcement_id"], who) for who in (women, men)
    ]

    assert (why["because"], why["title"]) == ("alerted", SESSION["title"]["fr"])
    assert (why_not["because"], why_not["verdict"]) == ("excluded", "ineligible")


async def test_those_alerted_are_corrected_in_words_when_deadline_and_details_change(api, tokens):
    women, elsewhere = a_record(), a_record(province="MA-AGD")
    await register(api, women, elsewhere)
    await follow(api, a_session())
    fewer = {**SESSION["details"][0], "value": 12, "shown": {"fr": "12 places", "ar": "12 مقعدا"}}

    await follow(api, extended_to(OCTOBER), a_session(version=3, details=[fewer]))

    last, extension, first = (await inbox(api, tokens, women))["items"]
    assert [last["kind"], extension["kind"], first["kind"]] == [
        "updated",
        "deadline_extended",
        "published",
    ]
    assert (extension["changes"][0]["after_shown"], extension["reason"]) == (
        "1 octobre 2027 à 16 h",
        "salle trouvée",
    )
    seats = next(change for change in last["changes"] if change["field"] == "seats")
    assert (seats["label"], seats["before_shown"], seats["after_shown"]) == (
        "Places",
        "20 places",
        "12 places",
    )
    assert (await inbox(api, tokens, elsewhere))["items"] == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1, 0, 2)])
async def test_in_every_order_and_however_often_nobody_is_left_with_what_was_withdrawn(
    api, tokens, order
):
    record = a_record()
    await register(api, record)
    events = [a_session(), extended_to(OCTOBER), a_session(version=3, state="withdrawn")]

    await follow(api, *(events[number] for number in order))

    kinds = [alert["kind"] for alert in (await inbox(api, tokens, record))["items"]]
    assert kinds == [] or kinds[0] == "withdrawn"
    assert len(kinds) == len(set(kinds))
    assert (kinds == []) is (order[0] == 2)


async def test_who_matches_later_is_alerted_and_a_held_fan_out_waits(api, tokens):
    await decide(api, tokens, "held", SESSION["announcement_id"], reason="à relire")
    await follow(api, a_session())
    record = a_record()
    await register(api, record)

    before = (await inbox(api, tokens, record))["items"]
    await decide(api, tokens, "released", SESSION["announcement_id"], reason="relu")
    newcomer = a_record()
    await register(api, newcomer)

    assert before == []
    assert [len((await inbox(api, tokens, who))["items"]) for who in (record, newcomer)] == [1, 1]
    assert len(await read_ledger(api, tokens, SESSION["announcement_id"])) == 2


async def test_the_end_of_a_subject_is_explained_in_words_that_fit_any_kind(api, tokens):
    record = a_record()
    await register(api, record)
    await follow(api, a_session(version=2, state="cancelled"), a_session())

    why = await ask_why(api, tokens, SESSION["announcement_id"], record)

    assert (why["because"], why["summary"]) == (
        "subject_not_open",
        "L'annonce était annulée à ce moment.",
    )


async def test_only_the_service_that_published_a_subject_may_change_it(api, tokens):
    record, call = a_record(), a_call()
    await register(api, record)
    await follow(api, opened(call))
    forged = a_session(announcement_id=call.call_id, version=3, state="cancelled")

    with pytest.raises(OfAnotherService):
        await follow(api, forged)

    assert [alert["kind"] for alert in (await inbox(api, tokens, record))["items"]] == ["opened"]


def test_an_event_names_the_service_of_its_topic():
    event = a_session()

    assert event.is_from(SessionPublished.topic)
    assert not event.is_from("funding.announcement.published.v1")
    with pytest.raises(ValidationError, match="service is not the one of the topic"):
        a_session(service="funding")
