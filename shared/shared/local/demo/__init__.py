"""The main job as a story: a register, partners, an idea, real calls, and who was told."""

from .story import Facts, tell

__all__ = ["Facts", "tell"]
