"""Ids that commands take: any UUID but the nil one."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import typer

from shared.kernel.commands.identifiers import identifier


def test_an_id_is_read_in_any_spelling_of_a_uuid():
    known = uuid4()

    assert identifier(str(known).upper()) == identifier(known.hex) == known


@pytest.mark.parametrize("text", [str(UUID(int=0)), "0" * 32, "tizi", ""])
def test_what_is_the_id_of_nothing_is_refused(text: str):
    with pytest.raises(typer.BadParameter):
        identifier(text)
