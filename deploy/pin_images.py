"""Writes into `.env` which image each tag means today, by its digest.

A tag may mean another image tomorrow; a digest is the image itself. Run it again to take newer
images, then build and test with them. Example: make pin
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGE = re.compile(r"^(?P<name>TAAWON_[A-Z]+_IMAGE)=(?P<tag>[^@\s]+)(?:@\S+)?$")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class NotPinned(SystemExit):
    """An image could not be looked up; nothing was written."""


def pinned(line: str) -> str:
    """The line with the digest of its image, where it names one; any other line as it is."""
    found = IMAGE.match(line)
    return f"{found['name']}={found['tag']}@{digest_of(found['tag'])}" if found else line


def digest_of(tag: str) -> str:
    """The digest that the registry gives for a tag, the same for every platform."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", tag]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise NotPinned(f"{tag} could not be looked up, so nothing is pinned:\n{run.stderr}")
    digest = str(json.loads(run.stdout).get("digest"))
    if not DIGEST.fullmatch(digest):
        raise NotPinned(f"{tag}: {digest!r} is no digest, so nothing is pinned")
    return digest


def main(env: Path = ROOT / ".env") -> int:
    """Rewrite the file; the exit code is 1, and nothing changed, where an image is not found."""
    if not env.exists():
        raise NotPinned(f"{env} is missing: write it with make secrets")
    lines = [pinned(line) for line in env.read_text(encoding="utf-8").splitlines()]
    new = env.with_name(".env.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    new.replace(env)
    sys.stdout.write("".join(f"{line}\n" for line in lines if IMAGE.match(line)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
