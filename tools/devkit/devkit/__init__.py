"""Everything that runs on a developer's own machine: servers, services and their processes."""
