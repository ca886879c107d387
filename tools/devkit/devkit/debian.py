"""RabbitMQ from Debian's packages: fetched and unpacked by any user, installed nowhere."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .state import locked

SERVER = "rabbitmq-server"
# What the server runs on; its package also asks for programs that only an installation needs.
WANTED = re.compile(r"erlang-[a-z0-9-]+|lib[a-z0-9.+-]+")
ERLANG = "/usr/lib/erlang"
# Written last into a tree: it is whole, and the paths in it are those of its place.
MARK = "unpacked-at"


class NoPackages(RuntimeError):
    """This machine cannot fetch Debian's packages of RabbitMQ."""


def rabbitmq_tree(cache: Path) -> Path:
    """The folder that holds the unpacked packages; fetched once per user and version."""
    for tree in sorted(cache.glob("rabbitmq-*"), reverse=True):
        if _is_whole(tree):
            return tree
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NoPackages("this is no Debian or Ubuntu")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as scratch:
        return _fetch(cache, Path(scratch))


def _is_whole(tree: Path) -> bool:
    mark = tree / MARK
    return mark.exists() and mark.read_text() == str(tree)


def _fetch(cache: Path, scratch: Path) -> Path:
    new = scratch / "tree"
    new.mkdir(mode=0o755)
    packages = _Apt(scratch).download_with_needs(SERVER)
    with ThreadPoolExecutor() as pool:
        unpacking = [["dpkg-deb", "--extract", str(package), str(new)] for package in packages]
        list(pool.map(_run, unpacking))
    tree = cache / f"rabbitmq-{_version(packages)}"
    _move_erlang(new, f"{tree}{ERLANG}")
    (new / MARK).write_text(str(tree))
    with locked(cache):
        if not _is_whole(tree):
            shutil.rmtree(tree, ignore_errors=True)
            new.rename(tree)
    return tree


def _version(packages: Sequence[Path]) -> str:
    name = next(package.name for package in packages if package.name.startswith(f"{SERVER}_"))
    return name.split("_")[1].rpartition("%3a")[2]


def _move_erlang(tree: Path, place: str) -> None:
    """Debian's start scripts know one place only, whatever the environment says."""
    for script in tree.glob(f"{ERLANG[1:]}/**/bin/*"):
        content = script.read_bytes()
        if script.is_file() and not script.is_symlink() and content.startswith(b"#!"):
            script.write_bytes(content.replace(ERLANG.encode(), place.encode()))


class _Apt:
    """The machine's package tools with its own lists, or with private ones where it has none."""

    def __init__(self, scratch: Path) -> None:
        self.folder = scratch / "packages"
        self.lists = scratch / "lists"
        cache = scratch / "cache"
        for folder in (self.folder, self.lists / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True)
        self.options = ["-o", f"Dir::Cache={cache}"]
        # Images often switch off these two, and every call then reads all lists again.
        self.options += ["-o", "Dir::Cache::pkgcache=pkgcache.bin"]
        self.options += ["-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"]
        # Root would otherwise hand over to a user who cannot enter a private folder.
        self.options += ["-o", "APT::Sandbox::User="]

    def download_with_needs(self, package: str) -> list[Path]:
        """The packages of a program and of what it needs to run, less what the machine has."""
        try:
            return self._download(package)
        except NoPackages:
            # The machine has no lists, or lists older than what the archive still holds.
            self.options += ["-o", f"Dir::State::Lists={self.lists}"]
            _run(["apt-get", *self.options, "update"])
            return self._download(package)

    def _download(self, package: str) -> list[Path]:
        missing = sorted({package} | (self._needs(package) - _installed()))
        _run(["apt-get", *self.options, "download", *missing], cwd=self.folder)
        return sorted(self.folder.glob("*.deb"))

    def _needs(self, package: str) -> set[str]:
        known: set[str] = set()
        new = {package}
        while new:
            known |= new
            command = ["apt-cache", *self.options, "depends", "--important", *sorted(new)]
            found = re.findall(r"^[ |]+(?:Pre)?Depends: (\S+)$", _run(command, check=False), re.M)
            new = {name for name in found if WANTED.fullmatch(name)} - known
        return known - {package}


def _installed() -> set[str]:
    listing = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n"]
    lines = (line.split() for line in _run(listing).splitlines())
    return {name for status, name in lines if status == "installed"}


def _run(command: list[str], *, cwd: Path | None = None, check: bool = True) -> str:
    env = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    run = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if check and run.returncode != 0:
        raise NoPackages(f"{command[0]} failed: {run.stderr.strip()}")
    return run.stdout
