"""Numbers that commands take: plain digits, in their range."""

from __future__ import annotations

import pytest
import typer

from shared.kernel.commands.numbers import decimal, whole_number

FOREIGN = ["5_0", "+5", " 5", "٥", "1e2", "", "nan", "inf", "--5", "0x5"]


def test_a_number_in_digits_is_read():
    assert [whole_number()(text) for text in ("0", "5", "005")] == [0, 5, 5]
    assert [decimal(text) for text in ("0", "0.5", "30")] == [0.0, 0.5, 30.0]


@pytest.mark.parametrize("text", [*FOREIGN, "5.0", "-1", str(2**63), "9" * 5000])
def test_no_other_spelling_is_a_whole_number(text: str):
    with pytest.raises((typer.BadParameter, ValueError)):
        whole_number()(text)


@pytest.mark.parametrize("text", [*FOREIGN, "-1", ".5", "5.", "9" * 5000])
def test_no_other_spelling_is_a_decimal(text: str):
    with pytest.raises(typer.BadParameter):
        decimal(text)


@pytest.mark.parametrize("text", ["99", "201"])
def test_a_number_outside_its_range_is_refused_with_the_range(text: str):
    with pytest.raises(typer.BadParameter, match="from 100 to 200"):
        whole_number(100, 200)(text)
