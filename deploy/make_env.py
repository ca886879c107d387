"""Writes `.env` from `.env.example` with a new value for every secret; never replaces a file.

Example: make secrets
"""

from __future__ import annotations

import os
import secrets
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

ROOT = Path(__file__).parents[1]


def filled(line: str) -> str:
    """The line with a new secret if it names one without a value; any other line as it is."""
    name, _, value = line.partition("=")
    if line.startswith("#") or value or not name.endswith(("_PASSWORD", "_KEYS")):
        return line
    # Passwords are part of URLs, so they consist of letters, digits, - and _ only.
    secret = secrets.token_urlsafe(32)
    if name == "TAAWON_SEAL_KEYS":
        secret = urlsafe_b64encode(os.urandom(32)).decode()
    return f"{name}={secret}"


def main() -> int:
    """Write the file; the exit code is 1 where there is one already."""
    target = ROOT / ".env"
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    try:
        # Nobody but its owner can ever read the file.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{target} is there already; its secrets are in use: change it by hand\n")
        return 1
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(map(filled, lines)) + "\n")
    sys.stdout.write(f"{target} is written; keep a copy of TAAWON_SEAL_KEYS where backups are\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
