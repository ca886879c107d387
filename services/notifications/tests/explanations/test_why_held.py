"""Why nobody was alerted: the fan-out was held or stopped, or the subject ended first."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from notifications.fanout.approval_text import ground_of
from notifications.fanout.domain.fanout_approval import ApprovalState, Decision

from ..builders import (
    a_call,
    a_record,
    a_track,
    an_idea,
    cancelled,
    closed,
    opened,
    published,
    withdrawn,
)
from ..commands import ask_why, consume, decide, moment, read_ledger


async def test_the_explanation_of_a_held_fan_out_names_the_decision(api, tokens):
    record, call = a_record(), a_call()
    await decide(api, tokens, "held", call.call_id, reason="à relire")
    await consume(api.sessions, record, opened(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["alerted"], why["because"], why["verdict"]) == (False, "held_back", "eligible")
    assert why["summary"] == "L'envoi était retenu à ce moment : à relire."
    approval = why["approval"]
    assert (approval["state"], approval["by"], approval["of_everything"]) == (
        "held",
        "operator",
        False,
    )
    assert "libère" in approval["next"]


async def test_while_it_is_held_explanations_and_ledger_name_the_same_cooperatives(api, tokens):
    call = a_call(a_track(sectors=["ARGAN"]))
    fits, misfit, changed = a_record(), a_record(sector="CRAFTS"), a_record(sector="CRAFTS")
    await consume(api.sessions, fits, misfit, changed)
    await decide(api, tokens, "held", call.call_id, reason="à relire")
    await consume(api.sessions, opened(call))
    await consume(api.sessions, changed.model_copy(update={"version": 2, "sector": "ARGAN"}))

    because = {
        str(each.cooperative_id): (await ask_why(api, tokens, call.call_id, each))["because"]
        for each in (fits, misfit, changed)
    }
    rows = await read_ledger(api, tokens, call.call_id)

    assert list(because.values()) == ["held_back", "excluded", "held_back"]
    assert {row["cooperative_id"] for row in rows} == {
        each for each, ground in because.items() if ground == "held_back"
    }


async def test_staff_read_both_numbers_of_a_fan_out_that_notifications_held(api, tokens):
    record = a_record()
    call = a_call(confirmed_audience=0)
    await consume(api.sessions, record, *(a_record() for _ in range(10)), opened(call))

    why = await ask_why(api, tokens, call.call_id, record, language="ar")
    rows = await read_ledger(api, tokens, call.call_id)

    assert (why["because"], why["approval"]["by"]) == ("held_back", "notifications")
    assert why["summary"] == "كان الإرسال موقوفا في ذلك الوقت: في انتظار تأكيد عدد المرسل إليهم."
    assert why["approval"]["reason"] == "recipients confirmed: 0, matching now: 11"
    assert "الإفراج" in why["approval"]["next"]
    assert rows[0]["not_alerted_because"] == (
        "en attente d'une confirmation du nombre de destinataires"
    )


@pytest.mark.parametrize(
    ("language", "own", "operator"),
    [
        (
            "fr",
            "en attente d'une confirmation du nombre de destinataires",
            "décision d'un opérateur de la plateforme",
        ),
        ("ar", "في انتظار تأكيد عدد المرسل إليهم", "بقرار من أحد مسؤولي المنصة"),
    ],
)
async def test_a_cooperative_reads_neither_the_numbers_nor_what_an_operator_wrote(
    api, tokens, language, own, operator
):
    record = a_record()
    by_itself, by_hand = a_call(confirmed_audience=0), a_call(a_track(sectors=["ARGAN"]))
    await decide(api, tokens, "held", by_hand.call_id, reason="the funder is late")
    await consume(api.sessions, record, *(a_record() for _ in range(10)))
    await consume(api.sessions, opened(by_itself), opened(by_hand))
    headers = tokens.headers("cooperative", cooperatives=[record.cooperative_id])

    answers = [
        await ask_why(api, tokens, call.call_id, record, headers, language=language)
        for call in (by_itself, by_hand)
    ]

    for why, ground in zip(answers, (own, operator), strict=True):
        assert why["summary"].endswith(f": {ground}.")
        assert {why["approval"]["reason"], why["decisions"][0]["reason"]} == {ground}


DECIDED = [
    (None, ApprovalState.HELD),
    (None, ApprovalState.RELEASED),
    *((uuid.uuid4(), state) for state in ApprovalState),
]


@pytest.mark.parametrize("language", ["fr", "ar"])
@pytest.mark.parametrize(("by", "state"), DECIDED)
def test_every_decision_has_a_ground_in_both_languages(by, state, language):
    decision = Decision(
        everything=False, state=state, reason="r", decided_by=by, decided_at=datetime.now(UTC)
    )

    assert ground_of(decision, language, for_staff=False)


async def test_nobody_new_will_ever_be_alerted_of_a_stopped_subject(api, tokens):
    record, call = a_record(), a_call()
    await decide(api, tokens, "held", reason="everything waits")
    await decide(api, tokens, "stopped", call.call_id, reason="a wrong cap")
    await consume(api.sessions, record, opened(call))

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["because"], why["approval"]["reason"]) == ("held_back", "a wrong cap")
    assert "personne d'autre" in why["approval"]["next"]


async def test_an_explanation_uses_the_decisions_up_to_its_moment(api, tokens):
    record, call = a_record(), a_call()
    await consume(api.sessions, record)
    await decide(api, tokens, "held", reason="everything waits")
    await consume(api.sessions, opened(call))
    in_between = await moment(api)
    await decide(api, tokens, "released", reason="go on")

    then = await ask_why(api, tokens, call.call_id, record, at=in_between.isoformat())
    now = await ask_why(api, tokens, call.call_id, record)

    assert (then["because"], then["approval"]["of_everything"]) == ("held_back", True)
    assert [d["state"] for d in then["decisions"]] == ["held"]
    assert (now["because"], now["approval"]) == ("alerted", None)
    assert [d["state"] for d in now["decisions"]] == ["held", "released"]


@pytest.mark.parametrize("end", [cancelled, closed])
async def test_nobody_was_alerted_of_a_call_that_ended_before_it_was_received(api, tokens, end):
    record, call = a_record(), a_call()
    ended = end(call)
    await consume(api.sessions, record, ended)

    why = await ask_why(api, tokens, call.call_id, record)

    assert (why["alerted"], why["because"]) == (False, "subject_not_open")
    assert why["subject_state"] == ended.call.state


async def test_nobody_was_alerted_of_an_idea_whose_withdrawal_arrived_first(api, tokens):
    record, idea = a_record(), an_idea()
    await consume(api.sessions, record, withdrawn(idea), published(idea))

    why = await ask_why(api, tokens, idea.idea_id, record)

    assert (why["because"], why["subject_state"]) == ("subject_not_open", "withdrawn")
    assert why["summary"] == "L'idée était retirée à ce moment."
