"""The main job as a story: a register, partners, an idea, real calls, and who was told."""

from .facts import Facts
from .story import tell

__all__ = ["Facts", "tell"]
