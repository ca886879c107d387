"""What goes wrong in a row is that row's, whatever it is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from .matrix import MATRIX, Campaign


class Broken(Campaign):
    """Nothing to break but itself."""

    def __init__(self, *, strike: BaseException | None = None, look: BaseException | None = None):
        self.seed = 7
        self.load: Any = SimpleNamespace(subjects=[], unexpected=[])
        self.field: Any = SimpleNamespace()
        self.strike, self.look = strike, look
        self.was_put_right = False

    async def _strike(self, *_: Any) -> None:
        if self.strike is not None:
            raise self.strike

    async def _look(self, *_: Any) -> None:
        if self.look is not None:
            raise self.look

    async def _put_right(self) -> None:
        self.was_put_right = True


async def test_an_error_of_any_kind_fails_its_row_and_no_other():
    campaign = Broken(strike=KeyError("state"))

    result = await campaign.row(MATRIX[0], 1, lambda: None)

    assert result.faults()[0] == "after 0 blows: KeyError 'state'"
    assert campaign.was_put_right


async def test_a_look_that_fails_fails_its_row():
    result = await Broken(look=RuntimeError("gone")).row(MATRIX[0], 1, lambda: None)

    assert result.faults()[0] == "afterwards: RuntimeError gone"


async def test_a_run_that_is_stopped_is_not_a_row_that_failed():
    with pytest.raises(asyncio.CancelledError):
        await Broken(strike=asyncio.CancelledError()).row(MATRIX[0], 1, lambda: None)
