"""Run `taawon …` as a process that is forked from one which has imported every command already.

Starting Python and importing is most of what a short command costs, and tests run many. A fork has
its own environment, descriptors and exit code, may be killed, and leaves nothing behind in the
process that asked for it.
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
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from cli import program
from shared.kernel import failpoints

REQUEST_BYTES = 131072
"""The largest request in bytes: arguments and environment of one command."""
_SERVE = "import sys; from devkit.forks import serve; serve(int(sys.argv[1]))"


class Commands:
    """A process that forks one process per command; it ends with whoever started it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-c", _SERVE, str(theirs.fileno())]
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

    def close(self) -> None:
        """End the process; commands that run go on."""
        self._socket.close()
        self._server.wait()

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


@cache
def commands() -> Commands:
    """The one `Commands` of this process, started at the first call."""
    started = Commands()
    atexit.register(started.close)
    return started


def serve(number: int) -> None:
    """Fork a process for each request that arrives at this socket, until its other end closes."""
    program.build()
    gc.freeze()
    # It never waits for the processes that it forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as requests:
        while True:
            request, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
            if not request:
                return
            if os.fork() == 0:
                requests.close()
                _watch(json.loads(request), files)
            for file in files:
                os.close(file)


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
