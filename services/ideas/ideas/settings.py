"""Settings of the idea bank: those of the kernel."""

from __future__ import annotations

from typing import ClassVar

from shared.kernel.settings import Settings


class IdeasSettings(Settings):
    """Nothing beside what the kernel reads."""

    service_name: ClassVar[str] = "ideas"
