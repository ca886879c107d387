"""The requests of persons: access, rectification, erasure."""
