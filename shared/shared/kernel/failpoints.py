"""Named places where a test may kill the process, so that crashes can be tried at each of them.

`TAAWON_FAILPOINT=<name>@<file>` ends the process with SIGKILL the first time the place is reached
and leaves the file behind as proof; once the file exists, nothing happens any more. Unset, a place
costs one comparison.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_NAME, _, _PROOF = os.environ.get("TAAWON_FAILPOINT", "").partition("@")


def reach(name: str) -> None:
    """Kill the process if the environment names this place and its file does not exist yet."""
    if name != _NAME:
        return
    proof = Path(_PROOF)
    if proof.exists():
        return
    proof.write_text(f"{name} {os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)
