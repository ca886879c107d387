"""An error in a row fails that row, and no other."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from .matrix import MATRIX, Campaign


class Broken(Campaign):
    """A campaign without a system, whose fault or look fails."""

    def __init__(self, *, inject: BaseException | None = None, look: BaseException | None = None):
        self.seed = 7
        self.load: Any = SimpleNamespace(subjects=[], unexpected=[])
        self.context: Any = SimpleNamespace()
        self.inject, self.look = inject, look
        self.was_put_right = False

    async def _inject(self, *_: Any) -> None:
        if self.inject is not None:
            raise self.inject

    async def _look(self, *_: Any) -> None:
        if self.look is not None:
            raise self.look

    async def _put_right(self) -> None:
        self.was_put_right = True


async def test_an_error_of_any_kind_fails_its_row_and_no_other():
    campaign = Broken(inject=KeyError("state"))

    result = await campaign.row(MATRIX[0], 1, lambda: None)

    assert result.faults()[0] == "after 0 faults: KeyError 'state'"
    assert campaign.was_put_right


async def test_a_look_that_fails_fails_its_row():
    result = await Broken(look=RuntimeError("gone")).row(MATRIX[0], 1, lambda: None)

    assert result.faults()[0] == "afterwards: RuntimeError gone"


async def test_a_run_that_is_stopped_is_not_a_row_that_failed():
    with pytest.raises(asyncio.CancelledError):
        await Broken(inject=asyncio.CancelledError()).row(MATRIX[0], 1, lambda: None)
