"""The history of the tables of ideas."""

from ideas.models import metadata
from shared.migrations import run

run(metadata)
