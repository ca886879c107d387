"""The history of the tables of notifications."""

# Each capability adds its tables to the one metadata.
import notifications.audience.models
import notifications.fanout.models
import notifications.inbox.models
import notifications.partners.models  # noqa: F401
from notifications.tables import metadata
from shared.kernel.data.migrations import run

run(metadata)
