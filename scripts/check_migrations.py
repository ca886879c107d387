"""Fails where the models of a service differ from the schema that its migrations make."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from devkit.nodes import postgres_for_tests
from devkit.stack_layout import SERVICES
from shared.kernel.data import migrations


def main() -> int:
    """Migrate each service on a temporary server, then compare the schema with its models."""
    root = Path(".run").resolve()
    root.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=root, prefix="check-") as folder,
        postgres_for_tests(Path(folder) / "postgres") as postgres,
    ):
        for service in SERVICES:
            url = postgres.databases.create(service)
            migrations.upgrade(service, url)
            migrations.check(service, url)
            sys.stdout.write(f"{service}: models and migrations agree\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
