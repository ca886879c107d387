"""The history of the tables of funding."""

from funding.calls.models import metadata
from shared.kernel.data.migrations import run

run(metadata)
