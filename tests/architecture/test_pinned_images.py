"""`make pin` writes which image each tag means today; an operator decides when that changes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
CHANGEABLE = re.compile(r"\$\{TAAWON_[A-Z]+_IMAGE:-[a-z/]+:[\w.-]+\}")

REGISTRY = """#!/bin/sh
# Answers as `docker buildx imagetools inspect` does for the images of this folder.
for tag; do :; done
case "$1 $2 $3" in "buildx imagetools inspect") ;; *) exit 2 ;; esac
digest=$(cat "$REGISTRY/$(echo "$tag" | tr / _)") || exit 1
echo "{\\"mediaType\\": \\"application/vnd.oci.image.index.v1+json\\", \\"digest\\": \\"$digest\\"}"
"""
"""Stands for the registries, which tests do not reach."""


class Pinning:
    """A clone with an `.env`, and a registry that knows the images of the example."""

    def __init__(self, folder: Path) -> None:
        self.env = folder / ".env"
        self.registry = folder / "registry"
        self.registry.mkdir()
        copytree(ROOT / "deploy", folder / "deploy")
        self.env.write_text(EXAMPLE + "TAAWON_POSTGRES_PASSWORD=hidden\n")
        program = folder / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(REGISTRY)
        program.chmod(0o755)
        self.command = [sys.executable, str(folder / "deploy" / "pin_images.py")]
        self.path = f"{program.parent}:{os.environ['PATH']}"

    def publish(self, tag: str, letter: str) -> None:
        (self.registry / tag.replace("/", "_")).write_text(f"sha256:{letter * 64}")

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command,
            env={"PATH": self.path, "REGISTRY": str(self.registry)},
            capture_output=True,
            text=True,
        )

    @property
    def images(self) -> dict[str, str]:
        lines = [line for line in self.env.read_text().splitlines() if "_IMAGE=" in line]
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def pinning(tmp_path: Path) -> Pinning:
    pinning = Pinning(tmp_path)
    for tag in pinning.images.values():
        pinning.publish(tag, "a")
    return pinning


def test_every_tag_gets_the_digest_that_it_means_today(pinning: Pinning):
    tags = pinning.images
    first = pinning.run()
    pinned = pinning.images
    pinning.publish("postgres:17-alpine", "b")

    again = pinning.run()

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert pinned == {name: f"{tag}@sha256:{'a' * 64}" for name, tag in tags.items()}
    assert pinning.images == pinned | {
        "TAAWON_POSTGRES_IMAGE": f"postgres:17-alpine@sha256:{'b' * 64}"
    }
    assert "TAAWON_POSTGRES_PASSWORD=hidden\n" in pinning.env.read_text()
    assert pinning.env.stat().st_mode & 0o777 == 0o600
    assert "hidden" not in first.stdout


@pytest.mark.parametrize("answer", [None, "latest", "sha256:short"])
def test_where_one_is_not_found_nothing_changes(pinning: Pinning, answer: str | None):
    unknown = pinning.registry / "rabbitmq:4-management"
    if answer is None:
        unknown.unlink()
    else:
        unknown.write_text(answer)
    before = pinning.env.read_text()

    done = pinning.run()

    assert done.returncode == 1
    assert "rabbitmq:4-management" in done.stderr
    assert pinning.env.read_text() == before


def test_every_image_of_others_can_be_pinned():
    images = [each["image"] for each in COMPOSE["services"].values() if "build" not in each] + [
        each["build"]["args"]["PYTHON_IMAGE"]
        for each in COMPOSE["services"].values()
        if "build" in each
    ]
    bases = re.findall(
        r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert len(images) > 5
    assert [image for image in images if not CHANGEABLE.fullmatch(image)] == []
    assert set(bases) == {"${PYTHON_IMAGE}"}
