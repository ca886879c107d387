"""Every list is complete and consistent, and every usual spelling finds its record."""

from __future__ import annotations

import pytest

from shared import reference
from shared.reference import lookup


def test_the_lists_are_complete():
    sizes = [
        len(records)
        for records in (
            reference.regions(),
            reference.provinces(),
            reference.sectors(),
            reference.sdgs(),
        )
    ]

    assert sizes == [12, 75, 24, 17]


def test_every_province_has_as_many_communes_as_the_census_says():
    counted = {item.code: len(reference.communes_of(item.code)) for item in reference.provinces()}

    assert counted == {item.code: item.communes for item in reference.provinces()}
    assert sum(counted.values()) == 1503


def test_a_commune_lies_in_the_province_that_its_code_names():
    for commune in reference.communes():
        assert reference.province_of_commune(commune.code).code == commune.province


@pytest.mark.parametrize(
    ("text", "province", "code"),
    [
        ("Tiznit", "MA-TIZ", "09.581.01.07"),
        ("جماعة تيزنيت", "MA-TIZ", "09.581.01.07"),
        ("09.581.01.07", "MA-TIZ", "09.581.01.07"),
        ("06.141.01.31", "MA-CAS", "06.141.01.0"),
    ],
)
def test_a_commune_is_found_in_its_province_by_code_and_name(text, province, code):
    found = reference.find_commune(text, province)

    assert found is not None
    assert found.code == code
    assert reference.find_commune(text, "MA-HOC") is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("09.581.01.0", "did you mean 09.581.01.05 (Tafraout)?"),
        ("06.141.01.31", "did you mean 06.141.01.0 (Casablanca)?"),
        ("Tiznit", "did you mean 09.581.01.07 (Tiznit)?"),
        ("00.000.00.0", "give its HCP code"),
        ("", "give its HCP code"),
        ("x" * 5000, "give its HCP code"),
    ],
)
def test_the_code_of_no_commune_is_refused_with_the_nearest(code, message):
    with pytest.raises(reference.UnknownCode) as refusal:
        reference.commune(code)

    assert message in refusal.value.detail
    assert len(refusal.value.detail) < 250


def test_the_census_code_of_a_province_starts_with_that_of_its_region():
    for province in reference.provinces():
        region = reference.region(reference.region_of(province.code))

        assert province.hcp_code.startswith(f"{region.hcp_code}.")


def test_the_population_of_a_region_is_the_sum_of_those_of_its_provinces():
    for region in reference.regions():
        people = sum(item.population for item in reference.provinces_of(region.code))

        assert people == region.population


@pytest.mark.parametrize("kind", ["region", "province", "sector", "branch", "sdg", "language"])
def test_no_spelling_names_two_records(kind):
    seen: dict[str, str] = {}

    for record in lookup._LISTS[kind]():
        for spelling in [*lookup._codes(record), *lookup._names(record)]:
            assert seen.setdefault(reference.place_key(spelling), record.code) == record.code


@pytest.mark.parametrize("record", reference.provinces(), ids=lambda record: record.code)
def test_a_province_is_found_by_each_of_its_codes_and_names(record):
    spellings = [
        record.code,
        record.code.lower(),
        record.code.removeprefix("MA-"),
        record.hcp_code,
        record.fr.upper(),
        record.fr.replace("-", " "),
        f"Province de {record.fr}",
        f"إقليم {record.ar}",
        *record.aliases,
    ]

    found = {spelling: reference.find_province(spelling) for spelling in spellings}

    assert found == dict.fromkeys(spellings, record)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("  province  DE  tiznit ", "MA-TIZ"),
        ("Préfecture d’Agadir Ida Outanane", "MA-AGD"),
        ("prefecture d'Agadir-Ida-Ou-Tanane", "MA-AGD"),
        ("عمالة أكادير إدا وتنان", "MA-AGD"),
        ("اكادير ادا وتنان", "MA-AGD"),
        ("Province du Haouz", "MA-HAO"),
        ("EL HAOUZ", "MA-HAO"),
        ("TANTAN", "MA-TNT"),
        ("العُيُـــون", "MA-LAA"),
        ("ڭلميم", "MA-GUE"),
        ("تازه", "MA-TAZ"),
        ("M’diq Fnideq", "MA-MDF"),
        ("Fez", "MA-FES"),
        ("٠٩.٥٨١", "MA-TIZ"),
        ("\u200fتيزنيت\u200f", "MA-TIZ"),
    ],
)
def test_usual_spellings_of_a_province_are_one_province(text, code):
    found = reference.find_province(text)

    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("09", "MA-09"),
        ("9", "MA-09"),
        ("ma-09", "MA-09"),
        ("Région Souss Massa", "MA-09"),
        ("جهة سوس ماسة", "MA-09"),
        ("Région de l'Oriental", "MA-02"),
        ("L’Oriental", "MA-02"),
        ("الجهة الشرقية", "MA-02"),
        ("DRAA TAFILALET", "MA-08"),
        ("Dakhla-Oued Eddahab", "MA-12"),
        ("Guelmim-Oued-Noun", "MA-10"),
    ],
)
def test_usual_spellings_of_a_region_are_one_region(text, code):
    found = reference.find_region(text)

    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("argan", "ARGAN"),
        ("Huile d’argan", "ARGAN"),
        ("أركان", "ARGAN"),
        ("Main d'oeuvre", "LABOUR"),
        ("MAIN-D’ŒUVRE", "LABOUR"),
        ("الصناعه التقليديه", "CRAFTS"),
        ("e-commerce", "ECOMMERCE"),
        ("peche maritime", "FISHERIES"),
    ],
)
def test_usual_spellings_of_a_sector_are_one_sector(text, code):
    found = reference.find_sector(text)

    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Apiculture", "BEEKEEPING"),
        ("APICULTURE", "BEEKEEPING"),
        ("Beekeeping", "BEEKEEPING"),
        ("تربية النحل", "BEEKEEPING"),
        ("Textile", "CARPETS_AND_TEXTILES"),
        ("huile d'argan", "ARGAN_OIL"),
    ],
)
def test_a_branch_is_found_by_its_names_and_synonyms(text, code):
    found = reference.find_branch(text)

    assert found is not None
    assert found.code == code


def test_every_branch_is_below_a_sector_and_has_a_name_in_three_languages():
    for branch in reference.branches():
        assert reference.sector(branch.sector)
        assert all((branch.fr, branch.ar, branch.en))


@pytest.mark.parametrize("text", ["", "   ", "إقليم", "Paris", "MA-XXX", "99.999"])
def test_a_text_that_names_no_province_finds_none(text):
    assert reference.find_province(text) is None


@pytest.mark.parametrize(
    ("take", "text", "message"),
    [
        (reference.province, "Tiznet", 'unknown province "Tiznet": did you mean MA-TIZ (Tiznit)?'),
        (reference.province, "MA-TIX", 'unknown province "MA-TIX": did you mean MA-TIN (Tinghir)?'),
        (reference.province, "تزنيت", 'unknown province "تزنيت": did you mean MA-TIZ (Tiznit)?'),
        (reference.province, "tiznit", 'unknown province "tiznit": did you mean MA-TIZ (Tiznit)?'),
        (reference.region, "MA-9", 'unknown region "MA-9": did you mean MA-09 (Souss-Massa)?'),
        (
            reference.branch,
            "APICULTRE",
            'unknown branch "APICULTRE": did you mean BEEKEEPING (Apiculture)?',
        ),
        (reference.sector, "ARGANE", 'unknown sector "ARGANE": did you mean ARGAN (Argane)?'),
    ],
)
def test_an_unknown_code_names_the_nearest_valid_one(take, text, message):
    with pytest.raises(reference.UnknownCode) as refusal:
        take(text, field="criteria.place")

    assert refusal.value.detail == message
    assert refusal.value.problems[0].field == "criteria.place"


def test_an_unknown_code_like_no_other_names_codes_to_choose_from():
    with pytest.raises(reference.UnknownCode, match='unknown region "qqq": give one of MA-01, MA'):
        reference.region("qqq")


def test_a_goal_outside_the_seventeen_is_refused():
    with pytest.raises(reference.UnknownCode, match='unknown sdg "18"'):
        reference.sdg(18)


@pytest.mark.parametrize(
    ("commune", "province"),
    [
        ("01.511.01.0", "MA-TNG"),
        ("09.581.05.03", "MA-TIZ"),
        ("06.141.01.0", "MA-CAS"),
        ("06.141.01.31", "MA-CAS"),
    ],
)
def test_a_commune_lies_in_the_province_that_starts_its_code(commune, province):
    assert reference.province_of_commune(commune).code == province


@pytest.mark.parametrize(
    "commune", ["", "09.581", "09.581.", "9.581.05.03", "99.581.05.03", "09.581.05.03.1", "Tiznit"]
)
def test_a_commune_of_wrong_shape_or_of_no_province_is_refused(commune):
    with pytest.raises(reference.UnknownCode, match="unknown commune"):
        reference.province_of_commune(commune)


def test_labels_come_in_three_languages_and_french_stands_in_for_english():
    labels = [
        reference.label("sector", "ARGAN", "ar"),
        reference.label("sector", "CRAFTS", "en"),
        reference.label("province", "MA-TIZ", "ar"),
        reference.label("province", "MA-TIZ", "en"),
        reference.label("sdg", 5, "fr"),
        reference.label("language", "shi", "fr"),
    ]

    assert labels == [
        "زيت أركان",
        "Handicrafts",
        "تيزنيت",
        "Tiznit",
        "Égalité entre les sexes",
        "Tachelhit",
    ]


def test_the_data_name_their_sources_and_licences():
    licences = [source["licence"] for source in reference.sources()]

    assert "CC BY 4.0" in licences
