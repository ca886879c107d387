"""The history of the tables of funding."""

from funding.models import metadata
from shared.migrations import run

run(metadata)
