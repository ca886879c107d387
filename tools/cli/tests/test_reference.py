"""`taawon reference`: lists of codes, in all or within a wider place."""

from __future__ import annotations

import json

import pytest

from cli.commands.reference import List, reference
from shared.errors import Invalid
from shared.reference import UnknownCode


def listed(capsys: pytest.CaptureFixture[str], what: List, within: str | None = None) -> list[str]:
    reference(what, within, json=True)
    return [row["code"] for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize("what", List)
def test_every_list_has_codes_with_names(what: List, capsys: pytest.CaptureFixture[str]):
    assert len(set(listed(capsys, what))) > 7


def test_a_list_is_narrowed_to_what_lies_within(capsys: pytest.CaptureFixture[str]):
    assert listed(capsys, List.COMMUNES, "MA-CAS") == ["06.141.01.0", "06.141.01.81"]
    assert "MA-TIZ" in listed(capsys, List.PROVINCES, "MA-09")
    assert listed(capsys, List.BRANCHES, "ARGAN") == ["ARGAN_OIL"]


def test_a_list_within_nothing_is_refused():
    with pytest.raises(UnknownCode, match="did you mean MA-TIZ"):
        reference(List.COMMUNES, "MA-TIZZ")
    with pytest.raises(Invalid, match="leave --within out"):
        reference(List.REGIONS, "MA-09")


def test_a_table_shows_code_and_names(capsys: pytest.CaptureFixture[str]):
    reference(List.SECTORS)

    assert "ARGAN" in capsys.readouterr().out
