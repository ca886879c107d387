"""The main job as a story: a register, partners, an idea, real calls, and who was alerted."""

from .results import DemoResult
from .story import run_story

__all__ = ["DemoResult", "run_story"]
