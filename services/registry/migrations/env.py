"""The history of the tables of the registry."""

from registry.tables import metadata
from shared.kernel.data.migrations import run

run(metadata)
