"""Runs the migrations of notifications."""

from notifications.tables import metadata
from shared.kernel.data.migrations import run

run(metadata)
