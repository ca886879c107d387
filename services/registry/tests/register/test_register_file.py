"""Reading register files: wrong rows are reported, good ones handed on."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.register.domain.cooperative import Governance
from registry.register.register_file.cells import quoted
from registry.register.register_file.decoding import FileRefused, lines_of
from registry.register.register_file.reader import RowVerdict, read_rows
from shared.contracts.criteria import ActivityStatus, ApplicantType, LegalStatus

from ..builders import TODAY, a_file, a_row


def verdicts(content: bytes) -> list[RowVerdict]:
    return list(read_rows(lines_of(io.BytesIO(content)), today=TODAY))


def only(**changes: str) -> RowVerdict:
    (verdict,) = verdicts(a_file(a_row(**changes)))
    return verdict


def test_a_good_row_becomes_an_entry_and_a_contact() -> None:
    verdict = only()

    assert verdict.findings == ()
    assert verdict.entry is not None
    assert verdict.contact is not None
    assert (verdict.entry.province, verdict.entry.sector) == ("MA-TIZ", "ARGAN")
    assert verdict.contact.phone == "+212600000001"


def test_french_headers_semicolons_and_a_byte_order_mark_are_understood() -> None:
    content = (
        "\ufeffN° registre local;Tribunal;Dénomination;Préfecture;Nombre d'adhérents\n"
        "7/2020;TPI Tiznit;Coopérative Afra;Tiznit;1 250\n"
    )

    (verdict,) = verdicts(content.encode())

    assert verdict.entry is not None
    assert (verdict.entry.members_total, verdict.entry.province) == (1250, "MA-TIZ")


SEMICOLONS = "Tribunal;N° registre local;Nom;Province\nTPI Tiznit;7/2020;Coopérative Afra;Tiznit\n"


@pytest.mark.parametrize(
    ("before", "line", "skipped"),
    [
        ("sep=;\r\n", 3, []),
        ('"sep=;"\n', 3, []),
        ("\ufeffsep=;\n", 3, []),
        ("Registre des coopératives;;;\n", 3, [1]),
        ("Registre des coopératives, Souss-Massa\nArrêté au 31/12/2025\n\n", 5, [1, 2]),
        ("sep=;\nRegistre des coopératives;;;\n;;;\n", 5, [2]),
    ],
)
def test_a_line_about_delimiters_and_titles_may_stand_above_the_header(
    before: str, line: int, skipped: list[int]
) -> None:
    found = verdicts((before + SEMICOLONS).encode())

    (row,) = [verdict for verdict in found if verdict.is_row]
    warnings = [finding for verdict in found if not verdict.is_row for finding in verdict.findings]
    assert row.entry is not None
    assert (row.line, row.entry.province, row.findings) == (line, "MA-TIZ", ())
    assert [(each.line, each.is_warning) for each in warnings] == [(n, True) for n in skipped]
    assert "coopératives" not in str(warnings)


def test_a_delimiter_that_the_first_line_names_is_used() -> None:
    (verdict,) = verdicts(("sep=|\n" + SEMICOLONS.replace(";", "|")).encode())

    assert verdict.entry is not None


def test_lines_are_counted_from_the_beginning_of_the_file() -> None:
    content = "Un titre\n" + SEMICOLONS + 'TPI Tiznit;8/2020;"Afra\nTizi";x\n'

    *_, wrong = verdicts(content.encode())

    assert [finding.line for finding in wrong.findings] == [4]


@pytest.mark.parametrize("cell", ["Souss-Massa", "MA-09", "جهة سوس ماسة", "", "-"])
def test_a_region_that_agrees_with_the_province_changes_nothing(cell: str) -> None:
    assert only(region=cell).findings == ()


def test_a_region_that_contradicts_the_province_keeps_the_row_out_and_both_are_named() -> None:
    verdict = only(region="L'Oriental", province="Tiznit")

    assert verdict.entry is None
    assert_found(
        verdict,
        "province",
        "MA-TIZ (Tiznit) lies in MA-09 (Souss-Massa), not in MA-02 (Oriental)",
        "correct the region or the province",
    )


def test_a_region_that_is_none_is_a_warning() -> None:
    verdict = only(region="Souss-Masse")

    assert verdict.entry is not None
    assert (verdict.unread, [each.is_warning for each in verdict.findings]) == (frozenset(), [True])
    assert_found(verdict, "region", "unknown region", "MA-09")


def test_arabic_headers_names_and_digits_are_understood() -> None:
    content = (
        "رقم السجل المحلي,المحكمة,التسمية,الإقليم,عدد المنخرطين\n٧/٢٠٢٠,تيزنيت,تعاونية,تيزنيت,١٢\n"
    )

    (verdict,) = verdicts(content.encode())

    assert verdict.entry is not None
    assert (verdict.entry.members_total, verdict.entry.province) == (12, "MA-TIZ")


@pytest.mark.parametrize("cell", ["2021-03-31", "31/03/2021", "31-03-2021", "٣١/٠٣/٢٠٢١"])
def test_dates_are_read_in_both_orders(cell: str) -> None:
    verdict = only(creation_date=cell)

    assert verdict.entry is not None
    assert verdict.entry.created_on == date(2021, 3, 31)


@pytest.mark.parametrize(
    "cell", ["06 00 00 00 01", "06.00.00.00.01", "00212600000001", "212600000001"]
)
def test_phones_are_read_in_every_usual_spelling(cell: str) -> None:
    verdict = only(phone=cell)

    assert verdict.contact is not None
    assert verdict.contact.phone == "+212600000001"


def test_words_for_forms_and_states_are_read_in_french() -> None:
    verdict = only(
        legal_form="Union de coopératives",
        governance="Gérants",
        status="Radiée",
        activity="En sommeil",
        language="Français",
        capital="1 000,50 DH",
        is_test_data="oui",
    )

    entry = verdict.entry
    assert entry is not None
    assert entry.applicant_type is ApplicantType.COOPERATIVE_UNION
    assert entry.governance is Governance.MANAGERS
    assert entry.legal_status is LegalStatus.STRUCK_OFF
    assert entry.activity_status is ActivityStatus.DORMANT
    assert (entry.language, entry.capital_centimes, entry.is_test_data) == ("fr", 100_050, True)


@pytest.mark.parametrize(
    ("column", "cell", "reason", "suggestion"),
    [
        ("province", "Tiznitt", "unknown province", "MA-TIZ"),
        ("commune", "09.163.16.0", "lies in MA-CHT", "correct"),
        ("name_fr", "x" * 501, "longer than 500", "shorten"),
        ("court", " ", "empty", "fill it in"),
        ("court", "-", "empty", "fill it in"),
    ],
)
def test_a_wrong_identity_or_territory_keeps_the_row_out_and_says_why(
    column: str, cell: str, reason: str, suggestion: str | None
) -> None:
    verdict = only(**{column: cell})

    assert verdict.entry is None
    assert_found(verdict, column, reason, suggestion)


def assert_found(verdict: RowVerdict, column: str, reason: str, suggestion: str | None) -> None:
    finding = next(each for each in verdict.findings if each.column == column)
    assert finding.line == 2
    assert reason in finding.reason
    assert suggestion is None or suggestion in (finding.suggestion or "")


@pytest.mark.parametrize(
    ("column", "cell", "reason", "suggestion"),
    [
        ("sector", "ARGANE HUILE", "unknown sector", None),
        ("branch", "Apicultre", "unknown branch", "did you mean BEEKEEPING (Apiculture)?"),
        ("branch", "qqq", "unknown branch", None),
        ("ice", "990000000000068", "not valid", "leave it empty"),
        ("ice", "0", "not valid", "leave it empty"),
        ("ice", "97", "not valid", "leave it empty"),
        ("ice", "0" * 15, "not valid", "leave it empty"),
        ("ice", "9.9E+14", "shortened by a spreadsheet", "text"),
        ("members_total", "douze", "not a whole number", "digits"),
        ("members_total", "99999999", "more than", None),
        ("members_women", "11", "more than members_total (10)", None),
        ("creation_date", "31/02/2021", "no day of the calendar", None),
        ("creation_date", "2031-01-01", "in the future", None),
        ("creation_date", "hier", "no date", "31/03/2021"),
        ("capital", "beaucoup", "no amount", None),
        ("capital", "1E999999", "no amount", None),
        ("capital", "Infinity", "no amount", None),
        ("capital", "9" * 5000, "too large", None),
        ("capital", "12.500", "thousands or three decimals", "12500"),
        ("capital", "12,500", "thousands or three decimals", "12500"),
        ("capital", "1.234.567", "no amount", "12500"),
        ("legal_form", "syndicat", "not known", "cooperative"),
        ("status", "fermée", "not known", "struck_off"),
        ("is_test_data", "peut-être", "not known", "true"),
        ("phone", "0123", "no valid telephone", "0612345678"),
        ("email", "nobody", "no valid e-mail", "name@example.org"),
    ],
)
def test_any_other_wrong_cell_is_left_unknown_with_a_warning(
    column: str, cell: str, reason: str, suggestion: str | None
) -> None:
    verdict = only(**{column: cell})

    assert verdict.entry is not None
    assert all(finding.is_warning for finding in verdict.findings)
    assert_found(verdict, column, reason, suggestion)


@pytest.mark.parametrize("cell", ["-", "—", "...", "N/A", "néant", "n.d.", " ", "غير متوفر"])
@pytest.mark.parametrize(
    ("column", "field"),
    [("branch", "branch"), ("sector", "sector"), ("name_ar", "name_ar"), ("ice", "ice")],
)
def test_a_placeholder_is_an_empty_cell(column: str, field: str, cell: str) -> None:
    verdict = only(**{column: cell})

    assert verdict.findings == ()
    assert verdict.entry is not None
    assert getattr(verdict.entry, field) is None


@pytest.mark.parametrize("kind", ApplicantType)
def test_a_file_takes_every_type_that_the_api_takes(kind: ApplicantType) -> None:
    verdict = only(legal_form=kind)

    assert verdict.entry is not None
    assert verdict.entry.applicant_type is kind


@pytest.mark.parametrize(
    ("column", "cell", "field", "value"),
    [
        ("branch", "Apiculture", "branch", "BEEKEEPING"),
        ("branch", "تربية النحل", "branch", "BEEKEEPING"),
        ("branch", "Miel", "branch", "BEEKEEPING"),
        ("status", "Active", "legal_status", LegalStatus.REGISTERED),
        ("status", "enregistrée", "legal_status", LegalStatus.REGISTERED),
        ("activity", "dormante", "activity_status", ActivityStatus.DORMANT),
        ("legal_form", "auto_entrepreneur", "applicant_type", ApplicantType.SELF_EMPLOYED),
        ("capital", "12 500,5", "capital_centimes", 1_250_050),
        ("capital", "0,07 DH", "capital_centimes", 7),
    ],
)
def test_words_and_amounts_of_real_files_are_read(
    column: str, cell: str, field: str, value: object
) -> None:
    verdict = only(**{column: cell})

    assert verdict.findings == ()
    assert getattr(verdict.entry, field) == value


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
def test_every_line_end_is_read(end: bytes) -> None:
    rows = [a_row(local_register_no=str(number)) for number in range(1_000)]

    found = verdicts(a_file(*rows).replace(b"\n", end))

    assert sum(verdict.entry is not None for verdict in found) == 1_000


def test_a_stray_carriage_return_is_reported_and_the_next_row_is_read() -> None:
    rows = [a_row(name_fr="Tizi#Argan"), a_row(local_register_no="2")]

    found = verdicts(a_file(*rows).replace(b"#", b"\r"))

    assert [verdict.entry is not None for verdict in found] == [False, False, True]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_quotation_mark_that_is_open_at_the_end_is_refused_with_its_line(end: bytes) -> None:
    good = b'court,local_register_no,name_fr,province\n"T\n",1,A,MA-TIZ\n"T\nU",2,"D\n'

    with pytest.raises(FileRefused, match="opens on line 5 is never closed"):
        verdicts(good + b"T,5,MA-TIZ,E" + end)


def test_a_quotation_mark_that_is_open_in_the_header_is_refused() -> None:
    with pytest.raises(FileRefused, match="opens on line 1 is never closed"):
        verdicts(b'court,local_register_no,name_fr,"province\nT,5,E,MA-TIZ\n')


def test_a_header_may_span_lines() -> None:
    (verdict,) = verdicts(b'court,"local\nregister no",name_fr,province\nT,5,E,MA-TIZ\n')

    assert (verdict.line, verdict.entry is not None) == (3, True)


@pytest.mark.parametrize(
    ("column", "secret"),
    [
        ("phone", "0123"),
        ("email", "someone-private"),
        ("members_total", "06 12 34 56 78"),
        ("members_total", "Aïcha Tazi"),
        ("members_women", "عائشة"),
        ("capital", "Aïcha Tazi"),
        ("creation_date", "Aïcha Tazi"),
        ("status", "Aïcha Tazi"),
        ("sector", "Aïcha Tazi"),
        ("commune", "Aïcha Tazi"),
        ("commune", "09 Aïcha Tazi"),
        ("province", "Tazi"),
        ("province", "someone@private.example"),
    ],
)
def test_reasons_never_quote_personal_data(column: str, secret: str) -> None:
    verdict = only(**{column: secret})

    shown = [finding.as_data() for finding in verdict.findings]
    assert [each["column"] for each in shown] == [column]
    assert secret not in str(shown)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("12,5", "'12,5'"),
        ("-3", "'-3'"),
        ("31.02.21", "'31.02.21'"),
        ("0612345678", "this cell"),
        ("Aïcha Tazi", "this cell"),
        ("12 Aïcha", "this cell"),
        ("عائشة", "this cell"),
        ("ⴰⵢⵛⴰ", "this cell"),
        ("a@b.ma", "this cell"),
    ],
)
def test_a_reason_shows_numbers_and_nothing_that_may_be_a_person(cell: str, shown: str) -> None:
    assert quoted(cell) == shown


@pytest.mark.parametrize(
    ("cell", "nearest"),
    [("Aglou", "Tnine Aglou"), ("09.581.01.0", "Tafraout"), ("تفراوة", "Tafraout")],
)
def test_a_commune_that_the_province_does_not_have_is_left_unknown_with_the_nearest(
    cell: str, nearest: str
) -> None:
    verdict = only(commune=cell)

    assert verdict.entry is not None
    assert verdict.entry.commune is None
    (finding,) = verdict.findings
    assert (finding.is_warning, nearest in (finding.suggestion or "")) == (True, True)


@pytest.mark.parametrize("cell", ["09.581.01.07", "Tiznit", "commune de TIZNIT", "تيزنيت"])
def test_a_commune_is_read_as_code_and_as_name(cell: str) -> None:
    verdict = only(commune=cell)

    assert verdict.entry is not None
    assert (verdict.entry.commune, verdict.findings) == ("09.581.01.07", ())


def test_zeros_that_a_spreadsheet_dropped_from_an_ice_are_put_back() -> None:
    verdict = only(ice="1561191000066")

    assert verdict.entry is not None
    assert verdict.entry.ice == "001561191000066"


def test_good_rows_are_handed_on_while_wrong_ones_are_reported() -> None:
    rows = [a_row(local_register_no="1"), a_row(local_register_no="2", province="Nulle part")]

    good, wrong = verdicts(a_file(*rows))

    assert good.entry is not None
    assert (wrong.entry, wrong.line) == (None, 3)


def test_a_cooperative_that_comes_twice_is_reported_with_the_first_line() -> None:
    first = a_row(local_register_no="12/2021", court="TPI Tiznit")
    again = a_row(local_register_no="12 / 2021", court="tpi TIZNIT")

    good, wrong = verdicts(a_file(first, again))

    assert good.entry is not None
    assert "line 2" in wrong.findings[0].reason


def test_a_short_row_is_reported_and_the_next_one_is_read() -> None:
    content = (
        a_file(a_row()) + b"only,three,cells\n" + a_file(a_row(court="TPI Agadir")).split(b"\n")[1]
    )

    found = verdicts(content)

    assert [verdict.entry is not None for verdict in found] == [True, False, True]


def test_lines_are_counted_through_quoted_line_breaks() -> None:
    rows = [a_row(name_fr="Coopérative\nTizi"), a_row(local_register_no="2", province="x")]

    found = verdicts(a_file(*rows))

    assert [verdict.line for verdict in found] == [2, 4]


def test_an_unknown_column_is_reported_once_and_not_read() -> None:
    rows = [a_row(local_register_no=number, colour="red") for number in ("1", "2")]

    header, *found = verdicts(a_file(*rows))

    place = len(a_row()) + 1
    assert [finding.column for finding in header.findings] == [f"column {place}"]
    assert "colour" not in str(header.findings)
    assert all(verdict.findings == () for verdict in found)


def test_an_unknown_header_that_resembles_a_free_column_is_asked_about() -> None:
    header, _ = verdicts(a_file(a_row(secteurs="ARGAN", members_totale="12")))

    asked = {each.column: each.suggestion for each in header.findings}
    assert list(asked.values()) == ["rename or remove it", "rename or remove it"]

    row = {name: value for name, value in a_row().items() if name != "sector"}
    header, _ = verdicts(a_file({**row, "Secteurs d'activité": "ARGAN"}))

    assert "is it sector?" in (header.findings[0].suggestion or "")


def test_a_missing_column_is_named_with_the_nearest_header() -> None:
    content = b"court,local_register_nr,name_fr,province\n"

    with pytest.raises(FileRefused, match=r"local_register_no \(is it column 2\?\)"):
        verdicts(content)


@pytest.mark.parametrize("header", ["Country ID", "Amount", "Source", "Coursier"])
def test_a_header_that_only_sounds_alike_is_no_hint(header: str) -> None:
    content = f"{header},local_register_no,name_fr,province\n"

    with pytest.raises(FileRefused) as refusal:
        verdicts(content.encode())

    assert "is it column" not in refusal.value.detail


def test_a_file_without_a_header_is_refused_and_nobody_in_it_is_quoted() -> None:
    content = "Courtois,Provencal,Nadia Fr,Aïcha Tazi,0612345678\n"

    with pytest.raises(FileRefused, match="the header lacks court") as refusal:
        verdicts(content.encode())

    assert [name for name in content.strip().split(",") if name in refusal.value.detail] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"court,local_register_no,name_fr,province\nA,1,Coop\xe9rative,x\n", "line 2, byte 50"),
        ("court".encode("utf-16"), "UTF-16"),
        (b"court,local_register_no\x00,name_fr,province\n", "NUL"),
        (b"court," + b"x" * 70_000, "longer than"),
        (b"court,tribunal,local_register_no,name_fr,province\n", "both mean court"),
        (b'court,local_register_no,name_fr,province\nA,"1' + b",\n" * 90_000, "never closed"),
    ],
)  # fmt: skip
def test_what_is_no_register_file_is_refused_with_the_remedy(content: bytes, message: str) -> None:
    with pytest.raises(FileRefused, match=message):
        verdicts(content)


HEADER = b"court,local_register_no,name_fr,province,members_total,phone,creation_date,ice\n"


def findings_or_refusal(content: bytes) -> bool:
    """Whether the file was read to its end, with an entry or a reason for each row."""
    try:
        found = verdicts(content)
    except FileRefused as refusal:
        return bool(refusal.detail)
    return all(verdict.entry or verdict.findings for verdict in found)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_a_file_holds_it_is_read_or_refused(lines: list[bytes]) -> None:
    assert findings_or_refusal(HEADER + b"\n".join(lines))


@given(st.lists(st.text(max_size=30), min_size=8, max_size=8))
def test_whatever_a_cell_holds_it_is_read_or_reported(cells: list[str]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)

    assert findings_or_refusal(HEADER + stream.getvalue().encode("utf-8", "replace"))


@pytest.mark.parametrize("number", ["١", "１", "\u200f1", "1\ufeff"])
def test_a_number_in_other_digits_or_with_a_mark_is_the_same_number(number: str) -> None:
    good, twin = verdicts(a_file(a_row(local_register_no="1"), a_row(local_register_no=number)))

    assert (good.entry is not None, twin.entry) == (True, None)
    assert "same court and number as line 2" in twin.findings[0].reason


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("ice", "٩٩00000000000６٧"),
        ("phone", "０６００００００٠1"),
        ("members_total", "１٢"),
    ],
)
def test_digits_of_every_script_are_read(column: str, cell: str) -> None:
    assert only(**{column: cell}).findings == ()


@pytest.mark.parametrize("cell", ["\u200fa@taawon.example", "A@ＴＡＡＷＯＮ.example"])
def test_an_address_is_read_in_every_spelling(cell: str) -> None:
    contact = only(email=cell).contact

    assert contact is not None
    assert contact.email == "a@taawon.example"


def test_an_address_of_an_international_domain_is_read() -> None:
    contact = only(email="a@بريد.example").contact

    assert contact is not None
    assert contact.email == "a@xn--ngbof4h.example"


@pytest.mark.parametrize("cell", ["Coop \x1b]0;x\x07", "Coop \u202egrA"])
def test_a_name_with_a_control_character_stays_out(cell: str) -> None:
    verdict = only(name_fr=cell)

    assert verdict.entry is None
    assert_found(verdict, "name_fr", "control character U+", "leave it out")
