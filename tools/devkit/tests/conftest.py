"""What the tests of local servers look at: sockets, processes and folders of the machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devkit.containers import engine_answers

# Nothing to test where there is no engine; the header of the run says which it was.
collect_ignore = [] if engine_answers() else ["test_containers.py"]


@pytest.fixture(scope="session")
def listening() -> Callable[[int], set[str]]:
    """The addresses on which a process listens, as /proc writes them: 0100007F is 127.0.0.1."""

    def addresses(pid: int) -> set[str]:
        sockets = set(filter(None, map(_target, Path(f"/proc/{pid}/fd").iterdir())))
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    found.add(fields[1].partition(":")[0])
        return found

    return addresses


def _target(descriptor: Path) -> str | None:
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:  # closed meanwhile
        return None


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path], list[str]]:
    """The programs that run for a folder: it is in their command or in their environment."""

    def programs(folder: Path) -> list[str]:
        return list(_programs(str(folder).encode()))

    return programs


def _programs(mark: bytes) -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:  # ended meanwhile, or another user's
            continue
        if mark in command + environment:
            yield command.replace(b"\0", b" ").decode(errors="replace")


@pytest.fixture(scope="session")
def ancestors() -> Callable[[Path], dict[Path, tuple[int, int, int]]]:
    """Mode and owner of every folder above."""

    def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
        stats = {parent: parent.stat() for parent in folder.parents}
        return {path: (stat.st_mode, stat.st_uid, stat.st_gid) for path, stat in stats.items()}

    return modes


@pytest.fixture(scope="session")
def in_another_process() -> Callable[[str, Path], None]:
    """Run a line of Python elsewhere; `folder` is a Path in it."""

    def run(code: str, folder: Path) -> None:
        prelude = "import sys; from pathlib import Path; folder = Path(sys.argv[1]); "
        subprocess.run([sys.executable, "-c", prelude + code, str(folder)], check=True)

    return run
