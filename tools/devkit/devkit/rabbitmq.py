"""A private RabbitMQ of a folder: loopback only, no guest, an Erlang name service of its own."""

import os
import socket
from pathlib import Path
from urllib.parse import quote

from shared.kernel.messaging.management import Management

from .account import Account
from .processes import Process
from .rabbitmq_program import Program, installed_program, packaged_program
from .state import kept_port, kept_secret, locked, usable_port, write_atomically

ADMIN = "taawon-admin"
# A default user of another name means that no guest is ever made.
CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
default_user = {user}
default_pass = {password}
"""
# Distribution on loopback only; idle schedulers that sleep leave the processor to the services.
ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
GREETING = b"AMQP\x00\x00\x09\x01"


class RabbitNode:
    """The server of a folder; whoever has the folder can start, find and stop it."""

    def __init__(self, folder: Path, program: Program | None = None) -> None:
        self.folder = folder.absolute()
        self.own = self.folder / "node"
        self.account = Account.of(self.own)
        self._program = program
        self._server = Process(self.folder, "rabbitmq")
        self._names = Process(self.folder, "epmd")

    @property
    def pid(self) -> int | None:
        """The pid of the server; None where it does not run."""
        return self._server.pid

    @property
    def management_url(self) -> str:
        """Where the management API answers, on loopback."""
        return f"http://127.0.0.1:{self._port('management')}"

    @property
    def management(self) -> Management:
        """The management API with the administrator's login."""
        return Management(self.management_url, ADMIN, self._password)

    @property
    def address(self) -> str:
        """Host and port of AMQP, on loopback."""
        return f"127.0.0.1:{self._port('amqp')}"

    @property
    def admin_url(self) -> str:
        """The AMQP URL of the administrator, for the default vhost."""
        return self.amqp_url(ADMIN, self._password)

    def amqp_url(self, user: str, password: str, vhost: str = "/") -> str:
        """The AMQP URL of any user and vhost of this node."""
        return amqp_url(self.address, user, password, vhost)

    def start(self) -> None:
        """Running afterwards; one that runs already, whoever started it, is used."""
        with locked(self.folder):
            try:
                if not self.is_running():
                    self._launch()
                self._server.wait_for(self._answers, within=300)
            except BaseException:
                self._end()
                raise

    def stop(self) -> None:
        """Nothing stays behind: the name service goes with the server."""
        with locked(self.folder):
            self._server.stop(grace=30)
            self._end()

    def kill(self) -> None:
        """As a power cut would, for the server; the name service stays until stop()."""
        with locked(self.folder):
            self._server.kill9()

    def restart(self) -> None:
        """Stop, then start, on the same data."""
        self.stop()
        self.start()

    def is_running(self) -> bool:
        """Whether the recorded process of the server lives."""
        return self._server.is_running()

    def _end(self) -> None:
        # The name service keeps nothing, and does not listen to a request to end.
        self._server.kill9()
        self._names.kill9()

    @property
    def _password(self) -> str:
        return kept_secret(self.folder / "secrets" / f"{ADMIN}.password")

    def _port(self, what: str) -> int:
        return kept_port(self.folder / "ports" / what)

    def _launch(self) -> None:
        program = self._program or find_program(self.folder / "program")
        self.account.make(self.own)
        prefix = self.account.prefix(self.own, ["env", *_pairs(program), "erl", "+V"])
        for port in ("amqp", "management", "distribution"):
            usable_port(self.folder / "ports" / port)
        if not self._names.is_running():
            usable_port(self.folder / "ports" / "epmd")
        self._write_configuration()
        home = program.slim_home(self.own / "home")
        env = program.environment | self._environment(home)
        self._names.start([*prefix, str(program.erlang / "epmd")], env=env)
        self._server.start([*prefix, str(program.server)], env=env, cwd=self.own)

    def _write_configuration(self) -> None:
        texts = {
            "rabbitmq.conf": CONFIGURATION.format(
                amqp=self._port("amqp"),
                management=self._port("management"),
                user=ADMIN,
                password=self._password,
            ),
            "advanced.config": "[].\n",
            "enabled_plugins": "[rabbitmq_management].\n",
        }
        for name, text in texts.items():
            write_atomically(self.own / name, text)
            self.account.give(self.own / name)

    def _environment(self, home: Path) -> dict[str, str]:
        """Every path and port is ours; nothing is read from the machine's own RabbitMQ."""
        own = self.own
        return {
            "HOME": str(own),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._port("epmd")),
            "RABBITMQ_HOME": str(home),
            "RABBITMQ_PLUGINS_DIR": str(home / "plugins"),
            "RABBITMQ_NODENAME": "taawon@localhost",
            "RABBITMQ_DIST_PORT": str(self._port("distribution")),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(own / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(own / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(own / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(own / "data"),
            "RABBITMQ_SCHEMA_DIR": str(own / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(own / "generated"),
            "RABBITMQ_LOG_BASE": str(own / "log"),
            "RABBITMQ_PID_FILE": str(own / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
            # The script then becomes the server, instead of waiting for it as a parent.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _answers(self) -> bool:
        return greets(self._port("amqp")) and self.management.is_answering()


def find_program(folder: Path) -> Program:
    """The installed server, else the one of Debian's packages."""
    return installed_program() or packaged_program(folder)


def amqp_url(address: str, user: str, password: str, vhost: str = "/") -> str:
    """The default virtual host is the empty path, as clients read it."""
    path = "" if vhost == "/" else quote(vhost, safe="")
    return f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@{address}/{path}"


def greets(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something there speaks the broker's protocol; no login is tried."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(GREETING)
            return bool(connection.recv(1))
    except OSError:
        return False


def _pairs(program: Program) -> list[str]:
    return [f"{name}={value}" for name, value in program.environment.items()]
