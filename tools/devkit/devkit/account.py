"""Whom a server runs as: root hands over to a user without rights, anybody else runs it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534


class Unreachable(RuntimeError):
    """The user without rights cannot enter the folder of the server that it shall run."""


@dataclass(frozen=True)
class Account:
    """The owner of a server's own folder, and of nothing above that folder."""

    uid: int
    gid: int

    @classmethod
    def of(cls, folder: Path) -> "Account":
        """An ordinary user: itself. Root: whoever owns the folder, else the user nobody."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        kept = folder.stat() if folder.exists() else None
        return cls(kept.st_uid, kept.st_gid) if kept and kept.st_uid else cls(NOBODY, NOBODY)

    def make(self, folder: Path) -> Path:
        """The folder, private to this account."""
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            self.give(folder)
        return folder

    def give(self, path: Path) -> None:
        """Make this account the owner of the path, where root may."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)

    def prefix(self, folder: Path, trial: Sequence[str]) -> list[str]:
        """What to put before a command so that it runs as this account; the `trial` has to succeed.

        Raises Unreachable where no prefix lets this account enter the folder and run the trial.
        """
        if os.geteuid() != 0:
            return []
        for prefix in self._prefixes():
            enter_and_try = ["sh", "-c", 'cd -- "$0" && exec "$@"', str(folder), *trial]
            run = subprocess.run([*prefix, *enter_and_try], capture_output=True, text=True)
            if run.returncode == 0:
                return prefix
        raise Unreachable(
            f"Started by root, the server runs as user {self.uid}, who cannot enter {folder} or"
            f" run {trial[0]}. Move the project to a folder that everybody may enter, such as"
            f" /srv, or start it as an ordinary user. The last try said: {run.stderr.strip()}"
        )

    def _prefixes(self) -> list[list[str]]:
        """Without any right first; then with the right to pass folders closed to others."""
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise Unreachable("To run a server as another user, root needs setpriv (util-linux).")
        user = [setpriv, f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        user.append("--no-new-privs")
        # Without this, a program that first asks access(2) is refused, whatever its rights.
        asked_as_used = "--securebits=+no_setuid_fixup"
        # Containers often withhold the narrower of the two rights.
        return [user] + [
            [*user, f"--inh-caps=+{right}", f"--ambient-caps=+{right}", asked_as_used]
            for right in ("dac_read_search", "dac_override")
        ]
