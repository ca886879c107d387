"""The seeded calls: accepted by the API, and meant for whom their sources say."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devkit.pytest_plugin import Api, Tokens
from funding.calls.api import CallIn
from funding.calls.seeds.editions import Seed, real_calls, replayed_calls
from shared.contracts.criteria import ApplicantType, CriteriaIn, LegalStatus, Profile
from shared.eligibility.evaluate import evaluate
from shared.eligibility.verdict import Outcome

TODAY = date(2026, 11, 24)
ARABIC = re.compile(r"[\u0621-\u064a]")
REAL = {seed.seed_key: seed for seed in real_calls()}
REPLAYED = {seed.seed_key: seed for seed in replayed_calls(TODAY)}


def a_cooperative(**known: Any) -> Profile:
    """Ten members in Agadir, five of them women, two young."""
    return Profile(
        **{
            "region": "MA-09",
            "province": "MA-AGD",
            "sector": "AGRICULTURE",
            "applicant_type": ApplicantType.COOPERATIVE,
            "legal_status": LegalStatus.REGISTERED,
            "members_total": 10,
            "members_women": 5,
            "members_youth": 2,
            "created_on": date(2020, 5, 1),
            **known,
        }
    )


def outcomes(seed_key: str, profile: Profile, on: date = TODAY) -> list[str]:
    """The outcome of each track of the call for this profile."""
    tracks = REAL[seed_key].payload["tracks"]
    criteria = [CriteriaIn.model_validate(track["criteria"]) for track in tracks]
    return [evaluate(one, profile, reference_on=on).outcome.value for one in criteria]


YES, NO = Outcome.ELIGIBLE.value, Outcome.INELIGIBLE.value
UNKNOWN = Outcome.UNKNOWN.value


@pytest.mark.parametrize(
    ("seed_key", "known", "expected"),
    [
        # More than 30 % of women plus youth: 3 of 10 is not more.
        ("indh-agadir-2022", {"members_women": 2, "members_youth": 1}, [NO]),
        ("indh-agadir-2022", {"members_women": 2, "members_youth": 2}, [YES]),
        ("indh-agadir-2022", {"members_women": None, "members_youth": 3}, [UNKNOWN]),
        ("indh-agadir-2022", {"province": "MA-TIZ"}, [NO]),
        ("indh-agadir-2022", {"legal_status": "struck_off"}, [NO]),
        ("indh-agadir-2022", {"applicant_type": "gie"}, [NO]),
        ("indh-agadir-2023", {"members_women": 0, "members_youth": 0}, [YES]),
        ("indh-agadir-2023", {"applicant_type": "gie"}, [YES]),
        ("indh-agadir-2023", {"sector": "HOUSING"}, [NO]),
        ("indh-agadir-2023", {"sector": None}, [UNKNOWN]),
        ("indh-al-hoceima-2022", {}, [NO, NO, NO, NO]),
        ("indh-al-hoceima-2022", {"province": "MA-HOC", "region": "MA-01"}, [YES, NO, NO, NO]),
        (
            "indh-al-hoceima-2022",
            {"province": "MA-HOC", "region": "MA-01", "members_women": 1, "members_youth": 2},
            [NO, NO, NO, NO],
        ),
        ("indh-tiznit", {"province": "MA-TIZ"}, [YES, NO, NO]),
        (
            "indh-tiznit",
            {"province": "MA-TIZ", "applicant_type": "cooperative_union"},
            [YES, NO, NO],
        ),
        ("indh-tiznit", {"province": "MA-TIZ", "applicant_type": "tpme"}, [NO, YES, NO]),
        ("moazara-2023", {}, [NO, YES]),
        ("moazara-2023", {"region": "MA-01", "province": "MA-HOC"}, [NO, NO]),
        (
            "moazara-2023",
            {"region": "MA-01", "province": "MA-HOC", "applicant_type": "association"},
            [YES, NO],
        ),
        ("lalla-al-moutaaouina-2025", {"members_women": 10}, [YES]),
        ("lalla-al-moutaaouina-2025", {"members_women": 9}, [NO]),
        ("lalla-al-moutaaouina-2025", {"members_women": None}, [UNKNOWN]),
        ("generation-solidaire-2025", {"members_youth": 5}, [YES, NO]),
        ("generation-solidaire-2025", {"members_youth": 4}, [NO, NO]),
    ],
)
def test_a_call_is_for_whom_its_source_says(
    seed_key: str, known: dict[str, Any], expected: list[str]
):
    assert outcomes(seed_key, a_cooperative(**known)) == expected


@pytest.mark.parametrize(
    ("created_on", "expected"), [(date(2021, 8, 2), YES), (date(2021, 8, 1), NO)]
)
def test_a_company_of_al_hoceima_has_completed_at_most_twelve_months(
    created_on: date, expected: str
):
    company = a_cooperative(
        region="MA-01", province="MA-HOC", applicant_type="tpme", created_on=created_on
    )

    assert outcomes("indh-al-hoceima-2022", company, date(2022, 9, 1))[1] == expected


def test_the_cap_of_tiznit_depends_on_the_kind_of_applicant():
    tracks = REAL["indh-tiznit"].payload["tracks"]

    caps = [track.get("max_grant_centimes") for track in tracks]

    assert caps == [30_000_000, 10_000_000, None]


@pytest.mark.parametrize("seed", [pytest.param(s, id=key) for key, s in REAL.items()])
async def test_a_historic_call_is_refused_for_its_deadline_alone(
    api: Api, tokens: Tokens, seed: Seed
):
    operator = tokens.headers("operator")

    drafted = await api.http.post("/calls", json=seed.payload, headers=operator)

    if seed.payload["deadline"]:
        assert (drafted.status_code, drafted.json()["code"]) == (422, "past-deadline")
    else:
        assert drafted.status_code == 201, drafted.text


@pytest.mark.parametrize("seed", [pytest.param(s, id=key) for key, s in REPLAYED.items()])
async def test_a_replayed_call_opens(api: Api, tokens: Tokens, seed: Seed):
    headers = tokens.headers("partner", partner=seed.payload["funder_slug"])
    drafted = await api.http.post("/calls", json=seed.payload, headers=headers)

    answer = await api.http.post(f"/calls/{drafted.json()['call_id']}/open", headers=headers)

    assert (answer.status_code, answer.json()["state"]) == (200, "open"), drafted.text


def test_the_deadline_of_agadir_2022_is_four_in_the_afternoon_there():
    payload = REAL["indh-agadir-2022"].payload

    deadline = CallIn.model_validate(payload).deadline()

    assert deadline is not None
    assert deadline.model_dump(mode="json") == {
        "at": "2022-09-02T15:00:00Z",
        "zone": "Africa/Casablanca",
        "shown": "2 septembre 2022 à 16 h 00 (heure de Casablanca)",
        "shown_ar": "2 شتنبر 2022 على الساعة 16:00 (بتوقيت الدار البيضاء)",
    }


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 24), "2027-09-02T16:00"),
        (date(2027, 9, 1), "2027-09-02T16:00"),
        (date(2027, 9, 2), "2028-09-02T16:00"),
    ],
)
def test_a_replay_keeps_day_and_hour_in_the_next_year_to_come(today: date, expected: str):
    [seed] = [s for s in replayed_calls(today) if s.seed_key.startswith("indh-agadir-2022")]

    assert seed.payload["deadline"] == {"local": expected, "zone": "Africa/Casablanca"}
    assert seed.seed_key == f"indh-agadir-2022-replay-{expected[:4]}"


def test_a_replay_says_that_it_is_one():
    assert all("Réédition de démonstration" in s.payload["edition"] for s in REPLAYED.values())


def test_building_replays_leaves_the_historic_calls_as_they_were():
    replayed_calls(TODAY)

    assert {s.seed_key: s.payload for s in real_calls()} == {k: s.payload for k, s in REAL.items()}


def test_explicit_instants_agree_with_the_clock_of_their_zone():
    explicit = [
        s.payload["deadline"] for s in REAL.values() if "at" in (s.payload["deadline"] or {})
    ]

    for deadline in explicit:
        at = datetime.fromisoformat(deadline["at"])
        assert at.astimezone(ZoneInfo(deadline["zone"])).utcoffset() == at.utcoffset()
    assert len(explicit) == 2


@pytest.mark.parametrize("seed", [pytest.param(s, id=key) for key, s in REAL.items()])
def test_a_seeded_call_speaks_both_languages_and_names_its_source(seed: Seed):
    texts = [seed.payload["title"], seed.payload["summary"]]
    texts += [track["name"] for track in seed.payload["tracks"]]

    assert all(ARABIC.search(text["ar"]) and not ARABIC.search(text["fr"]) for text in texts)
    assert "." in seed.payload["source"]


def test_seed_keys_are_distinct():
    keys = [seed.seed_key for seed in (*REAL.values(), *REPLAYED.values())]

    assert len(keys) == len(set(keys)) == 14
