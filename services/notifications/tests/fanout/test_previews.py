"""Previews: how many would be alerted, counted before anything is published."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from notifications.fanout.models import alert

from ..builders import a_call, a_record, opened
from ..commands import follow, kinds, register


async def preview(api, tokens, *criteria, role="delegate", **parameters):
    return await api.http.post(
        "/previews",
        json={"tracks": [{"criteria": each} for each in criteria]},
        params=parameters,
        headers=tokens.headers(role, partner="indh"),
    )


async def test_a_preview_counts_whom_a_call_would_reach_and_writes_nothing(api, tokens):
    await register(
        api,
        a_record(),
        a_record(members_youth=None),
        a_record(region="MA-01", province="MA-HOC", sector="CRAFTS"),
        a_record(legal_status="struck_off"),
    )
    criteria = [
        {"provinces": ["MA-TIZ"], "min_share_youth": {"percent": 10}},
        {"regions": ["MA-01"]},
    ]

    seen = (await preview(api, tokens, *criteria)).json()

    assert (seen["matched"], seen["eligible"], seen["unknown"]) == (3, 2, 1)
    assert {g["code"]: (g["eligible"], g["unknown"]) for g in seen["by_region"]} == {
        "MA-09": (1, 1),
        "MA-01": (1, 0),
    }
    assert {g["code"]: g["eligible"] for g in seen["by_sector"]} == {"ARGAN": 1, "CRAFTS": 1}
    async with api.sessions() as session:
        assert (await session.scalars(select(alert.c.seq))).all() == []


async def test_a_preview_has_labels_in_the_language_asked_for(api, tokens):
    await register(api, a_record(), a_record(region="MA-99", sector="NEW"))

    seen = (await preview(api, tokens, {}, language="ar")).json()

    labels = {group["code"]: group["label"] for group in seen["by_region"] + seen["by_sector"]}
    assert labels == {"MA-09": "سوس-ماسة", "MA-99": "MA-99", "ARGAN": "زيت أركان", "NEW": "NEW"}


async def test_a_preview_agrees_with_the_fan_out_that_follows(api, tokens):
    await register(api, *(a_record(members_youth=n % 4 or None) for n in range(12)))
    call = a_call()
    criteria = [track.criteria.model_dump(mode="json") for track in call.tracks]
    seen = (await preview(api, tokens, *criteria)).json()

    await follow(api, opened(call))

    assert seen["matched"] == len(await kinds(api, call.call_id))


@pytest.mark.parametrize(
    ("track", "field", "says"),
    [
        ({"provinces": ["MA-TIZZ"]}, "tracks.0.criteria.provinces.0", "MA-TIZ"),
        ({"communes": ["09.999.01.01"]}, "tracks.0.criteria.communes.0", "HCP"),
        ({"communes": ["09.581.01.0"]}, "tracks.0.criteria.communes.0", "09.581.01.05 (Tafraout)"),
        ({"branches": ["APICULTRE"]}, "tracks.0.criteria.branches.0", "did you mean BEEKEEPING"),
        (
            {"min_share_woman": {"percent": 30}},
            "tracks.0.criteria.min_share_woman",
            "no such field",
        ),
        (
            {"min_share_women": {"percent": 30, "stirct": True}},
            "tracks.0.criteria.min_share_women.stirct",
            "no such field",
        ),
    ],
)
async def test_a_wrong_preview_names_the_field(api, tokens, track, field, says):
    answer = await preview(api, tokens, track)

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert says in error["message"]


@pytest.mark.parametrize(
    ("track", "fields"),
    [
        ({"criteria": {}, "max_grant": 5}, ["tracks.0.max_grant"]),
        ({"criteria": {}, "name": {"fr": "Tous"}}, ["tracks.0.name.ar"]),
        ({"regions": ["MA-09"]}, ["tracks.0.criteria", "tracks.0.regions"]),
    ],
)
async def test_a_preview_takes_no_field_that_a_track_of_a_call_does_not_have(
    api, tokens, track, fields
):
    answer = await api.http.post(
        "/previews", json={"tracks": [track]}, headers=tokens.headers("delegate")
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields


async def test_whoever_leaves_out_legal_statuses_means_registered_cooperatives(api, tokens):
    await register(api, a_record(), a_record(legal_status="struck_off"))

    seen = [(await preview(api, tokens, each)).json() for each in ({}, {"legal_statuses": []})]

    assert [each["matched"] for each in seen] == [1, 2]


async def test_a_preview_that_reaches_nobody_says_which_condition_nobody_meets(api, tokens):
    await register(api, *(a_record(branch="DAIRY") for _ in range(3)))

    seen = (
        await preview(api, tokens, {"branches": ["BEEKEEPING"], "provinces": ["MA-TIZ"]})
    ).json()

    (excluding,) = seen["excluding"]
    assert seen["matched"] == 0
    assert (excluding["track"], excluding["rule"]) == (0, "branch")
    assert (excluding["alone"], excluding["without"]) == (0, 3)
    assert excluding["says"] == (
        "Volet 1, Branche : aucune coopérative ne remplit cette condition."
    )


async def test_where_each_condition_is_met_by_somebody_it_says_what_each_would_cost(api, tokens):
    await register(api, a_record(branch="DAIRY"), a_record(branch="BEEKEEPING", province="MA-AGD"))

    seen = (
        await preview(api, tokens, {"branches": ["BEEKEEPING"], "provinces": ["MA-TIZ"]})
    ).json()

    assert [(each["rule"], each["alone"], each["without"]) for each in seen["excluding"]] == [
        ("territory", 1, 1),
        ("branch", 1, 1),
    ]


async def test_a_preview_that_reaches_somebody_names_no_condition(api, tokens):
    await register(api, a_record())

    assert (await preview(api, tokens, {"provinces": ["MA-TIZ"]})).json()["excluding"] == []


@pytest.mark.parametrize("role", ["cooperative", "holder", "juror", "reviewer"])
async def test_previews_are_for_those_who_publish(api, tokens, role):
    assert (await preview(api, tokens, {}, role=role)).status_code == 403
