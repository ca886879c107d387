"""A private PostgreSQL of a folder: loopback only, passwords always, and never run by root."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .account import Account
from .databases import Databases, programs
from .processes import NotStarted, Process
from .state import kept_port, kept_secret, locked, usable_port, write_atomically

ADMIN = "postgres"
# No line for local sockets and none for replication: what is not listed is refused.
ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "on",
}
# Anybody may connect to these two by default, with a password or not of their own.
CLOSE_DEFAULTS = "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;"


class PostgresNode:
    """The server of a folder; whoever has the folder can start, find and stop it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.account = Account.of(self.data)
        self._process = Process(self.folder, "postgres")
        self._secrets = self.folder / "secrets"

    @property
    def port(self) -> int:
        """The port that the folder keeps; another one where it was taken at a start."""
        return kept_port(self.folder / "port")

    @property
    def pid(self) -> int | None:
        """The pid of the server; None where it does not run."""
        return self._process.pid

    @property
    def admin_url(self) -> str:
        """The URL of the superuser, with driver and password."""
        password = kept_secret(self._secrets / f"{ADMIN}.password")
        return f"postgresql+asyncpg://{ADMIN}:{password}@127.0.0.1:{self.port}/postgres"

    @property
    def databases(self) -> Databases:
        """Databases and roles of services on this server."""
        return Databases(self.admin_url, self._secrets)

    def start(self) -> None:
        """Running afterwards; one that runs already, whoever started it, is used."""
        with locked(self.folder):
            try:
                if not (self.is_running() or self._adopt_survivor()):
                    self._launch(self._prefix())
                self._process.wait_for(self._answers, within=300)
            except BaseException:
                self._process.kill9()
                raise

    def stop(self) -> None:
        """Clients are cut off, what they committed is saved."""
        with locked(self.folder):
            self._process.stop(grace=30, by=signal.SIGINT)

    def kill(self) -> None:
        """As a power cut would."""
        with locked(self.folder):
            self._process.kill9()

    def restart(self) -> None:
        """Stop, then start, on the same data."""
        self.stop()
        self.start()

    def is_running(self) -> bool:
        """Whether the recorded process lives."""
        return self._process.is_running()

    def create_database(self, name: str, password: str | None = None) -> str:
        """The URL of that database for its own role; a second call gives the same URL."""
        return self.databases.create(name, password)

    def drop_database(self, name: str) -> None:
        """Remove the database, whoever is connected to it, and its role."""
        self.databases.drop(name)

    def _prefix(self) -> list[str]:
        """The trial runs in an empty folder beside the data, for there may be no data yet."""
        with self._scratch("trial") as trial:
            return self.account.prefix(trial, [str(programs() / "postgres"), "--version"])

    def _launch(self, prefix: list[str]) -> None:
        if not self.data.exists():
            self._make_cluster(prefix)
        settings = SETTINGS | {"port": str(usable_port(self.folder / "port"))}
        command = [*prefix, str(programs() / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._process.start(command, env=_environment(), cwd=self.data)

    def _make_cluster(self, prefix: list[str]) -> None:
        """Made aside and moved, so that an interrupted start leaves nothing half made."""
        with self._scratch("making") as making:
            password = making / "password"
            write_atomically(password, kept_secret(self._secrets / f"{ADMIN}.password"))
            self.account.give(password)
            self._initdb([*prefix, str(programs() / "initdb")], making / "data", password)
            access = making / "data" / "pg_hba.conf"
            access.write_text(ACCESS)
            (making / "data").rename(self.data)

    def _initdb(self, initdb: list[str], data: Path, password: Path) -> None:
        command = [*initdb, "-D", str(data), "-U", ADMIN, f"--pwfile={password}"]
        # Trigrams of Arabic and French words need a locale that knows their letters.
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        command += ["--set=lc_messages=C"]
        run = subprocess.run(
            command, env=_environment(), cwd=data.parent, capture_output=True, text=True
        )
        if run.returncode != 0:
            raise NotStarted(f"no database cluster could be made:\n{run.stdout}{run.stderr}")

    @contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        """An empty folder of the server's account, gone afterwards."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield self.account.make(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _adopt_survivor(self) -> bool:
        """Whether a server of this data runs although our record of it is lost."""
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return False
        pid = int(lock.read_text().split()[0])
        if _works_in(pid, self.data):
            self._process.adopt(pid)
            return True
        # A pid that another program has by now would keep PostgreSQL from starting.
        lock.unlink()
        return False

    def _answers(self) -> bool:
        ready = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        if subprocess.run(ready, env=_environment()).returncode != 0:
            return False
        self.databases.run(CLOSE_DEFAULTS)
        return True


def _works_in(pid: int, folder: Path) -> bool:
    """Every PostgreSQL process works inside its own data folder."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return False


def _environment() -> dict[str, str]:
    """Nothing of ours: a stray PGPORT or PGDATA would lead the server elsewhere."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
