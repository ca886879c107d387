"""The history of the tables of the registry."""

from registry.models import metadata
from shared.migrations import run

run(metadata)
