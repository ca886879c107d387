"""`taawon serve` takes its port before anything else, and says so where it can't."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


def test_a_taken_port_is_named_with_the_remedy():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = {
            "TAAWON_DATABASE_URL": "postgresql+asyncpg://x:hidden@127.0.0.1:1/x",
            "TAAWON_AMQP_URL": "amqp://x:hidden@127.0.0.1:1/",
            "TAAWON_JWKS_URL": "http://127.0.0.1:1/",
            "TAAWON_HTTP_PORT": str(port),
        }

        done = subprocess.run(
            [sys.executable, "-m", "shared.cli", "serve", "ideas"],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 1
    assert f"ideas can't start: it can't listen on 127.0.0.1, port {port}" in done.stderr
    assert "TAAWON_HTTP_PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stdout + done.stderr
