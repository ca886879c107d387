"""The history of the tables of ideas."""

from ideas.ideas.models import metadata
from shared.kernel.data.migrations import run

run(metadata)
