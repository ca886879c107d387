"""Opening requests of persons, doing the registry's part, and recording answers."""
