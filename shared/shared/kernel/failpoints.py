"""Named places where a test may end the process, so that crashes hit exactly where they hurt.

`TAAWON_FAILPOINT=<name>@<file>` ends the process with SIGKILL the first time the place is reached
and leaves the file behind as proof; once the file is there, nothing happens any more. Unset, a
place costs one comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_NAME, _, _PROOF = os.environ.get("TAAWON_FAILPOINT", "").partition("@")


def reach(name: str) -> None:
    """Die here if this place is armed and was not hit before."""
    if name != _NAME:
        return
    proof = Path(_PROOF)
    if proof.exists():
        return
    proof.write_text(f"{name} {os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)
