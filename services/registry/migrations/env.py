"""The history of the tables of the registry."""

# Each capability adds its tables to the one metadata.
import registry.identity.models
import registry.partners.models
import registry.privacy.models
import registry.register.models.tables  # noqa: F401
from registry.tables import metadata
from shared.kernel.data.migrations import run

run(metadata)
