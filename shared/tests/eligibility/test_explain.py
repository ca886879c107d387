"""The sentences that a reader sees, in both languages."""

from __future__ import annotations

from datetime import date

import pytest

from shared.contracts.criteria import Criteria, MinShare, Profile
from shared.eligibility.evaluate import evaluate
from shared.eligibility.explain import explain

REFERENCE_ON = date(2026, 12, 31)


def explained(criteria: Criteria, language: str, **profile: object) -> list[str]:
    known = Profile.model_validate(profile)
    verdict = evaluate(criteria, known, reference_on=REFERENCE_ON)
    return explain(verdict, criteria, known, language)


WOMEN = Criteria(min_share_women=MinShare(percent=30, strict=True))
BOTH = Criteria(min_share_women_plus_youth=MinShare(percent=50))
EITHER = Criteria(min_share_women_or_youth=MinShare(percent=50))


@pytest.mark.parametrize(
    ("criteria", "profile", "french", "arabic"),
    [
        (
            Criteria(regions=("MA-09",)),
            {"province": "MA-TIZ"},
            "Votre coopérative est dans la province de Tiznit (région Souss-Massa)",
            "توجد تعاونيتكم في إقليم تيزنيت (جهة سوس-ماسة)",
        ),
        (
            Criteria(provinces=("MA-AGD",)),
            {"province": "MA-AGD"},
            "Votre coopérative est dans la préfecture d'Agadir-Ida-Ou-Tanane (région Souss-Massa)",
            "توجد تعاونيتكم في عمالة أكادير-إدا وتنان (جهة سوس-ماسة)",
        ),
        (
            Criteria(regions=("MA-02",), provinces=("MA-TAT", "MA-TIZ", "MA-TAR")),
            {"region": "MA-07"},
            "Votre coopérative est dans la région Marrakech-Safi ; territoire demandé : "
            "région de l'Oriental, province de Tata, province de Tiznit et 1 autre",
            "توجد تعاونيتكم في جهة مراكش-آسفي، والمجال الترابي المطلوب: "
            "جهة الشرق، إقليم طاطا، إقليم تيزنيت وواحد آخر",
        ),
        (
            Criteria(communes=("09.581.05.03",)),
            {"commune": "09.581.05.03"},
            "Votre coopérative est dans la commune de code 09.581.05.03 (province de Tiznit)",
            "توجد تعاونيتكم في الجماعة ذات الرمز 09.581.05.03 (إقليم تيزنيت)",
        ),
        (
            Criteria(communes=("09.581.01.07", "09.001.01.01")),
            {"commune": "09.581.01.07"},
            "Votre coopérative est dans la commune de Tiznit (province de Tiznit)",
            "توجد تعاونيتكم في جماعة تيزنيت (إقليم تيزنيت)",
        ),
        (
            Criteria(regions=("MA-02",)),
            {"province": "MA-NAD"},
            "Votre coopérative est dans la province de Nador (région de l'Oriental)",
            "توجد تعاونيتكم في إقليم الناضور (جهة الشرق)",
        ),
        (
            Criteria(communes=("09.581.05.03",)),
            {"region": "MA-02"},
            "Votre coopérative est dans la région de l'Oriental ; "
            "territoire demandé : commune de code 09.581.05.03",
            "توجد تعاونيتكم في جهة الشرق، والمجال الترابي المطلوب: الجماعة ذات الرمز 09.581.05.03",
        ),
        (
            Criteria(branches=("BEEKEEPING", "TEXTILE")),
            {"branch": "LEATHER"},
            "Branche : Cuir et maroquinerie ; demandé : Apiculture, code TEXTILE",
            "الفرع: الجلد، والمطلوب: تربية النحل، الرمز TEXTILE",
        ),
        (
            Criteria(regions=("MA-09",)),
            {},
            "À compléter : province ou préfecture",
            "معلومات ينبغي استكمالها: الإقليم أو العمالة",
        ),
        (
            Criteria(sectors=("ARGAN",)),
            {"sector": "ARGAN"},
            "Secteur : Argane, condition remplie",
            "القطاع: زيت أركان، والشرط مستوفى",
        ),
        (
            Criteria(sectors=("AGRICULTURE", "FISHERIES")),
            {"sector": "ARGAN"},
            "Secteur : Argane ; demandé : Agriculture, Pêche",
            "القطاع: زيت أركان، والمطلوب: الفلاحة، الصيد البحري",
        ),
        (
            Criteria(legal_statuses=("registered",)),
            {"legal_status": "struck_off"},
            "Situation légale : radiée ; demandé : immatriculée",
            "الوضعية القانونية: مشطب عليها، والمطلوب: مسجلة",
        ),
        (
            WOMEN,
            {"members_women": 12, "members_total": 15},
            "12 femmes sur 15 membres : le seuil est de plus de 30 %",
            "12 امرأة من أصل 15 عضوا، والحد المطلوب أكثر من 30%",
        ),
        (
            WOMEN,
            {"members_women": 3, "members_total": 10},
            "3 femmes sur 10 membres : il faut plus de 30 %",
            "3 نساء من أصل 10 أعضاء، ويجب أن تكون النسبة أكثر من 30%",
        ),
        (
            WOMEN,
            {"members_women": 1, "members_total": 102},
            "1 femme sur 102 membres : il faut plus de 30 %",
            "امرأة واحدة من أصل 102 عضو، ويجب أن تكون النسبة أكثر من 30%",
        ),
        (
            WOMEN,
            {"members_women": 2, "members_total": 2},
            "2 femmes sur 2 membres : le seuil est de plus de 30 %",
            "امرأتان من أصل عضوين، والحد المطلوب أكثر من 30%",
        ),
        (
            EITHER,
            {"members_women": 1, "members_total": 2},
            "au moins 1 femme ou jeune (18-35 ans) sur 2 membres : le seuil est d'au moins 50 %",
            "عدد النساء أو الشباب (18-35 سنة) لا يقل عن 1 من أصل عضوين، "
            "والحد المطلوب 50% على الأقل",
        ),
        (
            WOMEN,
            {"members_women": 20, "members_total": 15},
            "À vérifier : nombre de femmes (20)",
            "معلومات ينبغي التحقق منها: عدد النساء (20)",
        ),
        (
            Criteria(min_share_youth=MinShare(percent=50)),
            {"members_youth": 5, "members_total": 15},
            "5 jeunes (18-35 ans) sur 15 membres : il faut au moins 50 %",
            "5 شباب (18-35 سنة) من أصل 15 عضوا، ويجب أن تكون النسبة 50% على الأقل",
        ),
        (
            BOTH,
            {"members_women": 6, "members_youth": 5, "members_total": 15},
            "6 femmes + 5 jeunes (18-35 ans) pour 15 membres : le seuil est d'au moins 50 %",
            "6 نساء + 5 شباب (18-35 سنة) مقابل 15 عضوا، والحد المطلوب 50% على الأقل",
        ),
        (
            BOTH,
            {"members_women": 8, "members_total": 15},
            "au moins 8 femmes et jeunes (18-35 ans) additionnés, sur 15 membres : "
            "le seuil est d'au moins 50 %",
            "مجموع النساء والشباب (18-35 سنة) لا يقل عن 8 من أصل 15 عضوا، "
            "والحد المطلوب 50% على الأقل",
        ),
        (
            BOTH,
            {"members_women": 2, "members_total": 15},
            "À compléter : nombre de jeunes (18-35 ans)",
            "معلومات ينبغي استكمالها: عدد الشباب (18-35 سنة)",
        ),
        (
            EITHER,
            {"members_women_or_youth": 9, "members_total": 15},
            "9 femmes ou jeunes (18-35 ans) sur 15 membres : le seuil est d'au moins 50 %",
            "9 أعضاء من النساء أو الشباب (18-35 سنة) من أصل 15 عضوا، والحد المطلوب 50% على الأقل",
        ),
        (
            EITHER,
            {"members_women": 2, "members_youth": 3, "members_total": 15},
            "au plus 5 femmes ou jeunes (18-35 ans) sur 15 membres : il faut au moins 50 %",
            "عدد النساء أو الشباب (18-35 سنة) لا يتجاوز 5 من أصل 15 عضوا، "
            "ويجب أن تكون النسبة 50% على الأقل",
        ),
        (
            Criteria(min_members=5, max_members=50),
            {"members_total": 15},
            "15 membres : condition remplie (entre 5 et 50)",
            "15 عضوا، والشرط مستوفى (بين 5 و50 عضوا)",
        ),
        (
            Criteria(min_members=5),
            {"members_total": 3},
            "3 membres : il en faut au moins 5",
            "3 أعضاء، والمطلوب 5 أعضاء على الأقل",
        ),
        (
            Criteria(max_age_months=24),
            {"created_on": date(2026, 3, 1)},
            "Création le 1er mars 2026 : condition remplie "
            "(au plus 24 mois révolus d'existence au 31 décembre 2026)",
            "تاريخ التأسيس 1 مارس 2026، والشرط مستوفى "
            "(24 شهرا كاملا على الأكثر منذ التأسيس إلى غاية 31 دجنبر 2026)",
        ),
        (
            Criteria(min_age_months=2),
            {"created_on": date(2026, 12, 3)},
            "Création le 3 décembre 2026 : "
            "il faut au moins 2 mois révolus d'existence au 31 décembre 2026",
            "تاريخ التأسيس 3 دجنبر 2026، والمطلوب "
            "شهران كاملان على الأقل منذ التأسيس إلى غاية 31 دجنبر 2026",
        ),
    ],
)
def test_a_rule_is_explained_in_both_languages(criteria, profile, french, arabic):
    sentences = [explained(criteria, language, **profile) for language in ("fr", "ar")]

    assert sentences == [[french], [arabic]]


def test_there_is_a_sentence_for_each_rule_and_none_is_repeated():
    criteria = Criteria(
        regions=("MA-09",),
        min_share_women=MinShare(percent=30),
        min_members=5,
        max_members=50,
        min_share_youth=MinShare(percent=30),
    )

    sentences = explained(criteria, "fr", province="MA-TIZ", members_women=3, members_youth=3)

    assert sentences == [
        "Votre coopérative est dans la province de Tiznit (région Souss-Massa)",
        "À compléter : nombre total de membres",
    ]


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_codes_that_the_reference_data_do_not_have_are_shown_as_they_are(language):
    criteria = Criteria(sectors=("NEW",), provinces=("MA-NEW",), regions=("MA-99",))

    sentences = explained(criteria, language, sector="OLD", province="MA-OLD")

    assert all(code in " ".join(sentences) for code in ("NEW", "OLD", "MA-NEW", "MA-OLD", "MA-99"))
