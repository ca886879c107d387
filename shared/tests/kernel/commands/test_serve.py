"""`taawon serve` binds its port before anything else, and ends with a message where it can't."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import httpx

from devkit.pytest_plugin import PATIENCE
from devkit.state import free_port
from shared.kernel.waiting import wait_until

SETTINGS = {
    "TAAWON_DATABASE_URL": "postgresql+asyncpg://x:hidden@127.0.0.1:1/x",
    "TAAWON_AMQP_URL": "amqp://x:hidden@127.0.0.1:1/",
    "TAAWON_JWKS_URL": "http://127.0.0.1:1/",
}
SERVE = [sys.executable, "-m", "cli.program", "serve", "ideas"]


def test_a_taken_port_is_named_with_the_remedy():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = subprocess.run(
            SERVE,
            env=os.environ | SETTINGS | {"TAAWON_HTTP_PORT": str(port)},
            capture_output=True,
            text=True,
        )

    assert done.returncode == 1
    assert f"ideas can't start: it can't listen on 127.0.0.1, port {port}" in done.stderr
    assert "TAAWON_HTTP_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stdout + done.stderr


def test_a_taken_internal_port_is_named_with_the_remedy():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = str(other.getsockname()[1])
        ports = {"TAAWON_HTTP_PORT": str(free_port()), "TAAWON_INTERNAL_PORT": port}

        done = subprocess.run(
            SERVE, env=os.environ | SETTINGS | ports, capture_output=True, text=True
        )

    assert done.returncode == 1
    assert f"it can't listen on 127.0.0.1, port {port}" in done.stderr
    assert "TAAWON_INTERNAL_PORT" in done.stderr


def test_metrics_and_the_description_of_the_api_are_on_the_internal_port_alone():
    public, internal = free_port(), free_port()
    ports = {"TAAWON_HTTP_PORT": str(public), "TAAWON_INTERNAL_PORT": str(internal)}
    process = subprocess.Popen(
        SERVE,
        env=os.environ | SETTINGS | ports,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: _is_alive(public), within=PATIENCE)
        seen = {
            (port, path): httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30).status_code
            for port in (public, internal)
            for path in ("/metrics", "/openapi.json", "/")
        }
    finally:
        process.kill()
        process.wait()

    assert seen == {
        (public, "/metrics"): 404,
        (public, "/openapi.json"): 404,
        (public, "/"): 200,
        (internal, "/metrics"): 200,
        (internal, "/openapi.json"): 200,
        (internal, "/"): 404,
    }


def test_ending_it_from_the_keyboard_is_no_failure(tmp_path):
    port = free_port()
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            SERVE,
            env=os.environ | SETTINGS | {"TAAWON_HTTP_PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            assert wait_until(lambda: _is_alive(port), within=PATIENCE)
            process.send_signal(signal.SIGINT)

            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()

    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert "Aborted" not in (tmp_path / "errors").read_text()


def _is_alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 204
    except httpx.HTTPError:
        return False
