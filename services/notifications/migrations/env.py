"""Runs the migrations of notifications."""

from notifications.models import metadata
from shared.migrations import run

run(metadata)
