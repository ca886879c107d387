"""The whole story: a register, a partner, a call, an idea, and everybody who hears of them."""

from __future__ import annotations

from .stories import Story


async def test_the_audience_is_the_register(story: Story) -> None:
    audience = await story.audience()

    assert audience["cooperatives"] >= 3000
