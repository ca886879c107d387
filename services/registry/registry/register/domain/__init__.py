"""A cooperative and an import, and the only ways they may change. Pure Python."""
