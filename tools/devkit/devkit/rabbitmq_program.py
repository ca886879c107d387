"""Where the RabbitMQ server program is: installed, or unpacked from packages for this user."""

import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from .debian import rabbitmq_tree

# Where distributions and the generic archive put it.
PLUGINS = ("rabbitmq_prelaunch", "rabbitmq_management")
PLACES = ("/usr/lib/rabbitmq/lib", "/usr/lib64/rabbitmq/lib", "/opt/rabbitmq", "/usr/local/lib")


@dataclass(frozen=True)
class Program:
    """A RabbitMQ with the Erlang that runs it."""

    origin: str
    home: Path
    erlang: Path
    libraries: Path | None = None

    @property
    def server(self) -> Path:
        """The inner script: unlike the wrapper on the path, it runs as any user."""
        return self.home / "sbin" / "rabbitmq-server"

    @property
    def environment(self) -> dict[str, str]:
        """What Erlang needs to run."""
        path = {"PATH": f"{self.erlang}:{os.environ.get('PATH', os.defpath)}"}
        return path | ({"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {})

    def slim_home(self, folder: Path) -> Path:
        """A home for the server with links to the plugins that it runs, and to no others.

        Erlang looks for each of a thousand modules in every folder of its path: the forty plugins
        that are never enabled more than double the time to start.
        """
        shutil.rmtree(folder, ignore_errors=True)
        plugins = folder / "plugins"
        plugins.mkdir(parents=True)
        for place in self._needed():
            (plugins / place.name).symlink_to(place)
        return folder

    def _needed(self) -> list[Path]:
        """All libraries, and of the plugins those that the wanted ones build on."""
        places = {p.name.rpartition("-")[0]: p for p in (self.home / "plugins").glob("*-*")}
        needed = {name for name in places if not name.startswith("rabbitmq_")}
        new = set(PLUGINS)
        while new:
            needed |= new
            found = {name for plugin in new for name in _builds_on(places[plugin], plugin)}
            new = (found & places.keys()) - needed
        return [places[name] for name in sorted(needed)]


def installed_program() -> Program | None:
    """The machine's own RabbitMQ; its configuration, its data and its service stay untouched."""
    erl = shutil.which("erl")
    if erl is None:
        return None
    for place in map(Path, PLACES):
        for server in sorted(place.glob("rabbitmq_server-*/sbin/rabbitmq-server"), reverse=True):
            return Program("installed", server.parents[1], Path(erl).parent)
    return None


def packaged_program(folder: Path) -> Program:
    """RabbitMQ of Debian's packages, in the user's cache or else in the given folder."""
    tree = rabbitmq_tree(_cache() or folder)
    home = next(tree.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"))
    libraries = tree / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    return Program("Debian packages", home, tree / "usr" / "lib" / "erlang" / "bin", libraries)


def _builds_on(place: Path, plugin: str) -> list[str]:
    description = (place / "ebin" / f"{plugin}.app").read_text()
    listed = re.search(r"{applications,\s*\[([^]]*)\]", description)
    return re.findall(r"\w+", listed[1]) if listed else []


def _cache() -> Path | None:
    """None for a user without a home that can be written to, such as a service account."""
    try:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = Path(root) / "taawon"
        cache.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the second where not even the system knows a home
        return None
    return cache if os.access(cache, os.W_OK) else None
