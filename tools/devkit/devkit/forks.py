"""Run `taawon …` as a process that is forked from one which has imported what it needs already.

Starting Python and importing is most of what a short command costs, and two seconds of processor
time of every service that starts; tests run many of both. A fork has its own environment,
descriptors and exit code, may be killed, and leaves nothing behind in the process that asked.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

from cli import program
from shared.kernel import failpoints
from shared.kernel.commands.program import SERVICE_COMMANDS
from shared.kernel.service.spec import spec_of

REQUEST_BYTES = 131072
"""The largest request in bytes: arguments and environment of one command."""
_SERVE = "import sys; from devkit.forks import serve; serve(int(sys.argv[1]), *sys.argv[2:])"


class ForkServer:
    """A process that forks one process per command; it ends with whoever started it.

    It has imported the whole of one service, whose metrics alone a fork then has; without a service
    every command.
    """

    def __init__(self, service: str | None = None) -> None:
        self._endings = tempfile.TemporaryDirectory(prefix="taawon-endings-")
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-c", _SERVE, str(theirs.fileno())]
            command += [service] if service else []
            self._server = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def run(
        self, *arguments: str, env: Mapping[str, str], given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end; `given` is its standard input. Threads may do so at once."""
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(given.encode())
            stdin.seek(0)
            code, out = self._ask(arguments, env, stdin.fileno(), stderr.fileno())
            stderr.seek(0)
            messages = stderr.read().decode()
        return subprocess.CompletedProcess(arguments, code, out, messages)

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path
    ) -> int:
        """Start a command that outlives whoever asks, in a session of its own; its pid."""
        request = {"arguments": arguments, "env": dict(env), "folder": str(folder)}
        request |= {"log": str(log), "endings": self._endings.name}
        started, answer = os.pipe()
        with os.fdopen(started) as pid:
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [answer])
            finally:
                os.close(answer)
            return int(pid.read())

    def exit_code(self, pid: int) -> int | None:
        """How one that was started ended, or minus the signal that ended it; None while it runs."""
        ending = Path(self._endings.name, str(pid))
        return int(ending.read_text()) if ending.exists() else None

    def close(self) -> None:
        """End the process; commands that run go on."""
        self._socket.close()
        self._server.wait()
        self._endings.cleanup()

    def _ask(
        self, arguments: tuple[str, ...], env: Mapping[str, str], stdin: int, stderr: int
    ) -> tuple[int, str]:
        """The exit code, or minus the signal that ended the command, and what it put out."""
        request = {"arguments": arguments, "env": dict(env), "folder": str(Path.cwd())}
        (out, stdout), (ended, answer) = os.pipe(), os.pipe()
        with os.fdopen(out, encoding="utf-8", newline="") as output, os.fdopen(ended) as ending:
            try:
                files = [stdin, stdout, stderr, answer]
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
            finally:
                os.close(stdout)
                os.close(answer)
            written = output.read()
            return int(ending.read()), written


SERVERS: list[ForkServer] = []
"""Those of this process."""


@cache
def fork_server(service: str | None = None) -> ForkServer:
    """The one of this process for this service, or for commands; started at the first call."""
    started = ForkServer(service)
    SERVERS.append(started)
    atexit.register(started.close)
    return started


def commands() -> ForkServer:
    """The one for short commands."""
    return fork_server()


def spawn_fork(command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """What `Process.start` does by itself, as a fork: `command` runs `taawon` with this Python."""
    *_, program_name = command[:3]
    assert program_name == program.__name__, command
    arguments = command[3:]
    service = arguments[1] if arguments[0] == "serve" else None
    return fork_server(service).start(arguments, env=env, folder=cwd, log=log)


def exit_code_of(pid: int) -> int | None:
    """How a process of `spawn_fork` ended; None while it runs."""
    codes = (server.exit_code(pid) for server in SERVERS)
    return next((code for code in codes if code is not None), None)


def serve(number: int, service: str | None = None) -> None:
    """Fork a process for each request that arrives at this socket, until its other end closes."""
    _import(service)
    gc.freeze()
    # It never waits for the processes that it forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as requests:
        while True:
            request, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
            if not request:
                return
            asked = json.loads(request)
            if os.fork() == 0:
                requests.close()
                if "log" in asked:
                    _watch_detached(asked, *files)
                _watch(asked, files)
            for file in files:
                os.close(file)


def _import(service: str | None) -> None:
    """Everything that the forks will run."""
    if service is not None:
        importlib.import_module("shared.kernel.commands.serve")
        importlib.import_module("shared.kernel.service.server")
        spec_of(service)
        return
    program.build()
    for group in (SERVICE_COMMANDS, program.OPERATOR_COMMANDS):
        for entry in entry_points(group=group):
            entry.load()


def _watch_detached(request: dict[str, Any], answer: int) -> NoReturn:
    """Fork once more, say the pid, and keep how it ended."""
    os.setsid()  # what ends the asking process, such as Ctrl-C, does not end this one
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        _detach(request)
    os.write(answer, str(pid).encode())
    os.close(answer)
    _, status = os.waitpid(pid, 0)
    with suppress(FileNotFoundError):  # nobody asks any more
        written = Path(request["endings"], f"{pid}.part")
        written.write_text(str(os.waitstatus_to_exitcode(status)))
        written.rename(Path(request["endings"], str(pid)))
    os._exit(0)


def _detach(request: dict[str, Any]) -> NoReturn:
    """Be the command in a session of its own, whose output goes into its log."""
    os.setsid()
    for number in (signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # As Python itself sets them when it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _become(request, [os.open(os.devnull, os.O_RDONLY), log, os.dup(log)])


def _watch(request: dict[str, Any], files: list[int]) -> None:
    """Fork once more: the command goes on in the fork, and this process reports how it ended."""
    *standard, answer = files
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        _become(request, standard)
    _, status = os.waitpid(pid, 0)
    os.write(answer, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: dict[str, Any], standard: list[int]) -> NoReturn:
    """Be the command, as if Python had been started for it."""
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    importlib.reload(failpoints)  # it reads the environment when it is imported
    sys.argv = ["taawon", *request["arguments"]]
    code = _exit_code()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking every imported module apart would cost more than most commands do.
    os._exit(code)


def _exit_code() -> int:
    """What Python would exit with; the message of an exit or an error goes to standard error."""
    try:
        program.main()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0
